"""A run with a pilot equals RFT-fix if the pilot passes, else the schedule without a pilot."""

import gc
import json
import os
import shutil
import signal
import weakref
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rampart.errors import RunError
from rampart.recipes import pilot as recipe
from rampart.recipes.config.loading import load_config
from rampart.recipes.evaluation.evaluate_named import evaluate_run
from rampart.recipes.train import train_run
from rampart.runs.history import History
from rampart.runs.passes import Passes
from rampart.runs.run_folder import RunFolder
from rampart.training.interrupts import Interrupted
from rampart.training.monitors.transfer import Standard, Transfer
from rampart.training.pilot_verdict import Pilot
from rampart.training.reporting import Silent

#: The pilot is one of 3 epochs, each with 3 steps. `test_shared_pilot` has the default.
TRIED = ["schedule=adaptive", "schedule.min_skill=0", "schedule.pilot=0.4"]
TRIED += ["schedule.pilot_restart=start", "schedule.pilot_stop=learned"]
FIGURES = ("eps", "train_loss", "val_clean", "val_robust", "forwards", "backwards")


class Stop(Silent):
    """Kills the run after a number of steps, and collects the notes."""

    def __init__(self, steps=0):
        self.left, self.notes = steps, []

    def step(self, epoch, eps):
        self.left -= 1
        if self.left == 0:
            raise MemoryError("planted")

    def note(self, text):
        self.notes.append(text)


def train(folder, settings, **options):
    return train_run(load_config(None, settings), folder, **options)


def result(folder):
    rows = History(folder.history).rows()
    weights = load_file(folder.model / "model.safetensors")
    return weights, [{name: row[name] for name in FIGURES} for row in rows]


def assert_same(a, b):
    for name in a[0]:
        assert torch.equal(a[0][name], b[0][name]), name
    assert a[1] == b[1]


@pytest.fixture
def verdict(monkeypatch):
    """Force the verdict of the pilot."""

    def set_verdict(passed):
        monkeypatch.setattr(Pilot, "passed", property(lambda _: passed))

    return set_verdict


@pytest.mark.parametrize(
    ("passed", "alike"),
    [(True, ["schedule=fix"]), (False, ["schedule=adaptive", "schedule.min_skill=0"])],
    ids=["passed", "failed"],
)
def test_it_continues_as_rft_fix_or_starts_over(tiny_settings, tmp_path, verdict, passed, alike):
    verdict(passed)
    reporter = Stop()
    folder = train(tmp_path / "run", [*tiny_settings, *TRIED], reporter=reporter)
    assert_same(result(folder), result(train(tmp_path / "alike", [*tiny_settings, *alike])))
    recorded = folder.facts()["pilot"]
    fixed = train(tmp_path / "fix", [*tiny_settings, "schedule=fix"])
    first = History(fixed.history).rows()[0]
    assert (recorded["epochs"], recorded["clean"], recorded["passed"]) == (
        1,
        first["val_clean"],
        passed,
    )
    # The clean baseline's 24 images, twice, and the 9 of its validation; if the pilot failed, also
    # all of its epoch at full strength.
    assert recorded["passes"] == 48 + 9 + (0 if passed else Passes.of([first]).total)
    assert folder.pilot.exists() is not passed
    assert [note.startswith("pilot: after 1 epoch") for note in reporter.notes] == [True]


@pytest.mark.parametrize("passed", [True, False])
def test_resume_is_exact_before_and_after_the_verdict(tiny_settings, tmp_path, verdict, passed):
    verdict(passed)
    settings = [*tiny_settings, *TRIED, "training.checkpoint_every=1"]
    whole = train(tmp_path / "whole", settings)
    # In the pilot, at its end, and in the run.
    for stop in (2, 3, 4, 8 if passed else 11):
        with pytest.raises(MemoryError):
            train(tmp_path / f"run {stop}", settings, reporter=Stop(stop))
        resumed = train(tmp_path / f"run {stop}", settings, resume=True)
        assert_same(result(resumed), result(whole))
        assert resumed.facts()["pilot"] == whole.facts()["pilot"]


