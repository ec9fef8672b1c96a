"""AutoLoRA: its weights, which term trains which weights, and when it measures the accuracy."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from rampart import RobustLoss
from rampart.errors import InvalidArgument, ModelError
from rampart.models.backbones import build_model
from rampart.objectives.autolora import AutoLora
from rampart.runtime import scoped_seed
from rampart.schedules.hinge import Fix
from rampart.strategies.autolora import AutoLoraBranch
from rampart.units import Horizon

pytest.importorskip("peft")

LABELS = torch.tensor([0, 1, 2, 0])


@pytest.fixture
def model():
    options = {"in_chans": 3}
    made = build_model(
        "rampart_glyphnet", num_classes=3, pretrained=False, options=options, image_size=8
    )
    AutoLoraBranch(rank=2).prepare(made, 0)
    with torch.no_grad(), scoped_seed(1):
        for name, parameter in made.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    return made


@pytest.fixture
def images():
    with scoped_seed(3):
        return torch.rand(4, 3, 8, 8)


def perturb(images, labels, loss):
    """Stands for an attack."""
    return (images + 0.1).clamp(max=1)


def groups(model):
    head = {id(p) for p in model.backbone.get_classifier().parameters()}
    kinds = {"branch": [], "head": [], "backbone": []}
    for name, parameter in model.named_parameters():
        kind = "branch" if "lora_" in name else "head" if id(parameter) in head else "backbone"
        kinds[kind].append(parameter)
    return kinds


def gradients(model, loss):
    """The gradient of every group as one vector; None if no weight of it has one."""
    found = {}
    for kind, parameters in groups(model).items():
        each = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True)
        some = [one.flatten() for one in each if one is not None]
        found[kind] = torch.cat(some) if some else None
    return found


def outputs(model, images):
    """Logits of the network with its branch, and of the network alone on perturbed images."""
    with model.branch.taken():
        clean = model(images)
    return clean, model(perturb(images, None, None))


def terms_by_hand(model, images):
    """Clean cross-entropy, adversarial cross-entropy and divergence, with every gradient."""
    clean, perturbed = outputs(model, images)
    p = clean.softmax(1)
    divergence = (p * (p.log() - perturbed.log_softmax(1))).sum(1).mean()
    return F.cross_entropy(clean, LABELS), F.cross_entropy(perturbed, LABELS), divergence


@pytest.mark.parametrize(("right", "l1", "l2"), [(0, 1.0, 0.0), (3, 0.25, 4.5), (4, 0.0, 6.0)])
def test_the_weights_follow_the_clean_accuracy(model, images, right, l1, l2):
    objective = AutoLora().bind(model)
    model.branch.count(torch.arange(4) < right)
    objective.begin_step(0, Horizon(1, 8))
    clean, adversarial, divergence = terms_by_hand(model, images)
    loss = objective(model, images, LABELS, perturb).loss.mean()
    expected = l1 * clean + (1 - l1) * adversarial + l2 * divergence
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("flow", ["apart", "published"])
def test_each_term_trains_its_own_weights(model, images, flow):
    objective, sa = AutoLora(flow=flow).bind(model), 0.75
    model.branch.accuracy.fill_(sa)
    found = gradients(model, objective(model, images, LABELS, perturb).loss.mean())
    clean, adversarial, divergence = (gradients(model, one) for one in terms_by_hand(model, images))
    l1, l2 = 1 - sa, 6 * sa
    # g(x) is fixed for the backbone, which the divergence reaches through perturbed images alone.
    with torch.no_grad():
        target = outputs(model, images)[0].softmax(1)
    _, perturbed = outputs(model, images)
    one_sided = gradients(model, (target * (target.log() - perturbed.log_softmax(1))).sum(1).mean())
    backbone = (1 - l1) * adversarial["backbone"] + l2 * one_sided["backbone"]
    torch.testing.assert_close(found["backbone"], backbone)
    branch, head = l1 * clean["branch"], l1 * clean["head"]
    if flow == "published":
        branch = branch + l2 * divergence["branch"]
        head = head + (1 - l1) * adversarial["head"] + l2 * divergence["head"]
    torch.testing.assert_close(found["branch"], branch)
    torch.testing.assert_close(found["head"], head)
    assert adversarial["branch"] is None, "perturbed images leave the branch"


def test_every_weight_is_trained_again_after_a_loss(model, images):
    AutoLora().bind(model)(model, images, LABELS, perturb).loss.sum().backward()
    assert all(p.requires_grad for p in model.parameters())
    assert all(p.grad is not None for p in model.parameters())


def test_without_an_attack_the_formula_stays(model, images):
    objective = AutoLora().bind(model)
    here = objective(model, images, LABELS, None).loss
    there = objective(model, images, LABELS, lambda images, labels, loss: images).loss
    assert torch.equal(here, there)


def test_the_accuracy_is_measured_anew_four_times_an_epoch(model):
    objective, horizon, found = AutoLora().bind(model), Horizon(2, 10), []
    for step in range(20):
        objective.begin_step(step, horizon)
        found.append(model.branch.accuracy.item())
        model.branch.count(torch.arange(10) < step % 11)
    anew = [step for step in range(1, 20) if found[step] != found[step - 1]]
    assert anew == [3, 5, 8, 10, 13, 15, 18]
    assert found[:3] == [pytest.approx(1 / 3)] * 3, "chance, before anything is measured"
    assert found[5] == pytest.approx((3 + 4) / 20)


@pytest.mark.parametrize("refreshes", [1, 3, 4, 7])
def test_an_epoch_measures_as_often_as_asked_whatever_its_steps(model, monkeypatch, refreshes):
    objective, begun = AutoLora(refreshes=refreshes).bind(model), []
    monkeypatch.setattr(model.branch, "end_period", lambda: begun.append(step))
    for steps in (1, 2, 3, 4, 5, 7, 9, 10, 13, 100, 391):
        begun.clear()
        for step in range(2 * steps):
            objective.begin_step(step, Horizon(2, steps))
        assert len(begun) == 2 * min(refreshes, steps)
        gaps = {after - before for before, after in pairwise([*begun, 2 * steps])}
        assert max(gaps) - min(gaps) <= 1, "evenly"


def test_validation_is_not_counted(model, images):
    objective = AutoLora().bind(model)
    with torch.no_grad():
        objective(model, images, LABELS, perturb)
    assert model.branch.seen == 0


def test_a_model_without_a_branch_is_refused():
    plain = build_model("rampart_glyphnet", num_classes=3, pretrained=False, image_size=8)
    with pytest.raises(ModelError, match="AutoLoraBranch"):
        AutoLora().bind(plain)
    with pytest.raises(ModelError, match="bind"):
        AutoLora()(plain, None, None, None)


def test_a_loop_of_its_own_trains_both_paths(model, images):
    robust = RobustLoss(model, 4 / 255, Horizon(1, 4), schedule=Fix(), objective=AutoLora())
    with torch.no_grad():
        robust(images, LABELS)
    robust(images[:2], LABELS[:2]).backward()
    robust(images[2:], LABELS[2:]).backward()
    robust.step()
    assert all(p.grad is not None for p in model.parameters())
    assert model.branch.seen == 4
    robust(images, LABELS)
    assert model.branch.seen == 4, "a new period has begun"


@pytest.mark.parametrize("options", [{"scale": -1.0}, {"refreshes": 0}, {"flow": "both"}])
def test_impossible_options(options):
    with pytest.raises((InvalidArgument, ValueError), match=next(iter(options))):
        AutoLora(**options)
