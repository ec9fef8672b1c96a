import math

import pytest
import torch
from timm.optim import param_groups_weight_decay
from torch import nn

from rampart.errors import ModelError
from rampart.models.backbones import build_model
from rampart.models.weights import parameter_groups
from rampart.strategies.lora import Lora
from rampart.training.optimizers import (
    adamw,
    learning_rates,
    lr_schedule,
    sgd,
    warmup_constant,
    warmup_cosine,
    warmup_multistep,
)
from rampart.units import Horizon


def make_adamw(trained=True):
    backbone, head = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), nn.Linear(2, 3)
    backbone.requires_grad_(trained)
    head.requires_grad_(trained)
    return adamw(
        backbone.named_parameters(),
        head.named_parameters(),
        backbone_lr=1e-4,
        head_lr=4e-3,
        backbone_weight_decay=0.1,
        head_weight_decay=0.2,
    )


def test_groups_have_their_own_rates_and_vectors_do_not_decay():
    groups = {g["name"]: g for g in make_adamw().param_groups}
    assert {n: (g["lr"], g["weight_decay"], len(g["params"])) for n, g in groups.items()} == {
        "backbone": (1e-4, 0.1, 1),
        "backbone-no-decay": (1e-4, 0.0, 3),
        "head": (4e-3, 0.2, 1),
        "head-no-decay": (4e-3, 0.0, 1),
    }


def test_betas_reach_every_group():
    head = nn.Linear(2, 3)
    rates = dict.fromkeys(("backbone_lr", "head_lr"), 1e-3)
    decay = dict.fromkeys(("backbone_weight_decay", "head_weight_decay"), 0.1)
    optimizer = adamw([], head.named_parameters(), **rates, **decay, betas=(0.9, 0.95))
    assert {group["betas"] for group in optimizer.param_groups} == {(0.9, 0.95)}
    assert make_adamw().param_groups[0]["betas"] == (0.9, 0.999)


def test_sgd_follows_its_formula_in_the_groups_of_adamw():
    """v = m v + g + decay w, w = w - lr v (torch.optim.SGD)."""
    head = nn.Linear(2, 3)
    settings = dict.fromkeys(("backbone_lr", "backbone_weight_decay"), 0.0)
    optimizer = sgd(
        [], head.named_parameters(), **settings, head_lr=0.1, head_weight_decay=0.5, momentum=0.8
    )
    assert [group["name"] for group in optimizer.param_groups] == ["head", "head-no-decay"]
    weight, velocity = head.weight.detach().clone(), 0.0
    bias, speed = head.bias.detach().clone(), 0.0
    for _ in range(2):
        head.weight.grad, head.bias.grad = torch.ones(3, 2), torch.ones(3)
        optimizer.step()
        velocity = 0.8 * velocity + 1 + 0.5 * weight
        speed = 0.8 * speed + 1
        weight, bias = weight - 0.1 * velocity, bias - 0.1 * speed
    torch.testing.assert_close(head.weight.detach(), weight)
    torch.testing.assert_close(head.bias.detach(), bias)


def test_a_model_without_weights_to_train_is_refused():
    with pytest.raises(ModelError, match="requires_grad_"):
        make_adamw(trained=False)


@pytest.mark.parametrize(
    ("step", "factor"),
    [(0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0), (55, 0.5), (100, 0.0), (200, 0.0)],
)
def test_warmup_cosine_values(step, factor):
    assert math.isclose(
        warmup_cosine(step, steps=100, warmup_steps=10), factor, rel_tol=1e-12, abs_tol=1e-12
    )


def test_without_warmup_the_first_factor_is_1():
    assert warmup_cosine(0, steps=10, warmup_steps=0) == 1.0


@pytest.mark.parametrize(("step", "factor"), [(0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0), (99, 1.0)])
def test_a_constant_rate_rises_and_stays(step, factor):
    assert warmup_constant(step, steps=100, warmup_steps=10) == pytest.approx(factor)
    assert warmup_constant(step, steps=100, warmup_steps=0) == 1.0


@pytest.mark.parametrize(
    ("step", "factor"),
    [(0, 0.1), (9, 1.0), (29, 1.0), (30, 0.1), (49, 0.1), (50, 0.01), (60, 0.01)],
)
def test_a_rate_falls_to_a_tenth_at_each_milestone(step, factor):
    found = warmup_multistep(step, steps=60, warmup_steps=10, milestones=(0.5, 5 / 6))
    assert found == pytest.approx(factor)


