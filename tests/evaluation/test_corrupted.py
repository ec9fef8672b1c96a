"""Critical severities under common corruptions, on models whose answers are known."""

import numpy as np
import pytest
import torch

from rampart.data.splits import Split
from rampart.errors import InvalidArgument
from rampart.evaluation.corrupted import evaluate_corruption, joined
from rampart.evaluation.inference import QueriedModel

#: Gray levels of gray images; brightness adds 13, 26, 38, 51 and 77 levels at 32 pixels.
LEVELS = (100, 80, 120, 60, 140)


def bright(pixels):
    """Class 1 for images whose mean is above one half."""
    mean = pixels.mean((1, 2, 3))
    return torch.stack([0.5 - mean, mean - 0.5], 1)


def window(pixels):
    """Class 1 for images whose mean lies between 0.5 and 0.58."""
    mean = pixels.mean((1, 2, 3))
    inside = (mean > 0.5) & (mean < 0.58)
    return torch.stack([~inside, inside], 1).float()


def grays(side=32):
    images = torch.tensor(LEVELS, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, side, side)
    return Split.of_tensors(images.contiguous().float() / 255, torch.zeros(5, dtype=torch.int64))


def evaluate(model, kind, split=None, **options):
    return evaluate_corruption(QueriedModel(model), split or grays(), kind, 0, **options)


def test_the_critical_severity_is_the_first_wrong_one():
    found = evaluate(bright, "brightness")
    # The limit is 127.5: 100 + 38, 80 + 51, 120 + 13, 60 + 77, and 140 already.
    assert found.results.critical.tolist() == [3, 4, 1, 5, 0]
    assert found.results.forwards.tolist() == [6] * 5
    assert evaluate(bright, "contrast").results.critical.tolist() == [6, 6, 6, 6, 0]


def test_an_image_may_be_right_again_at_a_higher_severity():
    found = evaluate(window, "brightness")
    assert found.results.critical.tolist() == [3, 4, 1, 5, 0]
    # 120 is wrong at 133 and 146 (severities 1 and 2), and right above 148.
    assert found.wrong_at.tolist() == [1 << 3, 1 << 4, (1 << 1) + (1 << 2), 1 << 5, 1]


def test_draws_belong_to_the_image():
    draws = np.random.default_rng(0).integers(0, 256, (12, 3, 32, 32))
    images = torch.from_numpy(draws).float() / 255
    split = Split.of_tensors(images, torch.zeros(12, dtype=torch.int64))

    def model(pixels):
        mean = pixels[:, :, :16].mean((1, 2, 3)) - pixels[:, :, 16:].mean((1, 2, 3))
        return torch.stack([mean, -mean], 1)

    whole = evaluate(model, "impulse-noise", split)
    parts = [
        evaluate(model, "impulse-noise", split, rank=rank, count=2, batch_size=5) for rank in (1, 0)
    ]
    again = joined(parts)
    assert again.wrong_at.tolist() == whole.wrong_at.tolist()
    assert again.results.indices.tolist() == whole.results.indices.tolist()
    assert (whole.wrong_at > 0).sum() > 0


def test_images_of_another_size_are_refused():
    with pytest.raises(InvalidArgument, match="threats"):
        evaluate(bright, "fog", grays(side=48))
