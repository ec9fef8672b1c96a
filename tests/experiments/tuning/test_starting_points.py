"""The first trials: published values by backbone and dataset, and those of the configuration."""

import pytest

from rampart.experiments.tuning.space import RAMP, make_space
from rampart.experiments.tuning.starting_points import (
    most_frequent,
    published_point,
    starting_points,
)
from rampart.recipes.config.loading import change_config, parse_config

USUAL = {
    "optimizer.backbone_lr": 1.22e-4,
    "optimizer.head_lr": 4e-3,
    "optimizer.backbone_weight_decay": 1e-6,
    "optimizer.head_weight_decay": 1.62e-5,
}
FLOWERS = {**USUAL, "optimizer.backbone_lr": 2.67e-3, "optimizer.head_lr": 1.05e-5}
FLOWERS |= {"optimizer.backbone_weight_decay": 3.25e-3, "optimizer.head_weight_decay": 1.29e-6}
CONVNEXT = "convnext_base.fb_in22k_ft_in1k"


def points(model, data, *changes):
    config = parse_config({"model": model, "data": data}, changes)
    return starting_points(config, make_space(config, per_phase=False)), config


def test_the_values_that_won_most_often():
    assert most_frequent() == USUAL


@pytest.mark.parametrize(
    ("model", "data", "expected"),
    [
        ("convnext", "flowers102", FLOWERS),
        (CONVNEXT, "flowers102", FLOWERS),
        (f"hf-hub:timm/{CONVNEXT}", "flowers102", FLOWERS),
        ("hf-hub:laion/CLIP-convnext_base_w-laion2B-s13B-b82K", "flowers102", USUAL),
        (CONVNEXT, "torch/flowers102", FLOWERS),
        (CONVNEXT, "photos/", USUAL),
        ("resnet18", "flowers102", USUAL),
    ],
)
def test_the_published_values_of_backbone_and_dataset(model, data, expected):
    assert points(model, data)[0][1] == expected


def test_the_published_values_depend_on_the_objective():
    adversarial, trades = (
        points("convnext", "flowers102", f"objective={name}")[0][1]
        for name in ("adversarial", "trades")
    )
    assert adversarial == FLOWERS
    assert trades == USUAL


def test_the_values_of_the_configuration_come_first():
    found, config = points("resnet18", "photos/", "optimizer.head_lr=0.5")
    assert found[0]["optimizer.head_lr"] == 0.5
    assert len(found) == 2
    space = make_space(config, per_phase=True)
    assert published_point(config, space)[RAMP] == 1.0


def test_equal_starting_points_are_tried_once(tuned_config):
    config = change_config(tuned_config, [f"{key}={value}" for key, value in USUAL.items()])
    assert starting_points(config, make_space(config, per_phase=False)) == [USUAL]
