from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from rampart.attacks.apgd import Apgd
from rampart.attacks.pgd import Pgd
from rampart.errors import InvalidArgument
from rampart.evaluation.critical import critical_strengths, default_grid, merge
from rampart.metrics.curve import accuracy_curve
from rampart.runtime import scoped_seed
from rampart.units import parse_eps

LINF = default_grid(32 / 255, "linf")
L2 = default_grid(0.3, "l2")
ARRAYS = ("samples", "labels", "predictions", "critical")


def small_net() -> nn.Module:
    with scoped_seed(0):
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 24), nn.Tanh(), nn.Linear(24, 3))


def equal(a, b) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ARRAYS)


@pytest.mark.parametrize("attack", [Apgd(keep="broken"), Pgd(keep="broken")])
def test_equals_the_closed_form_for_a_linear_model_linf(task, attack):
    found = critical_strengths(task.model, task.batches(16), attack, LINF, seed=0)
    expected = task.critical(LINF, "linf")
    np.testing.assert_array_equal(found.critical, expected)
    # The task tests something: wrong ones, broken ones of many strengths, and survivors.
    assert {0, len(LINF)} <= set(expected)
    assert len(set(expected)) > 10


def test_equals_the_closed_form_for_a_linear_model_l2(task):
    attack = Apgd(norm="l2", keep="broken", steps=20)
    found = critical_strengths(task.model, task.batches(16), attack, L2, seed=0)
    np.testing.assert_array_equal(found.critical, task.critical(L2, "l2"))
    assert set(found.critical) == set(range(len(L2) + 1))


def test_reports_samples_labels_and_predictions(task):
    found = critical_strengths(task.model, task.batches(16), Apgd(), (0.0,), seed=0)
    logits = task.model(task.images.float() / 255)
    np.testing.assert_array_equal(found.samples, np.arange(60))
    np.testing.assert_array_equal(found.labels, task.labels)
    np.testing.assert_array_equal(found.predictions, logits.argmax(1))
    np.testing.assert_array_equal(found.critical, (logits.argmax(1) == task.labels).int())
    assert (found.forwards, found.backwards) == (60, 0)


@pytest.mark.parametrize("size", [1, 7])
def test_does_not_depend_on_the_batch_size(task, size):
    model, attack, grid = small_net(), Apgd(keep="broken", steps=4), LINF[:8]
    whole = critical_strengths(model, task.batches(60), attack, grid, seed=3)
    parts = critical_strengths(model, task.batches(size), attack, grid, seed=3)
    assert equal(whole, parts)
    assert (whole.forwards, whole.backwards) == (parts.forwards, parts.backwards)
    assert len(set(whole.critical)) > 4


def test_shares_of_two_processes_merge_into_the_whole(task):
    model, attack, grid = small_net(), Apgd(keep="broken", steps=4), LINF[:8]
    whole = critical_strengths(model, task.batches(16), attack, grid, seed=3)
    shares = [
        critical_strengths(model, task.batches(16, torch.arange(start, 60, 2)), attack, grid, 3)
        for start in (1, 0)
    ]
    empty = critical_strengths(model, [], attack, grid, seed=3)
    merged = merge([*shares, empty])
    assert equal(merged, whole)
    assert (merged.forwards, merged.backwards) == (whole.forwards, whole.backwards)
    assert merged.seconds == max(share.seconds for share in shares)


def test_merge_refuses_a_sample_that_comes_twice(task):
    part = critical_strengths(task.model, task.batches(60), Apgd(), (0.0,), seed=0)
    with pytest.raises(InvalidArgument, match="sample 0 twice"):
        merge([part, part])


def test_counts_passes_and_attacks_only_who_stands(task):
    class Unbreakable(nn.Module):
        def forward(self, images):
            return torch.tensor([1.0, 0.0]) + 0 * images.flatten(1)[:, :2]

    right = int((task.labels == 0).sum())
    attack = Apgd(steps=3, keep="broken")
    found = critical_strengths(Unbreakable(), task.batches(16), attack, LINF[:6], seed=0)
    assert 0 < right < 60
    # Five strengths: 4 forwards of the attack and one that checks it; nothing for wrong ones.
    assert (found.forwards, found.backwards) == (60 + right * 5 * 5, right * 5 * 3)
    np.testing.assert_array_equal(found.critical == 6, task.labels == 0)


def test_the_curve_never_rises(task):
    found = critical_strengths(small_net(), task.batches(16), Apgd(steps=2), LINF, seed=0)
    assert (np.diff(accuracy_curve(found.critical, len(LINF) - 1)) <= 0).all()


def test_leaves_the_model_as_found(task):
    batch_norm = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten())
    model = nn.Sequential(batch_norm, nn.Dropout(), nn.Linear(8, 2)).train()
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    critical_strengths(model, task.batches(16), Apgd(steps=2), LINF[:3], seed=0)
    assert [m.training for m in model.modules()] == [True] * 5 + [False, True]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


@dataclass(frozen=True)
class Cheat:
    """No attack of the registry: those cannot leave the ball. Returns what a test wants."""

    shift: float
    norm: str = "linf"

    def __call__(self, model, images, targets, eps, noise, loss=None):
        return images + self.shift


@pytest.mark.parametrize("shift", [0.01, -0.9, float("nan")])
def test_an_attack_that_leaves_the_ball_stops_the_evaluation(task, shift):
    with pytest.raises(InvalidArgument, match=r"attack=Cheat: expected images within linf 1/255"):
        critical_strengths(task.model, task.batches(16), Cheat(shift), LINF, seed=0)


def test_an_image_counts_as_broken_only_where_it_is_misclassified(task):
    found = critical_strengths(task.model, task.batches(16), Cheat(0.0), LINF, seed=0)
    assert set(found.critical) == {0, len(LINF)}


def test_tells_how_far_it_is(task):
    seen = []
    critical_strengths(task.model, task.batches(25), Apgd(), (0.0,), 0, on_progress=seen.append)
    assert seen == [25, 50, 60]


def test_default_grid_is_whole_grey_levels():
    for levels in range(1, 256):
        grid = default_grid(parse_eps(f"{levels}/255"), "linf")
        assert grid == tuple(k / 255 for k in range(levels + 1))


def test_default_grid_ends_at_eps():
    assert default_grid(2.5 / 255, "linf") == (0.0, 1 / 255, 2 / 255, 2.5 / 255)
    assert default_grid(0.5 / 255, "linf") == (0.0, 0.5 / 255)
    assert default_grid(0.3, "l2")[-1] == 0.3
    assert np.diff(default_grid(0.3, "l2")) == pytest.approx([0.3 / 8] * 8)
    assert default_grid(0.0, "linf") == default_grid(0.0, "l2") == (0.0,)


def test_refuses_a_grid_that_does_not_ascend(task):
    with pytest.raises(InvalidArgument, match="grid="):
        critical_strengths(task.model, task.batches(16), Apgd(), (0.0, 0.2, 0.1), seed=0)
