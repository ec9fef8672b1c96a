"""Warm starts, few steps and attacks that leave the ball in whole runs."""

import os
import signal

import pytest
import torch
from safetensors.torch import load_file

from rampart.attacks.pgd import Pgd
from rampart.errors import InvalidArgument
from rampart.recipes.config.loading import load_config
from rampart.recipes.train import train_run
from rampart.recipes.validation import validation_attack
from rampart.runs.history import History
from rampart.training.interrupts import Interrupted
from rampart.training.monitors import overfitting
from rampart.training.reporting import Silent

FIX = ["schedule=fix", "attack={name: pgd, steps: 2}", "data.augment.rotation=0"]
WARM = [*FIX, "training.warm_start=true"]


class StopAfter(Silent):
    def __init__(self, steps):
        self.left = steps

    def step(self, epoch, eps):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGTERM)


def train(settings, folder, **options):
    return train_run(load_config(None, settings), folder, **options)


def result(folder):
    times = ("seconds", "data_seconds", "images_per_second")
    rows = [{k: v for k, v in r.items() if k not in times} for r in History(folder.history).rows()]
    return load_file(folder.model / "model.safetensors"), rows


def assert_same(a, b):
    assert all(torch.equal(a[0][name], b[0][name]) for name in b[0])
    assert a[1] == b[1]


@pytest.mark.parametrize("stop", [2, 5, 6])
def test_a_warm_start_resumes_exactly(tiny_settings, tmp_path, stop):
    settings = [*tiny_settings, *WARM]
    whole = result(train(settings, tmp_path / "whole"))
    with pytest.raises(Interrupted):
        train(settings, tmp_path / "run", reporter=StopAfter(stop))
    assert_same(result(train(settings, tmp_path / "run", resume=True)), whole)


def test_a_warm_start_changes_the_second_epoch_and_no_passes(tiny_settings, tmp_path):
    warm, cold = (
        result(train([*tiny_settings, *settings], tmp_path / name))[1]
        for name, settings in (("warm", WARM), ("cold", FIX))
    )
    assert warm[0]["train_loss"] == cold[0]["train_loss"]
    assert warm[1]["train_loss"] != cold[1]["train_loss"]
    assert [row["forwards"] for row in warm] == [row["forwards"] for row in cold]


@pytest.mark.parametrize(
    ("more", "refused"),
    [
        (["data.augment.rotation=15"], "data.augment.rotation=15.*angle"),
        (["attack={name: n-fgsm}"], "training.warm_start.*attack=pgd"),
    ],
)
def test_a_warm_start_that_cannot_fit_is_refused(tiny_settings, more, refused):
    with pytest.raises(InvalidArgument, match=refused):
        load_config(None, [*tiny_settings, *WARM, *more])


def test_n_fgsm_trains_and_is_validated_within_the_ball(tiny_settings, tmp_path):
    settings = [*tiny_settings, "schedule=fix", "attack={name: n-fgsm}"]
    config = load_config(None, settings)
    assert validation_attack(config) == Pgd(steps=7)
    rows = result(train_run(config, tmp_path / "run"))[1]
    assert [(row["forwards"], row["backwards"]) for row in rows] == [(48, 48)] * 3
    with pytest.raises(InvalidArgument, match="evaluation.attack=n-fgsm"):
        load_config(None, [*settings, "evaluation.attack={name: n-fgsm}"])


def test_the_fewest_steps_while_eps_is_small(tiny_settings, tmp_path):
    settings = [*tiny_settings, "attack={name: pgd, steps: 4}", "schedule=linear"]
    rows = result(train([*settings, "training.fewest_attack_steps=1"], tmp_path / "run"))[1]
    # None at eps = 0, then ceil(4 t/9) for t = 1 to 8; and one forward of training each.
    taken = [0, 1, 1, 2, 2, 3, 3, 4, 4]
    expected = [sum(8 * (k + 1) for k in taken[start : start + 3]) for start in (0, 3, 6)]
    assert [row["forwards"] for row in rows] == expected


@pytest.mark.parametrize(
    ("attack", "before"), [("{name: fgsm}", 2), ("{name: pgd, steps: 2}", 3)], ids=["one", "few"]
)
def test_an_attack_that_misleads_gets_more_steps(
    tiny_settings, tmp_path, monkeypatch, attack, before
):
    """The monitor is made to find the overfitting in the first epoch."""
    monkeypatch.setattr(overfitting, "collapsed", lambda *_: True)
    monkeypatch.setattr("rampart.recipes.monitors.FEW_SHARE", 100.0)
    settings = [*tiny_settings, "schedule=fix", f"attack={attack}"]
    settings += ["training.on_overfitting=more-steps"]
    whole = result(train(settings, tmp_path / "whole"))
    assert [row["forwards"] for row in whole[1]] == [24 * before, 24 * 8, 24 * 8]
    assert [row.get("attack_steps") for row in whole[1]] == [None, 7, 7]
    assert "the attack takes 7 steps" in whole[1][0]["alerts"][0]["message"]
    with pytest.raises(Interrupted):
        train(settings, tmp_path / "run", reporter=StopAfter(5))
    assert_same(result(train(settings, tmp_path / "run", resume=True)), whole)


@pytest.mark.parametrize("monitors", ["true", "false"])
def test_by_default_an_attack_of_few_steps_gets_more_also_without_other_monitors(
    tiny_settings, tmp_path, monkeypatch, monitors
):
    monkeypatch.setattr(overfitting, "collapsed", lambda *_: True)
    monkeypatch.setattr("rampart.recipes.monitors.FEW_SHARE", 100.0)
    settings = [*tiny_settings, "schedule=fix", f"training.monitors={monitors}"]
    rows = result(train(settings, tmp_path / "run"))[1]
    assert [row.get("attack_steps") for row in rows] == [None, 7, 7]


@pytest.mark.parametrize(
    ("more", "steps"),
    [
        ([], 7),
        (["attack.steps=3"], 7),
        (["attack.steps=4"], 0),
        (["attack={name: fgsm}"], 7),
        (["attack.steps=4", "training.on_overfitting=more-steps"], 7),
        (["training.on_overfitting=warn"], 0),
    ],
)
def test_attacks_of_at_most_three_steps_get_more_by_default(tiny_settings, more, steps):
    assert load_config(None, [*tiny_settings, *more]).more_steps == steps
