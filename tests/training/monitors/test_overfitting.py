"""A network that is built to mislead one gradient, and one that is not."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from rampart.attacks.apgd import Apgd
from rampart.attacks.pgd import Fgsm, Pgd
from rampart.data.batches import Batch
from rampart.evaluation.accuracy import accuracy_in_turn
from rampart.training.monitors.overfitting import Overfitting, collapsed

EPS, N = 26 / 255, 32
LABELS = torch.arange(N) % 2
#: Class 0 is the gray level 77, class 1 is 179.
IMAGES = (77 + 102 * LABELS).view(N, 1, 1, 1).expand(N, 3, 4, 4).to(torch.uint8)
BATCH = Batch(IMAGES, LABELS, torch.arange(N))


class Bent(nn.Module):
    """Right at the image and a full step away from it; wrong half a step away."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images):
        gray = images.mean((1, 2, 3))
        side = torch.where(gray > 128 / 255, 1.0, -1.0)
        moved = gray - torch.where(gray > 128 / 255, 179 / 255, 77 / 255)
        margin = self.scale * side * torch.cos(2 * math.pi * moved / EPS)
        return torch.stack([-margin, margin], 1)


class Straight(nn.Module):
    """The gray level itself decides."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images):
        margin = self.scale * (images.mean((1, 2, 3)) - 128 / 255)
        return torch.stack([-margin, margin], 1)


def monitor(attack):
    def measure(model, attacks, eps):
        return accuracy_in_turn(model, [BATCH], attacks, eps)

    return Overfitting(attack, measure, N, 0.5)


def test_a_model_that_misleads_one_step_raises_one_alert():
    watcher, memory = monitor(Fgsm(step_size=2)), {}
    first = watcher.observe(Bent(), {"eps": EPS}, memory)
    assert first.figures == {"monitor_fgsm": 1.0, "monitor_pgd10": 0.0, "monitor_gap": 1.0}
    assert [alert.code for alert in first.alerts] == ["catastrophic-overfitting"]
    message = first.alerts[0].message
    for part in ("26/255", "32 validation images", "100.0 %", "0.0 % under it and PGD-10"):
        assert part in message
    for advice in ("attack=pgd attack.steps=7", "attack.step_size below 2"):
        assert advice in message
    assert not watcher.observe(Bent(), {"eps": EPS}, memory).alerts, "said once while it lasts"
    assert not watcher.observe(Straight(), {"eps": EPS}, memory).alerts
    assert watcher.observe(Bent(), {"eps": EPS}, memory).alerts, "said again when it comes back"


@pytest.mark.parametrize("attack", [Fgsm(), Fgsm(start="none"), Pgd(steps=1)])
def test_a_sound_model_raises_no_alert(attack):
    observation = monitor(attack).observe(Straight(), {"eps": EPS}, {})
    assert observation.figures["monitor_fgsm"] == observation.figures["monitor_pgd10"] == 1.0
    assert not observation.alerts


def test_nothing_is_measured_without_an_attack():
    observation = monitor(Fgsm()).observe(Bent(), {"eps": 0.0}, {})
    assert (dict(observation.figures), observation.alerts) == ({}, ())


def test_the_advice_fits_the_attack():
    said = [
        monitor(a)._advise_single_step() for a in (Fgsm(start="none"), Pgd(steps=1), Apgd(steps=1))
    ]
    assert said[0].endswith("attack.start=uniform")
    assert said[1] == said[2]
    assert said[1].endswith("threat.eps")


@given(several=st.floats(0, 1), more=st.floats(0, 1), images=st.integers(1, 128))
def test_less_than_a_quarter_is_a_collapse_and_only_above_chance(several, more, images):
    single = several + (1 - several) * more
    if collapsed(single, several, 0.1, images):
        assert single > 0.1
        assert several < single / 4
    assert not collapsed(several, several, 0.1, images)


def test_few_images_prove_little():
    # 3 of 9 against none with 10 classes; the same fractions of 90 images.
    assert not collapsed(3 / 9, 0.0, 0.1, 9)
    assert collapsed(3 / 9, 0.0, 0.1, 90)


def test_what_counts_as_a_single_step():
    single, more = (Fgsm(), Pgd(steps=1), Apgd(steps=1)), (Pgd(steps=2), Apgd())
    assert all(attack.is_single_step for attack in single)
    assert not any(attack.is_single_step for attack in more)
