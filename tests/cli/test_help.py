"""The help of every verb: it fits 80 columns, and its examples are commands that are understood."""

import shlex

import pytest
import typer

from rampart.cli import main as cli
from rampart.cli.examples import EXAMPLES

COMMAND = typer.main.get_command(cli.app)
GROUPS = {"": cli._VERBS, "study ": cli._STUDY_VERBS}
VERBS = [group + name for group, verbs in GROUPS.items() for name in verbs]


def test_every_verb_has_examples():
    assert list(EXAMPLES) == sorted(EXAMPLES, key=[*VERBS].index)
    assert set(EXAMPLES) == set(VERBS)


@pytest.mark.parametrize("verb", ["", "study", *VERBS])
def test_help_fits_80_columns(rampart, verb, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = rampart(*verb.split(), "--help").out.splitlines()
    assert [line for line in lines if len(line) > 80] == []
    shown = [line.strip() for line in lines]
    assert set(EXAMPLES.get(verb, ())) <= set(shown), "an example is broken or absent"


@pytest.mark.parametrize("verb", VERBS)
def test_examples_are_parsed(verb):
    for example in EXAMPLES[verb]:
        program, *words = shlex.split(example.partition(" > ")[0])
        assert program == "rampart"
        assert words[: len(verb.split())] == verb.split()
        command = COMMAND
        for name in verb.split():
            command = command.commands[name]
        # An unknown option, or a missing argument, raises.
        command.make_context(verb, words[len(verb.split()) :])
