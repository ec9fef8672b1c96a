"""TWINS against a direct evaluation with both statistics, before and after steps."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rampart import Horizon, RobustLoss
from rampart.attacks.base import CountingModel
from rampart.attacks.pgd import Pgd
from rampart.errors import InvalidArgument, ModelError
from rampart.models.backbones import build_model
from rampart.models.normalized import NormalizedModel
from rampart.models.running_statistics import RunningStatistics
from rampart.objectives.twins import Twins
from rampart.runtime import Noise
from rampart.schedules.hinge import Fix

IMAGES = Noise.of(0, torch.arange(7), "test").uniform(1, 6, 6)
LABELS = torch.arange(7) % 3


def net():
    """A pretrained network: its statistics are not those of a fresh BatchNorm layer."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
        )
        norm = layers[1]
        norm.running_mean.uniform_(-0.3, 0.3)
        norm.running_var.uniform_(0.5, 2)
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.uniform_(norm.bias, -0.5, 0.5)
    return layers.train()


def shifted(images, targets=None, loss=None):
    return (images + 0.1).clamp(0, 1)


def logits_of(model, images, mean, var):
    """The network written out; `mean` and `var` (4,) normalize its features."""
    maps = F.conv2d(images, model[0].weight, model[0].bias)
    scale = model[1].weight / (var + model[1].eps).sqrt()
    maps = (maps - mean.view(4, 1, 1)) * scale.view(4, 1, 1) + model[1].bias.view(4, 1, 1)
    return F.linear(maps.relu().flatten(1), model[4].weight, model[4].bias)


def direct(model, pretrained, points, labels, weight, smoothing=0.0):
    """Loss, answers and running statistics after it, from the formula."""
    half = len(points) // 2
    frozen = logits_of(model, points[:half], pretrained.running_mean, pretrained.running_var)
    seen = F.conv2d(points[half:], model[0].weight, model[0].bias).transpose(0, 1).flatten(1)
    adaptive = logits_of(model, points[half:], seen.mean(1), seen.var(1, correction=0))
    loss = weight * F.cross_entropy(frozen, labels[:half], label_smoothing=smoothing)
    loss = loss + F.cross_entropy(adaptive, labels[half:], label_smoothing=smoothing)
    correct = torch.cat([frozen, adaptive]).argmax(1) == labels
    mean = 0.9 * model[1].running_mean + 0.1 * seen.mean(1).detach()
    var = 0.9 * model[1].running_var + 0.1 * seen.var(1).detach()
    return loss, correct, mean, var


