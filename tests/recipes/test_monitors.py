"""Monitors in whole runs: planted faults are named, sound runs are left alone, nothing changes."""

import json
import os
import signal

import pytest
import torch
from safetensors.torch import load_file

from rampart.errors import RunError
from rampart.recipes.config.loading import load_config
from rampart.recipes.monitors import make_monitors
from rampart.recipes.splits import make_splits
from rampart.recipes.train import train_run
from rampart.runs.history import History
from rampart.runs.run_folder import RunFolder
from rampart.training.interrupts import Interrupted
from rampart.training.reporting import Silent

TIMES = ("seconds", "data_seconds", "images_per_second")
#: What the monitors add to a row.
ADDED = (
    "alerts",
    "baseline_epochs",
    "baseline_clean",
    "monitor_fgsm",
    "monitor_pgd10",
    "monitor_gap",
    "monitor_carried",
    "monitor_passes",
)
#: So strong that three epochs do not get above chance, while standard fine-tuning does in two.
STALLED = ("schedule=fix", "threat.eps=128/255", "training.epochs=4")


class Heard(Silent):
    """Collects the warnings; requests a stop after a number of steps."""

    def __init__(self, steps=0):
        self.left, self.warnings = steps, []

    def step(self, epoch, eps):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGTERM)

    def warn(self, text):
        self.warnings.append(text)


def trained(settings, output, **arguments):
    return train_run(load_config(None, settings), output, **arguments)


def rows_of(folder, without=TIMES):
    rows = History(folder.history).rows()
    return [{key: value for key, value in row.items() if key not in without} for row in rows]


def codes(folder):
    return [
        (row["epoch"], alert["code"])
        for row in History(folder.history).rows()
        for alert in row.get("alerts", [])
    ]


def test_a_sound_run_raises_no_alert(tiny_settings, tmp_path):
    reporter = Heard()
    settings = [*tiny_settings, "threat.eps=2/255", "schedule=linear"]
    folder = trained(settings, tmp_path / "run", reporter=reporter)
    assert all("alerts" not in row for row in rows_of(folder))
    assert reporter.warnings == []


def test_a_stalled_run_raises_an_alert_and_does_not_change(tiny_settings, tmp_path):
    torch.manual_seed(5)
    before, reporter = torch.get_rng_state(), Heard()
    with_monitors = trained([*tiny_settings, *STALLED], tmp_path / "a", reporter=reporter)
    assert torch.equal(torch.get_rng_state(), before)
    without = trained([*tiny_settings, *STALLED, "training.monitors=false"], tmp_path / "b")
    assert "suboptimal-transfer" in [code for _, code in codes(with_monitors)]
    assert any("suboptimal transfer" in w for w in reporter.warnings)
    assert rows_of(with_monitors, (*TIMES, *ADDED)) == rows_of(without)
    ours, theirs = (load_file(f.model / "model.safetensors") for f in (with_monitors, without))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("steps", [2, 7])
def test_a_resumed_run_raises_the_same_alerts(tiny_settings, tmp_path, steps):
    settings = [*tiny_settings, *STALLED]
    whole = trained(settings, tmp_path / "whole")
    heard = Heard(steps)
    with pytest.raises(Interrupted):
        trained(settings, tmp_path / "run", reporter=heard)
    again = Heard()
    parts = trained(settings, tmp_path / "run", reporter=again, resume=True)
    assert rows_of(parts) == rows_of(whole)
    assert len(heard.warnings + again.warnings) == len(codes(whole)) > 0


