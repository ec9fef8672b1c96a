"""Learning rates that are halved when the validation has stalled."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from crashes import CrashAfter
from rampart.errors import InvalidArgument, RunError
from rampart.recipes.config.loading import load_config
from rampart.recipes.train import train_run
from rampart.runs.history import History
from rampart.training import loop, resume
from rampart.training.checkpoint import CheckpointStore
from rampart.training.loop import train_epoch
from rampart.training.lr_plateau import has_stalled
from rampart.training.optimizers import check_epochs
from rampart.training.pilot_verdict import Pilot
from rampart.training.reporting import Silent

PUBLISHED = (0.32, 0.48, 0.56, 0.72, 0.8, 0.84, 0.88, 0.92, 0.96)
PLATEAU = ["optimizer.lr_schedule=plateau", "training.checkpoint=best", "optimizer.warmup=0"]
#: The accuracy falls with every epoch, so every check finds a plateau.
FALLING = [0.9, 0.5, 0.4, 0.3, 0.2]


def test_the_published_epochs():
    assert check_epochs(PUBLISHED, 50) == (17, 25, 29, 37, 41, 43, 45, 47, 49)


def test_the_last_epoch_is_not_checked_and_each_is_checked_once():
    assert check_epochs((0.0, 0.1, 0.5, 0.9, 1.0), 4) == (1, 3)
    assert check_epochs((0.5, 0.75), 1) == ()


@pytest.mark.parametrize(
    ("figures", "before", "best", "stalled"),
    [
        ([0.1, 0.2, 0.3, 0.4, 0.5], 0.1, 0.5, False),
        # Three of four rise: enough.
        ([0.1, 0.2, 0.3, 0.4, 0.3], 0.1, 0.4, False),
        ([0.1, 0.2, 0.3, 0.2, 0.2], 0.1, 0.3, True),
        # All rise, but none is the best of the run.
        ([0.1, 0.2, 0.3], 0.6, 0.6, True),
        # The first check has no best before it; without a pair nothing is known.
        ([0.4], None, 0.4, False),
    ],
)
def test_what_has_stalled(figures, before, best, stalled):
    assert has_stalled(figures, before, best) == stalled


def published_rates(accuracies, checks):
    """Return the factor after each epoch, by lists as those of the published code.

    `checks` are its epochs counted from 0.
    """
    factor, factors, marks = 1.0, [], [0, *checks]
    at, best, best_at = 1, -1.0, [0.0] * (len(marks) + 1)
    for epoch, accuracy in enumerate(accuracies):
        if accuracy > best:
            best = best_at[at] = accuracy
        if at < len(marks) and epoch == marks[at]:
            low, high = marks[at - 1], marks[at]
            rises = sum(accuracies[j + 1] > accuracies[j] for j in range(low, high))
            if rises < 0.75 * (high - low) or (at > 1 and best_at[at] == best_at[at - 1]):
                factor /= 2
            at += 1
            best_at[at] = best_at[at - 1]
        factors.append(factor)
    return factors


@given(
    accuracies=st.lists(st.integers(0, 6).map(lambda k: k / 6), min_size=50, max_size=50),
    rising=st.booleans(),
)
def test_the_rule_is_that_of_the_published_code(accuracies, rising):
    if rising:
        accuracies = [epoch / 50 + one / 40 for epoch, one in enumerate(accuracies)]
    checks, factor, factors = check_epochs(PUBLISHED, 50), 1.0, []
    recent, before = [], None
    for epoch, accuracy in enumerate(accuracies, start=1):
        recent.append(accuracy)
        if epoch in checks:
            best = max(accuracies[:epoch])
            factor /= 2 if has_stalled(recent, before, best) else 1
            recent, before = recent[-1:], best
        factors.append(factor)
    assert factors == published_rates(accuracies, [epoch - 1 for epoch in checks])


class Told(Silent):
    """Keeps the notes."""

    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def differs(one, other):
    """Return whether two state dicts hold different weights."""
    return any(not torch.equal(value, other[name]) for name, value in one.items())


def assert_same(run, other):
    """Compare the weights of the last step, which are not those of the best epoch."""
    states = [
        load_file(next(one.checkpoints.glob("step-*")) / "model.safetensors")
        for one in (run, other)
    ]
    assert not differs(*states)
    kept = ("epoch", "lr_backbone", "lr_head", "reloaded_epoch", "train_loss", "val_clean")
    histories = [
        [[row.get(key) for key in kept] for row in History(one.history).rows()]
        for one in (run, other)
    ]
    assert histories[0] == histories[1]


@pytest.fixture
def settings(tiny_settings):
    return [
        *tiny_settings,
        "training.epochs=5",
        "schedule=fix",
        "optimizer.milestones=[0.2, 0.6]",
        *PLATEAU,
    ]


@pytest.fixture
def accuracies(monkeypatch):
    """Let the validation find given figures."""

    def plant(figures):
        left = list(figures)
        monkeypatch.setattr(
            "rampart.recipes.validation.expected_robustness", lambda *_: left.pop(0)
        )

    return plant


def train(settings, folder, **options):
    return train_run(load_config(None, settings), folder, **options)


def test_the_rates_fall_and_the_best_weights_return(settings, tmp_path, accuracies):
    accuracies(FALLING)
    told = Told()
    run = train(settings, tmp_path / "run", reporter=told)
    rows = History(run.history).rows()
    first = rows[0]["lr_backbone"]
    assert [row["lr_backbone"] / first for row in rows] == [1, 1, 0.5, 0.5, 0.25]
    assert [row["lr_head"] / rows[0]["lr_head"] for row in rows] == [1, 1, 0.5, 0.5, 0.25]
    assert [row.get("reloaded_epoch") for row in rows] == [None, 1, None, 1, None]
    assert len([note for note in told.notes if "epoch 1" in note]) == 2


def test_the_next_epoch_begins_at_the_best_weights(settings, tmp_path, accuracies, monkeypatch):
    begun = []

    def spy(run, interrupts):
        begun.append({name: value.clone() for name, value in run.bare_model.state_dict().items()})
        train_epoch(run, interrupts)

    monkeypatch.setattr(loop, "train_epoch", spy)
    accuracies(FALLING)
    train(settings, tmp_path / "run")
    assert [differs(one, begun[1]) for one in begun] == [True, False, False, True, False]


def test_a_run_that_improves_keeps_its_rates(settings, tmp_path, accuracies):
    accuracies(FALLING[::-1])
    rows = History(train(settings, tmp_path / "run").history).rows()
    assert len({row["lr_backbone"] for row in rows}) == 1
    assert not any("reloaded_epoch" in row for row in rows)


@pytest.mark.parametrize("steps", [7, 11, 13])
def test_a_resumed_run_is_the_same(settings, tmp_path, accuracies, steps):
    """Killed in the epoch after a reload, in the one after that, and after the second reload."""
    accuracies(FALLING)
    whole = train(settings, tmp_path / "whole")
    accuracies(FALLING)
    with pytest.raises(MemoryError):
        train(settings, tmp_path / "run", reporter=CrashAfter(steps))
    accuracies(FALLING[(steps - 1) // 3 :])
    assert_same(train(settings, tmp_path / "run", resume=True), whole)


@pytest.mark.parametrize("method", ["append", "save"])
def test_a_run_killed_after_its_reload_is_the_same(
    settings, tmp_path, accuracies, monkeypatch, method
):
    """Killed before the history row of the epoch is written, and before its checkpoint."""
    accuracies(FALLING)
    whole = train(settings, tmp_path / "whole")
    place = {"append": History, "save": resume}[method]
    name = {"append": "append", "save": "Checkpoint"}[method]
    inner, left = getattr(place, name), [1] if method == "append" else [3]

    def killed(*args, **kwargs):
        left[0] -= 1
        if left[0] < 0:
            raise MemoryError("planted")
        return inner(*args, **kwargs)

    accuracies(FALLING)
    with monkeypatch.context() as planted:
        planted.setattr(place, name, killed)
        with pytest.raises(MemoryError):
            train(settings, tmp_path / "run")
    accuracies(FALLING[1:])
    assert_same(train(settings, tmp_path / "run", resume=True), whole)


def test_a_failed_pilot_starts_anew(settings, tmp_path, accuracies, monkeypatch):
    """The clean baseline has had no checks, so it is no beginning of such a run."""
    adaptive = [*settings, "schedule=adaptive", "schedule.min_skill=0", "schedule.pilot=0.4"]
    shared = [*adaptive, "schedule.pilot_restart=auto"]
    assert not load_config(None, shared).continues_baseline
    with pytest.raises(InvalidArgument, match="pilot_restart=baseline.*lr_schedule=plateau"):
        load_config(None, [*adaptive, "schedule.pilot_restart=baseline"])
    monkeypatch.setattr(Pilot, "decided", property(lambda pilot: pilot.epochs == 2))
    monkeypatch.setattr(Pilot, "passed", property(lambda _: False))
    accuracies([0.9, 0.5, *FALLING])
    run = train(adaptive, tmp_path / "run")
    rows, lost = History(run.history).rows(), History(run.pilot).rows()
    assert [row.get("reloaded_epoch") for row in lost] == [None, 1]
    assert [row.get("reloaded_epoch") for row in rows] == [None, 1, None, 1, None]
    assert rows[1]["lr_backbone"] == 2 * rows[2]["lr_backbone"] == lost[0]["lr_backbone"]


@pytest.mark.parametrize(
    ("more", "key"),
    [
        (["training.checkpoint=last"], "training.checkpoint"),
        (["optimizer.milestones=[]"], "optimizer.milestones"),
        (["optimizer.milestones=[0.9]"], "optimizer.milestones"),
        (["training.epochs=1"], "optimizer.milestones"),
    ],
)
def test_runs_without_anything_to_reload_are_refused(settings, more, key):
    with pytest.raises(InvalidArgument, match="lr_schedule=plateau") as error:
        load_config(None, [*settings, *more])
    assert error.value.name == key


def test_averaged_weights_are_not_reloaded(settings, tmp_path):
    with pytest.raises(InvalidArgument, match="callbacks=ema.*lr_schedule=plateau"):
        train([*settings, "callbacks=ema"], tmp_path / "run")
    assert not (tmp_path / "run" / "history.jsonl").exists()


def test_best_weights_that_another_disk_holds_are_told(settings, tmp_path, accuracies, monkeypatch):
    accuracies(FALLING)
    monkeypatch.setattr(CheckpointStore, "latest", lambda _: None)
    with pytest.raises(RunError, match="best.*one disk"):
        train(settings, tmp_path / "run")
