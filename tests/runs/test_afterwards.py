"""What is said of runs that were changed after training."""

import shlex

import pytest
import typer

from rampart.cli.main import app
from rampart.runs.afterwards import command_afterwards, name_afterwards, spell_afterwards

SETTINGS = {"images": 5, "weight_decay": 5e-4, "epochs": 2, "choose": "expected"}
REFINED = {"refinement": {"of": "my run", "settings": SETTINGS, "layer": "stem", "fraction": 0.3}}
ROWS = [{"fraction": 0.0}, {"fraction": 1.0}]
BETWEEN = {
    "interpolation": {"first": "a", "second": "b c", "fraction": 0.7, "validation": ROWS},
}


def test_a_trained_run_has_nothing_to_say():
    facts = {"status": "complete", "start": "x"}
    assert (spell_afterwards(facts), command_afterwards(facts), name_afterwards(facts)) == (
        *("", ""),
        {},
    )


@pytest.mark.parametrize(
    ("facts", "words", "method"),
    [
        (
            REFINED,
            ["stem", "30%", "without an attack"],
            {"refined": {"name": "expected", "images": 5, "weight_decay": 5e-4, "epochs": 2}},
        ),
        (
            BETWEEN,
            ["70%", "two runs"],
            {"interpolated": {"name": "expected", "fractions": [0.0, 1.0]}},
        ),
    ],
)
def test_a_sentence_and_a_method(facts, words, method):
    said = spell_afterwards(facts)
    assert all(word in said for word in words)
    assert name_afterwards(facts) == method


@pytest.mark.parametrize("facts", [REFINED, BETWEEN])
def test_the_command_can_be_typed(facts):
    program, verb, *words = shlex.split(command_afterwards(facts))
    assert program == "rampart"
    # An unknown option, or a missing argument, raises.
    context = typer.main.get_command(app).commands[verb].make_context(verb, [*words, "-o", "out"])
    given = {name: value for name, value in context.params.items() if name in SETTINGS}
    assert given == (SETTINGS if verb == "refine" else {})


def test_what_was_done_before_tells_a_method_too():
    before = {"refined": {"name": "clean", "epochs": 1}}
    for facts in (REFINED, BETWEEN):
        ((kind, made),) = facts.items()
        ((_, plain),) = name_afterwards(facts).items()
        ((_, again),) = name_afterwards({kind: {**made, "runs": before}}).items()
        assert again == {**plain, "runs": before}
