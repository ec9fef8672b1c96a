"""Criteria other than misclassification, on models whose logits are linear in one coordinate."""

import numpy as np
import pytest
import torch
from tasks import make_task
from test_critical import proven
from test_engine import attack_suite, net, photos
from torch import Tensor

from oracles import linear_model
from rampart.attacks.fab import Fab
from rampart.data.batches import Batch
from rampart.errors import InvalidArgument, UnknownName
from rampart.evaluation.criterion import Criterion, OutOfTopK, TargetReached, in_top_k
from rampart.evaluation.critical import critical_strengths
from rampart.losses import LOSSES

GRID = tuple(k / 255 for k in range(25))
#: Slopes of the classes' logits along one direction: class 0 leads on one side, 3 on the other.
SLOPES, OFFSETS = torch.tensor([3.0, 1.0, -1.0, -3.0]), torch.tensor([0.0, 0.1, 0.15, 0.0])


def line() -> tuple[Tensor, Tensor, Batch]:
    """A model with logits slope · t + offset, t = direction · (x - 1/2); images of class 0."""
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(16, generator=generator)
    weight = SLOPES[:, None] * direction
    bias = OFFSETS - weight.sum(1) / 2
    images = torch.randint(90, 165, (80, 1, 4, 4), generator=generator, dtype=torch.uint8)
    labels = (images.flatten(1) / 255 @ weight.T + bias).argmax(1)
    chosen = labels == 0
    return weight, bias, Batch(images[chosen], labels[chosen], torch.arange(int(chosen.sum())))


