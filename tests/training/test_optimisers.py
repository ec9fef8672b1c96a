import math

import pytest
from torch import nn

from rampart.training.optimisers import adamw, cosine_schedule, learning_rates, warmup_cosine
from rampart.units import Horizon


def make_adamw():
    backbone, head = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), nn.Linear(2, 3)
    return adamw(
        backbone.named_parameters(),
        head.named_parameters(),
        backbone_lr=1e-4,
        head_lr=4e-3,
        backbone_weight_decay=0.1,
        head_weight_decay=0.2,
    )


def test_groups_carry_their_own_rates_and_spare_vectors_from_decay():
    groups = {g["name"]: g for g in make_adamw().param_groups}
    assert {n: (g["lr"], g["weight_decay"], len(g["params"])) for n, g in groups.items()} == {
        "backbone": (1e-4, 0.1, 1),
        "backbone-no-decay": (1e-4, 0.0, 3),
        "head": (4e-3, 0.2, 1),
        "head-no-decay": (4e-3, 0.0, 1),
    }


@pytest.mark.parametrize(
    ("step", "factor"),
    [(0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0), (55, 0.5), (100, 0.0), (200, 0.0)],
)
def test_warmup_cosine_values(step, factor):
    assert math.isclose(
        warmup_cosine(step, steps=100, warmup_steps=10), factor, rel_tol=1e-12, abs_tol=1e-12
    )


def test_without_warmup_it_starts_at_the_top():
    assert warmup_cosine(0, steps=10, warmup_steps=0) == 1.0


def test_schedule_scales_both_rates():
    optimiser = make_adamw()
    schedule = cosine_schedule(optimiser, Horizon(10, 10), warmup=0.1)
    for _ in range(54):
        optimiser.step()
        schedule.step()
    factor = warmup_cosine(54, steps=100, warmup_steps=10)
    assert learning_rates(optimiser) == pytest.approx(
        {"lr_backbone": 1e-4 * factor, "lr_head": 4e-3 * factor}
    )