@pytest.mark.parametrize("passed", [True, False])
def test_killed_while_the_verdict_was_being_written(
    tiny_settings, tmp_path, verdict, passed, monkeypatch
):
    verdict(passed)
    settings = [*tiny_settings, *TRIED]
    whole, write = train(tmp_path / "whole", settings), RunFolder.set_status

    def dies(folder, status, **facts):
        if "pilot" in facts:
            raise MemoryError("planted")
        write(folder, status, **facts)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "set_status", dies)
        with pytest.raises(MemoryError):
            train(tmp_path / "run", settings)
    resumed = train(tmp_path / "run", settings, resume=True)
    assert_same(result(resumed), result(whole))
    assert resumed.facts()["pilot"] == whole.facts()["pilot"]


def test_killed_while_the_pilot_was_being_dropped(tiny_settings, tmp_path, verdict, monkeypatch):
    verdict(False)
    settings = [*tiny_settings, *TRIED]
    whole, remove = train(tmp_path / "whole", settings), shutil.rmtree

    def dies(folder, **options):
        folder = Path(folder)
        if folder.name == "dropped" and folder.is_dir():
            next(folder.rglob("model.safetensors")).unlink()
            raise MemoryError("planted")
        remove(folder, **options)

    with monkeypatch.context() as patch:
        patch.setattr("rampart.runs.run_folder.shutil.rmtree", dies)
        with pytest.raises(MemoryError):
            train(tmp_path / "run", settings)
    resumed = train(tmp_path / "run", settings, resume=True)
    assert_same(result(resumed), result(whole))
    assert not (resumed.path / "dropped").exists()


def test_a_failed_pilot_leaves_no_model_in_memory(tiny_settings, tmp_path, verdict):
    verdict(False)
    models = []

    class Margins(Stop):
        def start(self, name, horizon, done, cost=float):
            gc.collect()
            alive.append(sum(model() is not None for model in models))

    alive = []
    train(
        tmp_path / "run",
        [*tiny_settings, *TRIED],
        reporter=Margins(),
        announce=lambda run, splits: models.append(weakref.ref(run.model)),
    )
    assert alive == [1, 0], "in the pilot, in the run"


def test_an_error_advises_if_the_clean_baseline_does_not_fit_into_memory(
    tiny_settings, tmp_path, monkeypatch
):
    class BaselineAccuracy:
        def accuracies(self):
            raise torch.OutOfMemoryError("planted")
            yield

    monkeypatch.setattr(recipe, "make_baseline", lambda *_: BaselineAccuracy())
    with pytest.raises(RunError, match="schedule.pilot=0"):
        train(tmp_path / "run", [*tiny_settings, *TRIED])


def test_a_passed_pilot_whose_checkpoint_is_gone(tiny_settings, tmp_path, verdict):
    verdict(True)
    settings = [*tiny_settings, *TRIED]
    whole = train(tmp_path / "whole", settings)
    with pytest.raises(MemoryError):
        train(tmp_path / "run", settings, reporter=Stop(5))
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    assert_same(result(train(tmp_path / "run", settings, resume=True)), result(whole))


def test_trackers_get_every_epoch_once(tiny_settings, tmp_path, verdict, monkeypatch):
    verdict(False)
    recorded = []
    monkeypatch.setattr(
        "accelerate.Accelerator.log",
        lambda self, values, step: recorded.append(step) if self.trackers else None,
    )
    settings = [*tiny_settings, *TRIED, "training.trackers=[tensorboard]"]
    train(tmp_path / "run", settings)
    assert recorded == [3, 6, 9]