def test_a_single_step_is_compared_with_ten(tiny_settings, tmp_path):
    settings = [*tiny_settings, "attack={name: fgsm}"]
    rows = rows_of(trained(settings, tmp_path / "run"))
    assert "monitor_fgsm" not in rows[0], "nothing is attacked in the first epoch"
    for row in rows[1:]:
        assert 0 <= row["monitor_pgd10"] <= 1
        assert row["monitor_gap"] == row["monitor_fgsm"] - row["monitor_pgd10"]


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ([], ["divergence", "overfitting", "batch-norm", "transfer"]),
        (["training.on_overfitting=warn"], ["divergence", "batch-norm", "transfer"]),
        (["attack.steps=4"], ["divergence", "batch-norm", "transfer"]),
        (["attack.steps=4", "model.batch_norm=frozen"], ["divergence", "transfer"]),
        (["attack.steps=4", "strategies=linear-probe"], ["divergence", "transfer"]),
        (["attack.steps=1"], ["divergence", "overfitting", "batch-norm", "transfer"]),
        (
            ["attack={name: fgsm}", "objective=trades"],
            ["divergence", "overfitting", "batch-norm", "transfer"],
        ),
        (["attack={name: fgsm}", "objective=standard"], ["divergence"]),
        (["attack={name: fgsm}", "threat.eps=0"], ["divergence"]),
        (["attack={name: fgsm}", "training.monitors=false"], ["overfitting"]),
        (["attack={name: fgsm}", "training.monitors=false", "training.on_overfitting=warn"], []),
        (["training.monitors=false"], ["overfitting"]),
        (["attack.steps=4", "training.monitors=false"], []),
    ],
)
def test_a_run_has_the_monitors_that_apply(tiny_settings, more, names):
    config = load_config(None, [*tiny_settings, *more])
    monitors = make_monitors(config, make_splits(config), lambda epochs: 0.5, 8)
    assert [monitor.name for monitor in monitors] == names


@pytest.mark.parametrize(
    ("more", "advice"),
    [
        (["schedule=fix"], "use a ramp: schedule=adaptive, try another"),
        (["schedule=adaptive"], "raise eps later or more slowly, try another optimizer.head_lr or"),
        (
            ["schedule=two-hinge"],
            "raise eps later or more slowly, try another optimizer.head_lr or",
        ),
        (["objective=trades"], "raise eps later or more slowly or try another optimizer.head_lr"),
    ],
)
def test_the_advice_offers_changes_to_the_run(tiny_settings, more, advice):
    config = load_config(None, [*tiny_settings, *more])
    transfer = make_monitors(config, make_splits(config), lambda epochs: 0.5, 8)[-1]
    assert transfer.advice.startswith(advice)
    assert ("objective=trades" in transfer.advice) == ("objective=trades" not in more)


def test_learning_rates_that_are_far_too_large(tiny_settings, tmp_path):
    settings = [*tiny_settings, "schedule=standard", "optimizer.backbone_lr=1"]
    folder = trained([*settings, "optimizer.head_lr=30"], tmp_path / "run")
    assert codes(folder)[0][1] == "exploding-loss"


def test_weights_that_are_not_finite_are_not_saved(tiny_settings, tmp_path):
    """The last step of the second epoch breaks a weight; no loss is computed after it."""

    def plant(run, splits):
        def spoil(optimizer, arguments, options):
            if run.step == 5:
                run.bare_model.backbone.head.weight.data[0, 0] = float("inf")

        run.optimizer.optimizer.register_step_post_hook(spoil)

    folder = RunFolder(tmp_path / "run")
    with pytest.raises(RunError, match=r"backbone.head.weight .* not finite after step 6"):
        trained(tiny_settings, folder.path, announce=plant)
    (kept,) = folder.checkpoints.iterdir()
    assert json.loads((kept / "state.json").read_text())["step"] == 3
    assert len(rows_of(folder)) == 1


def test_a_checkpoint_within_an_epoch_is_checked_too(tiny_settings, tmp_path):
    def plant(run, splits):
        def spoil(optimizer, arguments, options):
            if run.step == 3:
                run.bare_model.backbone.head.bias.data[0] = float("nan")

        run.optimizer.optimizer.register_step_post_hook(spoil)

    settings = [*tiny_settings, "training.checkpoint_every=1"]
    with pytest.raises(RunError, match=r"backbone.head.bias .* not finite after step 4"):
        trained(settings, tmp_path / "run", announce=plant)
    (kept,) = RunFolder(tmp_path / "run").checkpoints.iterdir()
    assert json.loads((kept / "state.json").read_text())["step"] == 3


def test_monitors_may_be_switched_off_on_resume(tiny_settings, tmp_path):
    settings = [*tiny_settings, *STALLED]
    with pytest.raises(Interrupted):
        trained(settings, tmp_path / "run", reporter=Heard(2))
    folder = trained([*settings, "training.monitors=false"], tmp_path / "run", resume=True)
    assert codes(folder) == []
