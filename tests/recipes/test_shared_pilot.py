"""A failed pilot whose clean baseline becomes the beginning of the run."""

import pytest
import torch
from safetensors.torch import load_file

from crashes import CrashAfter
from rampart.errors import InvalidArgument
from rampart.recipes.config.loading import load_config
from rampart.recipes.train import train_run
from rampart.runs.history import History
from rampart.runs.passes import Passes
from rampart.runs.run_folder import RunFolder
from rampart.training.pilot_verdict import Pilot
from rampart.training.reporting import Silent

#: The pilot is one of 3 epochs, each with 3 steps.
SHARED = ["schedule=adaptive", "schedule.min_skill=0", "schedule.pilot=0.4"]
SHARED += ["schedule.pilot_restart=baseline"]
TIMES = ("seconds", "data_seconds", "images_per_second")


@pytest.fixture(autouse=True)
def verdict(monkeypatch):
    """Force the verdict of the pilot; by default it fails."""

    def set_verdict(passed):
        monkeypatch.setattr(Pilot, "passed", property(lambda _: passed))

    set_verdict(False)
    return set_verdict


def train(folder, settings, **options):
    return train_run(load_config(None, settings), folder, **options)


def result(folder):
    rows = [{k: v for k, v in r.items() if k not in TIMES} for r in History(folder.history).rows()]
    return load_file(folder.model / "model.safetensors"), rows


def assert_same(a, b):
    assert all(torch.equal(a[0][name], b[0][name]) for name in b[0])
    assert a[1] == b[1]


def test_the_run_begins_with_the_epochs_of_standard_fine_tuning(tiny_settings, tmp_path):
    folder = train(tmp_path / "run", [*tiny_settings, *SHARED])
    rows = result(folder)[1]
    standard = result(train(tmp_path / "standard", [*tiny_settings, "schedule=standard"]))[1][0]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    shared = ("step", "eps", "train_loss", "val_clean", "val_clean_loss", "val_robust")
    shared += ("validation_passes", "forwards", "backwards")
    assert {key: rows[0][key] for key in shared} == {key: standard[key] for key in shared}
    assert rows[0]["alpha"] == 0
    # After a third of the run; the bound rises from a quarter to three quarters.
    assert rows[1]["step_alpha"][0] == pytest.approx((1 / 3 - 0.25) / 0.5)
    assert rows[2]["alpha"] > 0
    # Only the epoch at full strength is lost.
    (lost,) = History(folder.pilot).rows()
    assert folder.facts()["pilot"]["passes"] == Passes.of([lost]).total
    assert not folder.baseline.exists()


def test_its_first_epochs_are_a_part_of_the_ramp(tiny_settings, tmp_path):
    settings = [*tiny_settings, *SHARED, "training.epochs=10", "schedule.pilot=0.1"]
    settings += ["schedule.memory=0.02", "schedule.start=0.7"]
    ends = {}
    for restart in ("baseline", "auto", "within-ramp"):
        chosen = f"schedule.pilot_restart={restart}"
        rows = result(train(tmp_path / restart, [*settings, chosen]))[1]
        ends[restart] = [row["alpha"] for row in rows].index(1.0) + 1
    # After one epoch of ten eps rises for one more, or for two; a row has its last step's alpha.
    assert ends == {"baseline": 4, "auto": 4, "within-ramp": 3}


def test_its_first_epochs_are_shown_and_tracked_once(tiny_settings, tmp_path, monkeypatch):
    shown, tracked = [], []
    monkeypatch.setattr(
        "accelerate.Accelerator.log",
        lambda self, values, step: tracked.append(step) if self.trackers else None,
    )

    class Collects(Silent):
        def epoch(self, row):
            shown.append((row["epoch"], row["alpha"]))

    trackers = "training.trackers=[tensorboard]"
    folder = train(tmp_path / "run", [*tiny_settings, *SHARED, trackers], reporter=Collects())
    rows = History(folder.history).rows()
    # First that of the pilot at full strength.
    assert shown == [(1, 1.0), *[(row["epoch"], row["alpha"]) for row in rows]]
    assert shown[1] == (1, 0.0)
    assert tracked == [row["step"] for row in rows]


@pytest.mark.parametrize("stop", [2, 3, 4, 8])
@pytest.mark.parametrize(
    "more",
    [
        ["schedule.pilot=0.4"],
        ["schedule.pilot=0.1", "schedule.pilot_restart=within-ramp", "training.epochs=10"],
    ],
    ids=["baseline", "within-ramp"],
)
def test_resume_is_exact_before_and_after_the_verdict(tiny_settings, tmp_path, stop, more):
    settings = [*tiny_settings, *SHARED, *more, "training.checkpoint_every=1"]
    whole = train(tmp_path / "whole", settings)
    with pytest.raises(MemoryError):
        train(tmp_path / "run", settings, reporter=CrashAfter(stop))
    resumed = train(tmp_path / "run", settings, resume=True)
    assert_same(result(resumed), result(whole))
    assert resumed.facts()["pilot"] == whole.facts()["pilot"]