def crossings(batch: Batch, weight: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The coordinate t of each image, and its largest change per unit of strength (Linf)."""
    direction = (weight[0] / SLOPES[0]).double()
    t = (batch.images.flatten(1).double() / 255 - 0.5) @ direction
    return t.numpy(), float(direction.abs().sum())


@pytest.mark.parametrize("name", ["short", "standard"])
@pytest.mark.parametrize("top_k", [1, 2, 3])
def test_top_k_critical_strengths_equal_the_closed_form(top_k, name):
    weight, bias, batch = line()
    t, length = crossings(batch, weight)
    # Class 0 ranks behind class i where (slope_0 - slope_i) t = offset_i - offset_0.
    behind = np.sort(((OFFSETS - OFFSETS[0]) / (SLOPES[0] - SLOPES))[1:].numpy())[::-1]
    expected = np.searchsorted(GRID, (t - behind[top_k - 1]) / length)
    model = linear_model(weight, bias)
    criterion = Criterion(top_k=top_k)
    found = critical_strengths(
        model, [batch], attack_suite(name, steps=20), GRID, 0, criterion=criterion
    )
    np.testing.assert_array_equal(found.critical, expected)
    assert len(set(found.critical)) > 5


@pytest.mark.parametrize("name", ["apgd", "short", "standard", "plus"])
@pytest.mark.parametrize("target", ["likely", "least-likely"])
def test_critical_strengths_of_a_target_class_equal_the_closed_form(target, name):
    """Along t, the prediction changes from class 0 through the upper envelope to class 3."""
    weight, bias, batch = line()
    model = linear_model(weight, bias)
    t, length = crossings(batch, weight)
    logits = model(batch.pixels())
    wanted = Criterion(target=target).classes(logits, batch.labels)[:, 0]
    slopes, offsets = SLOPES.double().numpy(), OFFSETS.double().numpy()
    expected = []
    for start, chosen in zip(t, wanted.tolist(), strict=True):
        # The largest t at which the target class is predicted; inf if there is none.
        path = np.linspace(start, start - length * GRID[-1], 200_001)
        ahead = (slopes[:, None] * path + offsets[:, None]).argmax(0) == chosen
        way = (start - path[ahead.argmax()]) / length if ahead.any() else np.inf
        expected.append(np.searchsorted(GRID, way))
    criterion = Criterion(target=target)
    found = critical_strengths(
        model,
        [batch],
        attack_suite(name, steps=20),
        GRID,
        0,
        criterion=criterion,
        adversarial_examples=True,
    )
    # No critical strength is too small. The likely class has a short interval only, which
    # ascent may skip; FAB does not.
    assert (found.critical >= expected).all()
    if name in ("standard", "plus") or target == "least-likely":
        assert (found.critical == expected).mean() > 0.95
    adversarial_examples = torch.from_numpy(found.adversarial_examples)
    assert (model(adversarial_examples).argmax(1) == wanted[found.adversarial_rows]).all()
    assert len(set(expected)) > 3


@pytest.mark.parametrize(
    "criterion", [Criterion(top_k=2), Criterion(target="likely"), Criterion(target="least-likely")]
)
def test_other_criteria_need_at_least_the_strength_of_a_misclassification(criterion):
    """Leaving the top 2 or becoming a target class implies misclassification."""
    model = net(1)
    batch = photos(model, 30)
    options = {"adversarial_examples": True, "mode": "fast", "batch_size": 8}
    found = critical_strengths(
        model, [batch], attack_suite("standard"), GRID, 0, criterion=criterion, **options
    )
    plain = critical_strengths(model, [batch], attack_suite("standard"), GRID, 0, mode="exact")
    right = plain.critical > 0
    assert (found.critical >= plain.critical)[right].all()
    assert (found.critical > plain.critical)[right].any()
    assert not found.found.any() or proven(found, model, batch.pixels(), GRID, "linf")


def test_a_top_k_of_all_classes_is_refused():
    task = make_task(3)
    with pytest.raises(InvalidArgument, match="top_k=3: expected fewer than the 3 classes"):
        critical_strengths(
            task.model,
            task.batches(60),
            attack_suite("short"),
            GRID,
            0,
            criterion=Criterion(top_k=3),
        )


def test_in_top_k_counts_the_likeliest_classes():
    logits = torch.tensor([[3.0, 1.0, 2.0, 0.0], [1.0, 2.0, 3.0, 0.0]])
    labels = torch.tensor([2, 0])
    assert in_top_k(logits, labels, 1).tolist() == [False, False]
    assert in_top_k(logits, labels, 2).tolist() == [True, False]
    assert in_top_k(logits, labels, 3).tolist() == [True, True]


def test_the_losses_of_the_stages_apply_the_criterion():
    stages = attack_suite("plus").stages()
    assert Criterion().stages(stages) is stages
    top_k = Criterion(top_k=2).stages(stages)
    assert [stage.loss for stage in top_k] == [OutOfTopK(stage.loss, 2) for stage in stages]
    aimed = Criterion(target="likely").stages(stages)
    names = ["apgd-ce", "apgd-dlr", "square", "apgd-t", "fab-t"]
    losses = ["ce", "dlr", "margin", "dlr", "margin"]
    assert [stage.name for stage in aimed] == names, "untargeted FAB cannot be aimed"
    expected = [TargetReached(LOSSES.get(f"targeted-{loss}")()) for loss in losses]
    assert [stage.loss for stage in aimed] == expected
    assert {stage.targets for stage in aimed} == {1}


def test_wrapping_losses_accept_the_targets_of_the_inner_loss():
    labels, pairs = torch.tensor([0, 1]), torch.tensor([[0, 1], [1, 0]])
    logits = torch.tensor([[1.0, 2.0, 0.0], [0.0, 2.0, 1.0]])
    ce, targeted = LOSSES.get("ce")(), LOSSES.get("targeted-ce")()
    assert OutOfTopK(ce, 2).fits(labels)
    assert not OutOfTopK(ce, 2).fits(pairs)
    assert OutOfTopK(targeted, 2).fits(pairs)
    assert TargetReached(targeted).fits(pairs)
    assert torch.equal(TargetReached(targeted).value(logits, pairs), targeted.value(logits, pairs))
    assert OutOfTopK(targeted, 1).is_adv(logits, pairs).tolist() == [True, False]
    assert TargetReached(targeted).is_adv(logits, pairs).tolist() == [True, False]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"top_k": 0}, InvalidArgument, "top_k=0: expected at least 1"),
        ({"target": "best"}, UnknownName, "unknown target 'best'"),
        ({"top_k": 2, "target": "likely"}, InvalidArgument, "top_k=2"),
    ],
)
def test_impossible_criteria_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        Criterion(**options)


def test_a_loss_without_a_targeted_form_is_refused():
    stage = attack_suite("apgd", loss="kl").stages()
    with pytest.raises(InvalidArgument, match="loss=Kl: expected one of ce, dlr"):
        Criterion(target="likely").stages(stage)


def test_untargeted_fab_alone_has_no_stage_with_a_target_class():
    model, criterion = net(0), Criterion(target="likely")
    batch = photos(model, 4)
    with pytest.raises(InvalidArgument, match="attack=Fab"):
        critical_strengths(model, [batch], Fab(targets=0), GRID, 0, criterion=criterion)
