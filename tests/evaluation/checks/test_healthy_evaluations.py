"""Whole evaluations of sound networks raise no alarm, whatever the seed."""

import pytest
import torch
from torch import nn

import rampart
from rampart.losses import cross_entropy
from rampart.runtime import scoped_seed

ATTACK = {"name": "standard", "steps": 10, "queries": 30}


def blobs():
    """Return 240 images (3, 4, 4) of three classes, each around an image of its own."""
    labels = torch.arange(240) % 3
    centers = 0.5 + 0.15 * torch.randn(3, 3, 4, 4)
    images = (centers[labels] + 0.1 * torch.randn(240, 3, 4, 4)).clamp(0, 1)
    return (255 * images).round() / 255, labels


@pytest.mark.parametrize("seed", range(20))
def test_no_check_of_a_sound_evaluation_warns(seed):
    """Warnings are errors, so a check that does not pass would stop the call."""
    with scoped_seed(seed):
        images, labels = blobs()
        layers = nn.Flatten(), nn.Linear(48, 16), nn.ReLU(), nn.Linear(16, 3)
        model = nn.Sequential(*layers)
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        for _ in range(20):
            optimizer.zero_grad()
            cross_entropy(model(images[40:]), labels[40:]).mean().backward()
            optimizer.step()
    norm, eps = ("linf", "30/255") if seed % 2 else ("l2", 0.5)
    data = images[:40], labels[:40]
    result = rampart.evaluate(model, data, eps, ATTACK, norm, seed=seed, batch_size=40)
    assert result.checks == "pass"
    assert result.adversarial < result.clean
    verdicts = {one["check"]: one["status"] for one in result.metadata["checks"]["verdicts"]}
    assert {verdicts[name] for name in ("fab", "black-box", "normalization", "mode")} == {"pass"}