def test_a_signal_while_standard_fine_tuning_trains(tiny_settings, tmp_path, monkeypatch):
    settings = [*tiny_settings, *TRIED]
    whole = train(tmp_path / "whole", settings)

    class BaselineAccuracy:
        def accuracies(self):
            os.kill(os.getpid(), signal.SIGTERM)
            yield Standard(0.9)

    with monkeypatch.context() as patch:
        patch.setattr(recipe, "make_baseline", lambda *_: BaselineAccuracy())
        with pytest.raises(Interrupted, match="SIGTERM after step 3"):
            train(tmp_path / "run", settings)
    assert RunFolder(tmp_path / "run").status() == "interrupted"
    assert_same(result(train(tmp_path / "run", settings, resume=True)), result(whole))


def test_the_pilot_ends_once_standard_fine_tuning_has_learned(tiny_settings, tmp_path, monkeypatch):
    found = [Standard(0.4), Standard(0.9), Standard(0.9)]
    baseline = type("BaselineAccuracy", (), {"accuracies": lambda self: iter(found)})
    monkeypatch.setattr(recipe, "make_baseline", lambda *_: baseline())
    settings = [*tiny_settings, *TRIED, "schedule.pilot=0.99"]
    folder = train(tmp_path / "run", settings)
    assert folder.facts()["pilot"]["epochs"] == 2
    assert folder.facts()["pilot"]["standard"] == 0.9


@pytest.mark.parametrize(
    "more", [["schedule.pilot=0.3"], ["threat.eps=0"], ["objective=standard"], ["schedule=fix"]]
)
def test_runs_without_a_pilot(tiny_settings, tmp_path, more):
    folder = train(tmp_path / "run", [*tiny_settings, *TRIED, *more])
    assert "pilot" not in folder.facts()


def test_a_replaced_run_has_a_new_pilot(tiny_settings, tmp_path, verdict):
    settings = [*tiny_settings, *TRIED]
    verdict(False)
    train(tmp_path / "run", settings)
    verdict(True)
    folder = train(tmp_path / "run", settings, overwrite=True)
    assert folder.facts()["pilot"]["passed"]
    assert not folder.pilot.exists()


def test_the_probe_comes_after_a_pilot_that_failed(tiny_settings, tmp_path, verdict):
    verdict(False)
    folder = train(tmp_path / "run", [*tiny_settings, *TRIED, "training.linear_probe=true"])
    assert list(folder.facts()) == [
        "status",
        "rampart",
        "data",
        "content",
        "start",
        "parameters",
        "computing",
        "pilot",
        "linear_probe",
        "epochs",
    ]
    verdict(True)
    folder = train(tmp_path / "passed", [*tiny_settings, *TRIED, "training.linear_probe=true"])
    assert "linear_probe" not in folder.facts()


def test_the_best_epoch_of_a_failed_pilot_is_forgotten(tiny_settings, tmp_path, verdict):
    verdict(False)
    settings = [*tiny_settings, "training.checkpoint=best"]
    folder = train(tmp_path / "run", [*settings, *TRIED])
    alike = train(tmp_path / "alike", [*settings, *TRIED, "schedule.pilot=0"])
    best = [json.loads(next(f.best.glob("*/state.json")).read_text()) for f in (folder, alike)]
    assert best[0] == best[1]
    evaluate_run(folder.path)


def test_chance_is_that_of_the_training_labels_everywhere(tiny_settings, photo_folder, tmp_path):
    """Of three classes one has half of the training images; the validation split is balanced."""
    shutil.copytree(photo_folder, tmp_path / "photos")
    for name in ("green", "red"):
        for number in range(4, 8):
            (tmp_path / "photos" / "train" / name / f"{number}.png").unlink()
    seen = []

    def observation(run, _splits):
        (monitor,) = (monitor for monitor in run.monitors if isinstance(monitor, Transfer))
        seen.append((run.schedule.chance, monitor.chance))

    settings = [*tiny_settings, *TRIED, f"data.name={tmp_path / 'photos'}"]
    folder = train(tmp_path / "run", settings, announce=observation)
    assert seen == [(0.5, 0.5)]
    assert folder.facts()["pilot"]["chance"] == 0.5
