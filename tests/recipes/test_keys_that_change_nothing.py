"""A key that changes no result may change wherever a run is resumed."""

import pytest

from rampart.errors import RunError
from rampart.experiments.cells import Cell, require_own
from rampart.recipes.config.identity import identity
from rampart.recipes.config.loading import load_config, save_config
from rampart.recipes.evaluation.settings import require_evaluation_keys
from rampart.recipes.same_run import require_same
from rampart.runs.run_folder import RunFolder
from rampart.schema.effects import fields_that_affect
from rampart.schema.learning import TrainingConfig
from rampart.schema.measuring import EvaluationConfig
from rampart.schema.model_and_data import DataConfig

#: A value that differs from the default, for every key that changes no result.
OTHER = {
    "data.root": "elsewhere",
    "data.labels": "check",
    "data.workers": 3,
    "data.cache": "false",
    "training.validation_limit": 7,
    "training.validation_steps": 3,
    "training.validation_every": 2,
    "training.checkpoint_every": 5,
    "training.monitors": "false",
    "training.trackers": "[tensorboard]",
    "evaluation.rerun": 7,
    "evaluation.adversarial_examples": "true",
    "evaluation.checks": "false",
    "evaluation.batch_size": 2,
    "evaluation.confidence": 0.9,
}
NOTHING = [f"{key}={value}" for key, value in OTHER.items()]


def load(*overrides):
    return load_config(None, ["model=resnet50.a1_in1k", "data=photos", *overrides])


@pytest.fixture
def folder(tmp_path):
    """The folder of a run that started with the defaults."""
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.set_status("running")
    save_config(load(), folder.config)
    return folder


def refusals(new, folder):
    """The checks that refuse to resume with a changed configuration: run, study, evaluation."""
    checks = {
        "run": lambda: require_same(load(), new, folder),
        "study": lambda: require_own(Cell({"task": "one"}, "method", new, folder.path)),
        "evaluation": lambda: require_evaluation_keys(load(), new),
    }
    refused = []
    for name, check in checks.items():
        try:
            check()
        except RunError:
            refused.append(name)
    return refused


def test_every_such_key_is_here():
    sections = {"data": DataConfig, "training": TrainingConfig, "evaluation": EvaluationConfig}
    marked = [
        f"{name}.{key}"
        for name, section in sections.items()
        for key in fields_that_affect(section, "nothing")
    ]
    assert sorted(marked) == sorted(OTHER)


@pytest.mark.parametrize("override", NOTHING)
def test_it_may_change_everywhere(override, folder):
    assert load(override) != load()
    assert refusals(load(override), folder) == []
    assert identity(load(override)) == identity(load())


@pytest.mark.parametrize(
    ("override", "refused"),
    [
        ("training.epochs=9", ["run", "study", "evaluation"]),
        ("schedule.min_skill=0.3", ["run", "study", "evaluation"]),
        ("threat.eps=2/255", ["run", "study"]),
        ("training.device=cpu", ["run", "study"]),
        ("evaluation.limit=9", ["study"]),
        ("evaluation.attack.steps=3", ["study"]),
    ],
)
def test_others_are_refused_where_they_matter(override, refused, folder):
    assert refusals(load(override), folder) == refused
    assert identity(load(override)) != identity(load())


def test_the_attack_of_the_evaluation_matters_where_it_chooses_the_epoch(folder):
    best = "training.checkpoint=best"
    with pytest.raises(RunError, match="evaluation.attack.steps"):
        require_same(load(best), load(best, "evaluation.attack.steps=3"), folder)