@pytest.mark.parametrize("count", [6, 7])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_both_paths_follow_the_formula_over_steps(count, smoothing):
    model, pretrained = net(), net()[1]
    objective = Twins(label_smoothing=smoothing, weight=0.4).bind(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    images, labels = IMAGES[:count], LABELS[:count]
    for step in range(3):
        perturb = None if step == 0 else shifted
        points = shifted(images) if perturb else images
        loss, correct, mean, var = direct(model, pretrained, points, labels, 0.4, smoothing)
        expected = torch.autograd.grad(loss, list(model.parameters()))
        terms = objective(model, images, labels, perturb)
        torch.testing.assert_close(terms.loss.mean(), loss)
        assert terms.loss.shape == (count,)
        assert torch.equal(terms.correct, correct)
        terms.loss.mean().backward()
        for ours, theirs in zip(model.parameters(), expected, strict=True):
            torch.testing.assert_close(ours.grad, theirs)
        torch.testing.assert_close(model[1].running_mean, mean)
        torch.testing.assert_close(model[1].running_var, var)
        assert int(model[1].num_batches_tracked) == step + 1
        optimizer.step()
        optimizer.zero_grad()
    assert not torch.allclose(model[1].running_mean, pretrained.running_mean)


def test_a_single_image_takes_the_adaptive_path():
    model = net()
    objective = Twins().bind(model)
    loss = objective(model, IMAGES[:1], LABELS[:1], None).loss
    torch.testing.assert_close(loss, F.cross_entropy(net()(IMAGES[:1]), LABELS[:1])[None])


def test_it_needs_as_many_images_as_it_says():
    """Where BatchNorm meets one value of each image, a path of one image has no variance."""
    least = Twins.least_images
    model, images = net()[:3].append(nn.Flatten()), IMAGES[:least, :, :3, :3]
    objective = Twins().bind(model)
    assert objective(model, images, LABELS[:least], None).loss.isfinite().all()
    with pytest.raises(ValueError, match="more than 1 value"):
        objective(model, images[1:], LABELS[1:least], None)


def test_the_attack_meets_the_adaptive_path_and_the_whole_batch():
    model = net()
    objective = Twins().bind(model)
    for _ in range(3):
        model(shifted(IMAGES))
    own, answered = copy.deepcopy(model).eval()(IMAGES), []

    def perturb(images, targets, loss):
        assert torch.equal(images, IMAGES)
        assert torch.equal(targets, LABELS)
        assert loss is None
        model.eval()
        answered.append(model(images))
        model.train()
        return shifted(images)

    objective(model, IMAGES, LABELS, perturb)
    assert len(answered) == 1
    assert torch.equal(answered[0], own)
    assert not torch.allclose(net().eval()(IMAGES), own)


def test_it_costs_what_adversarial_training_costs():
    counting = CountingModel(net())
    terms = Twins().bind(counting.module)(counting, IMAGES, LABELS, shifted)
    terms.loss.sum().backward()
    assert (counting.forwards, counting.backwards, terms.forwards) == (7, 7, 0)


def test_the_block_changes_statistics_and_mode_of_the_layers_only():
    layer = nn.BatchNorm2d(4)
    layer.add_module("drop", nn.Dropout())
    model, before = nn.Sequential(layer).train(), layer.running_mean
    pretrained = RunningStatistics(model)
    model(torch.rand(4, 4, 2, 2))

    def fail_in_the_block():
        with pretrained.applied():
            assert (layer.training, layer.drop.training) == (False, True)
            assert torch.equal(layer.running_mean, torch.zeros(4))
            model(torch.rand(4, 4, 2, 2))
            model(torch.rand(4))

    with pytest.raises(ValueError, match="4D"):
        fail_in_the_block()
    assert layer.running_mean is before
    assert layer.training
    assert int(layer.num_batches_tracked) == 1
    assert set(pretrained.state_dict()) == {"mean_0", "var_0"}


def test_the_statistics_outlast_a_checkpoint_of_an_own_loop():
    def loss_of(model):
        horizon, attack = Horizon(1, 2), Pgd(steps=2)
        return RobustLoss(model, "8/255", horizon, schedule=Fix(), objective=Twins(), attack=attack)

    model = net()
    first = loss_of(model)
    model(shifted(IMAGES))
    saved, weights = first.state_dict(), copy.deepcopy(model.state_dict())
    expected = first(IMAGES, LABELS)
    again = net()
    again.load_state_dict(weights)
    second = loss_of(again)
    again.load_state_dict(weights)
    second.load_state_dict(saved)
    assert torch.equal(second(IMAGES, LABELS), expected)


def group_norm():
    return build_model("rampart_glyphnet", num_classes=3, pretrained=False, image_size=8)


def frozen():
    options = {"norm": "batch"}
    model = build_model(
        "rampart_glyphnet", num_classes=3, pretrained=False, options=options, image_size=8
    )
    model.freeze_statistics()
    return model


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (group_norm, r"no BatchNorm, but GroupNorm.*resnet50\.a1_in1k"),
        (lambda: nn.Linear(2, 2), "no other normalization"),
        (lambda: nn.BatchNorm2d(2, track_running_stats=False), "track_running_stats=True"),
        (frozen, "freeze_statistics"),
    ],
)
def test_a_network_without_such_statistics_is_refused(make, says):
    model = make()
    with pytest.raises(ModelError, match=says):
        Twins().bind(model)
    assert isinstance(model, NormalizedModel) or model.training


def test_it_must_be_bound():
    with pytest.raises(ModelError, match=r"objective\.bind\(model\)"):
        Twins()(net(), IMAGES, LABELS, None)


@pytest.mark.parametrize("weight", [-0.1, float("inf")])
def test_impossible_weights_are_refused(weight):
    with pytest.raises(InvalidArgument, match="weight"):
        Twins(weight=weight)
