"""Methods of runs that were changed after training."""

from dataclasses import asdict, replace

import pytest

from rampart.recipes.refining.settings import Refinement
from rampart.reports.method_names import RunResult, name_methods
from rampart.runs.afterwards import name_afterwards

PUBLISHED = Refinement()
#: Another value of every setting; a setting without one fails the test below.
OTHERS = {
    "images": 100,
    "steps": 3,
    "radius": 0.2,
    "epochs": 3,
    "lr": 0.01,
    "momentum": 0.0,
    "weight_decay": 0.0,
    "choose": "expected",
}


def run(seed, facts=None):
    config = {"seed": seed, "schedule": "fix", "training": {"epochs": 5}}
    return RunResult(f"run-{seed}", {**config, **name_afterwards(facts or {})}, {})


def refined(settings, **others):
    return {"refinement": {"of": "run", "settings": asdict(settings), **others}}


@pytest.mark.parametrize("setting", asdict(PUBLISHED))
def test_every_setting_of_a_refinement_makes_a_method(setting):
    other = replace(PUBLISHED, **{setting: OTHERS[setting]})
    given = [PUBLISHED, PUBLISHED, other, other]
    names = name_methods([run(seed, refined(one)) for seed, one in enumerate(given)])
    assert names[0] == names[1] != names[2] == names[3]
    key = "refined" if setting == "choose" else f"refined.{setting}"
    assert names[2] == f"fix ({key}={OTHERS[setting]})", "no other setting is named"


def test_beside_a_trained_run_only_the_refinement_is_named():
    names = name_methods([run(0), run(0, refined(PUBLISHED))])
    assert names == ["fix", "fix (refined=clean)"]
    other = refined(replace(PUBLISHED, lr=0.1))
    names = name_methods([run(0), run(0, refined(PUBLISHED)), run(0, other)])
    assert names[1:] == [
        "fix (refined=clean, refined.lr=0.001)",
        "fix (refined=clean, refined.lr=0.1)",
    ]


def test_the_runs_that_were_given_make_a_method():
    again = refined(PUBLISHED, runs=name_afterwards(refined(PUBLISHED)))
    between = {"interpolation": {"validation": [], "runs": {"second": {"schedule.name": "auto"}}}}
    facts = [refined(PUBLISHED), again, {"interpolation": {"validation": []}}, between]
    assert len(set(name_methods([run(seed, one) for seed, one in enumerate(facts)]))) == 4
