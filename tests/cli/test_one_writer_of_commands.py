"""Every command that writes into a folder refuses one that another process writes."""

import inspect
import os
import shutil

import pytest
import yaml

from rampart.cli.main import _STUDY_VERBS, _VERBS
from rampart.recipes.config.loading import load_config
from rampart.recipes.train import train_run
from rampart.runs.lock import LOCK, only_writer, writer_of

#: By the command: its arguments before `--output FOLDER`.
FOLDERS = {
    "train": ("{settings}",),
    "evaluate": ("{run}", "evaluation.limit=5"),
    "profile": ("{run}", "evaluation.limit=5"),
    "interpolate": ("{run}", "{other}"),
    "refine": ("{run}",),
    "compare": ("{run}",),
    "quickstart": (),
    "study run": ("{study}",),
    "tune": ("{settings}", "--runs", "1"),
    "check-labels": ("{settings}",),
}
#: They write one file, as a whole or not at all, so that the last of two writers counts.
FILES = ("predict", "preview", "export", "report")
#: They name the folder of a study that they read; its tables are written as files.
READ = ("study status", "study table", "study figures")


@pytest.fixture(scope="module")
def given(tiny_settings, tmp_path_factory):
    """Replacements of the arguments in `FOLDERS`."""
    place, settings = tmp_path_factory.mktemp("given"), [*tiny_settings, "training.epochs=1"]
    train_run(load_config(None, settings), place / "run")
    shutil.copytree(place / "run", place / "other")
    study = {
        "base": {"model": "none", "data": "none"},
        "seeds": [0],
        "axes": {"task": {"photos": settings}},
        "methods": {"fix": ["schedule=fix"]},
    }
    (place / "study.yaml").write_text(yaml.safe_dump(study))
    return {
        "{settings}": settings,
        "{run}": [place / "run"],
        "{other}": [place / "other"],
        "{study}": [place / "study.yaml"],
    }


def test_the_table_names_every_command_with_an_output():
    verbs = {**_VERBS, **{f"study {name}": verb for name, verb in _STUDY_VERBS.items()}}
    found = {name for name, verb in verbs.items() if "output" in inspect.signature(verb).parameters}
    assert found == {*FOLDERS, *FILES, *READ}


@pytest.mark.parametrize("command", FOLDERS)
def test_a_folder_that_another_process_writes_is_refused(refused, given, tmp_path, command):
    words = [part for word in FOLDERS[command] for part in given.get(word, [word])]
    out = tmp_path / "out"
    with only_writer(out):
        refused(
            f"{out} is being written by process {os.getpid()} on ",
            *command.split(),
            *words,
            "-o",
            out,
        )
        assert [one.name for one in out.iterdir()] == [LOCK]
        assert writer_of(out).process == os.getpid()


def test_an_export_into_a_run_that_another_process_writes_is_refused(refused, given, rampart):
    (run,) = given["{run}"]
    before = sorted(run.rglob("*"))
    with only_writer(run):
        refused(f"{run} is being written by", "export", run, "--to", "torchscript")
    assert sorted(run.rglob("*")) == before
