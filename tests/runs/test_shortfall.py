import json

import pytest

from rampart.runs.run_folder import RunFolder
from rampart.runs.shortfall import Shortfall, shortfall_of


@pytest.fixture
def make(tmp_path):
    """A run with this status and these epochs in its history, of 5 planned ones."""

    def make(status, epochs, planned="training: {epochs: 5}\n", **facts):
        folder = RunFolder(tmp_path / "run")
        folder.path.mkdir()
        folder.set_status(status, **facts)
        folder.config.write_text(planned)
        if epochs is not None:
            folder.history.write_text("".join(json.dumps({"epoch": n}) + "\n" for n in epochs))
        return folder

    return make


@pytest.mark.parametrize("status", ["failed", "interrupted", "running"])
@pytest.mark.parametrize(("epochs", "found"), [(None, 0), ([1, 2, 3], 3), ([1, 2, 3, 4, 5], 5)])
def test_a_run_that_is_not_complete_states_how_far_it_came(make, status, epochs, found):
    lacks = shortfall_of(make(status, epochs))
    assert lacks == Shortfall(unfinished=f"{status}, {found} of 5 epochs")


@pytest.mark.parametrize(
    ("epochs", "says"),
    [
        (None, "history missing"),
        ([], "history missing"),
        ([1, 2], "history of 2 of 5 epochs"),
        ([2, 3, 4, 5], "history of 4 of 5 epochs"),
        ([1, 2, 3, 3, 4], "history of 4 of 5 epochs"),
    ],
)
def test_a_complete_run_without_its_whole_history(make, epochs, says):
    assert shortfall_of(make("complete", epochs)) == Shortfall(history=says)


def test_a_whole_run_lacks_nothing(make):
    assert str(shortfall_of(make("complete", [1, 2, 3, 4, 5]))) == ""


def test_an_interpolation_has_no_history(make):
    assert str(shortfall_of(make("complete", None, interpolation={"fraction": 0.5}))) == ""


def test_the_epochs_of_a_refinement_are_its_own(make):
    refined = {"refinement": {"settings": {"epochs": 2}}}
    lacks = shortfall_of(make("interrupted", [1], **refined))
    assert lacks == Shortfall(unfinished="interrupted, 1 of 2 epochs")


def test_a_configuration_without_epochs(make):
    assert shortfall_of(make("failed", [1], planned="seed: 0\n")).unfinished == "failed, 1 epoch"
