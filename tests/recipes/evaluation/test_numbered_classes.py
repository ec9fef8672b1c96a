"""Classes named by numbers, and models whose outputs have no names."""

import numpy as np
import pytest
from PIL import Image

from rampart.cli.console import print_evaluation
from rampart.recipes.evaluation.evaluate_named import evaluate_model

#: Output k is class k, whose images have the gray level 10 + 20 k.
NETWORK = """
import torch
from torch import nn

class Levels(nn.Module):
    def forward(self, pixels):
        levels = (10 + 20 * torch.arange(12.0)) / 255
        return -200 * (pixels.mean((1, 2, 3))[:, None] - levels).abs()[:, ORDER]

def network():
    return Levels()
"""


@pytest.fixture
def numbers(tmp_path):
    """A folder with classes 0 to 11."""
    for k in range(12):
        folder = tmp_path / "numbers" / "test" / str(k)
        folder.mkdir(parents=True)
        for number in range(6):
            Image.fromarray(np.full((8, 8, 3), 10 + 20 * k, np.uint8)).save(
                folder / f"{number}.png"
            )
    return tmp_path / "numbers"


def evaluate(tmp_path, numbers, order, *more):
    (tmp_path / "nets.py").write_text(NETWORK.replace("ORDER", str(order)))
    settings = ("data.image_size=8", f"data={numbers}", "threat.eps=2/255", *more)
    reference = f"{tmp_path / 'nets.py'}:network"
    return evaluate_model(reference, settings, tmp_path / "evaluation")


def verdicts(record):
    return {one["check"]: one for one in record.metadata["checks"]["verdicts"]}


def test_numbers_are_ordered_as_numbers_and_the_match_by_position_is_stated(
    tmp_path, numbers, capsys
):
    folder, record = evaluate(tmp_path, numbers, list(range(12)))
    assert record.metadata["model"]["classes"] == [str(k) for k in range(12)]
    assert record.metadata["model"]["matched_by"] == "position"
    assert record.accuracy[0] == 1
    assert verdicts(record)["clean"]["status"] == "pass"
    print_evaluation(folder, record)
    assert "by position: 0 = 0, 1 = 1, 2 = 2," in capsys.readouterr().out


def test_outputs_in_another_order_fail(tmp_path, numbers):
    order = [int(name) for name in sorted(map(str, range(12)))]
    _, record = evaluate(tmp_path, numbers, order)
    assert record.accuracy[0] == pytest.approx(1 / 6)
    found = verdicts(record)["clean"]
    assert found["status"] == record.metadata["checks"]["overall"] == "fail"
    assert "sorted as text" in found["message"]


def test_chance_is_that_of_the_images_a_limit_draws_from(tmp_path, numbers):
    _, record = evaluate(tmp_path, numbers, list(range(12)), "evaluation.limit=3")
    found = verdicts(record)["clean"]
    assert found["limit"] == pytest.approx(1 / 12)
    assert found["status"] == "pass"