@pytest.mark.parametrize(
    ("course", "end"), [("cosine", 0.0), ("constant", 1.0), ("multistep", 0.1 * 0.1)]
)
def test_the_course_decides_the_rate_at_the_end(course, end):
    optimizer = make_adamw()
    schedule = lr_schedule(optimizer, Horizon(2, 5), 0.0, course, (0.5, 0.7))
    for _ in range(10):
        optimizer.step()
        schedule.step()
    assert learning_rates(optimizer) == {"lr_backbone": 1e-4 * end, "lr_head": 4e-3 * end}


def test_schedule_scales_both_rates():
    optimizer = make_adamw()
    schedule = lr_schedule(optimizer, Horizon(10, 10), warmup=0.1)
    for _ in range(54):
        optimizer.step()
        schedule.step()
    factor = warmup_cosine(54, steps=100, warmup_steps=10)
    assert learning_rates(optimizer) == pytest.approx(
        {"lr_backbone": 1e-4 * factor, "lr_head": 4e-3 * factor}
    )


SMALL = {
    "test_vit": {"image_size": 32},
    "swin_tiny_patch4_window7_224": {
        "image_size": 32,
        "options": {"embed_dim": 8, "depths": (1, 1), "num_heads": (1, 2), "window_size": 4},
    },
    "swinv2_tiny_window8_256": {
        "image_size": 32,
        "options": {"embed_dim": 8, "depths": (1, 1), "num_heads": (1, 2), "window_size": 4},
    },
    "beit_base_patch16_224": {
        "image_size": 32,
        "options": {"embed_dim": 8, "depth": 1, "num_heads": 2, "use_rel_pos_bias": True},
    },
    "test_resnet": {},
}
#: Parameters of more than one dimension that timm does not decay.
SPARED = {
    "test_vit": {"pos_embed", "cls_token"},
    "swin_tiny_patch4_window7_224": {"relative_position_bias_table"},
    "swinv2_tiny_window8_256": {"logit_scale", "cpb_mlp"},
    "beit_base_patch16_224": {"cls_token", "relative_position_bias_table"},
    "test_resnet": set(),
}


def small(name):
    return build_model(name, num_classes=3, pretrained=False, **SMALL[name])


def decaying(model):
    """Return the optimizer of a model and the names of the parameters that it decays."""
    rates = {"backbone_lr": 0.1, "head_lr": 0.1}
    decay = {"backbone_weight_decay": 0.5, "head_weight_decay": 0.5}
    groups, spared = parameter_groups(model), model.no_weight_decay()
    optimizer = adamw(*groups, **rates, **decay, no_weight_decay=spared)
    decayed = {id(p) for g in optimizer.param_groups if g["weight_decay"] for p in g["params"]}
    return optimizer, {name for name, p in model.named_parameters() if id(p) in decayed}


@pytest.mark.parametrize("name", SMALL)
def test_the_decayed_parameters_are_those_of_timm(name):
    model = small(name)
    _, found = decaying(model)
    listed = getattr(model.backbone, "no_weight_decay", set)()
    plain, decayed = param_groups_weight_decay(model.backbone, 0.5, no_weight_decay_list=listed)
    assert (plain["weight_decay"], decayed["weight_decay"]) == (0.0, 0.5)
    ids = {id(parameter) for parameter in decayed["params"]}
    assert found == {n for n, parameter in model.named_parameters() if id(parameter) in ids}
    for part in SPARED[name]:
        assert any(part in n for n, p in model.named_parameters() if p.ndim > 1)
        assert not any(part in n for n in found)


@pytest.mark.parametrize("name", ["test_vit", "swin_tiny_patch4_window7_224"])
def test_a_step_without_gradient_shrinks_only_decayed_parameters(name):
    model = small(name)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0).grad = torch.zeros_like(parameter)
    optimizer, decayed = decaying(model)
    optimizer.step()
    moved = {n for n, parameter in model.named_parameters() if not bool((parameter == 1).all())}
    assert moved == decayed
    assert moved


def test_adapters_decay_and_the_frozen_position_embedding_is_left_out():
    model = small("test_vit")
    Lora().prepare(model, 0)
    optimizer, decayed = decaying(model)
    trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert id(model.backbone.pos_embed) not in trained
    assert {name.split(".")[-3] for name in decayed} == {"lora_A", "lora_B", "backbone"}