@pytest.mark.parametrize("place", ["pilot", "history"])
def test_killed_between_the_verdict_and_the_first_checkpoint(
    tiny_settings, tmp_path, monkeypatch, place
):
    settings = [*tiny_settings, *SHARED]
    whole = train(tmp_path / "whole", settings)
    write, append = RunFolder.set_status, History.append

    def dies_after_the_verdict(folder, status, **facts):
        write(folder, status, **facts)
        if "pilot" in facts:
            raise MemoryError("planted")

    def dies_after_a_row(history, row):
        append(history, row)
        if row["alpha"] == 0:
            raise MemoryError("planted")

    with monkeypatch.context() as patch:
        if place == "pilot":
            patch.setattr(RunFolder, "set_status", dies_after_the_verdict)
        else:
            patch.setattr(History, "append", dies_after_a_row)
        with pytest.raises(MemoryError):
            train(tmp_path / "run", settings)
    resumed = train(tmp_path / "run", settings, resume=True)
    assert_same(result(resumed), result(whole))
    assert resumed.facts()["pilot"] == whole.facts()["pilot"]


def test_a_passed_pilot_keeps_no_baseline(tiny_settings, tmp_path, verdict):
    verdict(True)
    folder = train(tmp_path / "run", [*tiny_settings, *SHARED])
    fixed = train(tmp_path / "fix", [*tiny_settings, "schedule=fix"])
    assert_same((result(folder)[0], []), (result(fixed)[0], []))
    assert not folder.baseline.exists()


@pytest.mark.parametrize("stop", [None, 4, 7, 8])
def test_a_run_that_falls_behind_has_a_ramp_after_all(
    tiny_settings, tmp_path, verdict, monkeypatch, stop
):
    verdict(True)

    def falls_behind(pilot, epoch, clean):
        return epoch == 2 * pilot.epochs

    monkeypatch.setattr(Pilot, "falls_behind", falls_behind)
    settings = [*tiny_settings, *SHARED, "training.epochs=6", "training.checkpoint_every=1"]
    settings += ["schedule.pilot=0.2", "schedule.min_skill=1"]
    folder = train(tmp_path / "run", settings)
    rows = result(folder)[1]
    assert [row["alpha"] for row in rows[:2]] == [1, 1]
    # At a third of the run alpha falls to the bound, which rises from a quarter to three quarters.
    alphas = [alpha for row in rows[2:] for alpha in row["step_alpha"]]
    assert alphas[0] == pytest.approx((1 / 3 - 0.25) / 0.5)
    assert alphas == sorted(alphas)
    assert alphas[-1] == 1
    codes = [[alert["code"] for alert in row.get("alerts", ())] for row in rows]
    assert [("fell-behind" in one) for one in codes] == [False, True, False, False, False, False]
    if stop:
        with pytest.raises(MemoryError):
            train(tmp_path / "stopped", settings, reporter=CrashAfter(stop))
        resumed = train(tmp_path / "stopped", settings, resume=True)
        assert_same(result(resumed), result(folder))


def test_nothing_is_said_where_the_ramp_has_ended(tiny_settings, tmp_path, verdict, monkeypatch):
    verdict(True)
    monkeypatch.setattr(Pilot, "falls_behind", lambda pilot, epoch, clean: epoch == 2)
    early = ["schedule.start=0.1", "schedule.deadline=0.3", "schedule.ramp=0.2"]
    folder = train(tmp_path / "run", [*tiny_settings, *SHARED, *early])
    rows = result(folder)[1]
    assert [row["alpha"] for row in rows] == [1, 1, 1]
    assert not any(a["code"] == "fell-behind" for row in rows for a in row.get("alerts", ()))


@pytest.mark.parametrize(
    "more", ["callbacks=ema", "strategies=linear-probe", "training.linear_probe=true"]
)
def test_a_run_that_the_baseline_does_not_begin_is_refused(tiny_settings, more):
    with pytest.raises(InvalidArgument, match="schedule.pilot_restart=baseline"):
        load_config(None, [*tiny_settings, *SHARED, more])


@pytest.mark.parametrize(
    ("more", "continues"),
    [
        ([], True),
        (["training.epochs=9"], False),
        (["training.epochs=9", "schedule.pilot_restart=auto"], True),
        (["schedule.pilot_restart=start"], False),
        (["callbacks=ema"], False),
        (["strategies=linear-probe"], False),
        (["training.linear_probe=true"], False),
        (["schedule=two-hinge"], False),
    ],
)
def test_by_default_the_run_continues_where_the_baseline_is_its_beginning(
    tiny_settings, more, continues
):
    adaptive = ["schedule=adaptive", "training.epochs=10"]
    assert load_config(None, [*tiny_settings, *adaptive, *more]).continues_baseline == continues


def test_other_words_are_refused(tiny_settings):
    with pytest.raises(InvalidArgument, match="pilot_stop=sure.*'certain'"):
        load_config(None, [*tiny_settings, *SHARED, "schedule.pilot_stop=sure"])
