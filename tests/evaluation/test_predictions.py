import csv

import pytest
import torch
from torch import nn

from rampart.errors import InvalidArgument, ModelError
from rampart.evaluation.inference import logits_of
from rampart.evaluation.predictions import Predictions, predict_batches, top_k_for

NAMES = ("cat", "dog", "a, b")
LOGITS = torch.tensor([[0.0, 2.0, 1.0], [3.0, 3.0, 0.0], [float("nan"), 1.0, 0.0]])


@pytest.fixture
def predictions():
    return Predictions(("a.png", "b.png", "c.png"), NAMES, LOGITS)


def test_classes_probabilities_and_the_likeliest(predictions):
    assert predictions.classes.tolist() == [1, 0, -1]
    torch.testing.assert_close(predictions.probabilities[:2], LOGITS[:2].softmax(1))
    first, tied, none = predictions.top(2)
    assert [name for name, _ in first] == ["dog", "a, b"]
    assert first[0][1] == pytest.approx(float(LOGITS[0].softmax(0)[1]))
    assert [name for name, _ in tied] == ["cat", "dog"], "of equal logits the first"
    assert none == []
    assert len(predictions.top()[0]) == 3
    assert "a.png: dog" in repr(predictions)


def test_a_table_holds_every_image(predictions, tmp_path):
    predictions.save(tmp_path / "p.csv", 2)
    with (tmp_path / "p.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["image", "class", "probability", "class_2", "probability_2"]
    assert [row["image"] for row in rows] == ["a.png", "b.png", "c.png"]
    assert rows[0]["class_2"] == "a, b"
    assert rows[2]["class"] == rows[2]["probability"] == ""


@pytest.mark.parametrize("k", [0, 4, -1])
def test_too_many_classes_are_refused(predictions, k):
    with pytest.raises(InvalidArgument, match="top_k"):
        predictions.top(k)
    assert top_k_for(None, 10) == 5
    assert top_k_for(None, 2) == 2


def test_the_logits_are_those_of_an_evaluation_for_any_batch():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(37, 3, 8, 8, generator=generator)
    layers = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3)
    model = nn.Sequential(*layers).train()
    before = torch.get_rng_state()
    found = []
    for size in (1, 5, 37):
        parts = torch.split(images, size)
        batches = [([str(i)] * len(part), part) for i, part in enumerate(parts)]
        seen = []
        found.append(predict_batches(model, batches, NAMES, seen.append).logits)
        assert seen[-1] == 37
    assert model.training
    assert torch.get_rng_state().equal(before)
    expected = logits_of(model.eval(), images)
    assert all(one.equal(expected) for one in found)


def test_a_model_of_other_classes_is_refused():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 4))
    with pytest.raises(ModelError, match="4 logits.*expected 3"):
        predict_batches(model, [(["a"], torch.rand(1, 3, 2, 2))], NAMES)
    with pytest.raises(InvalidArgument, match="logits"):
        Predictions(("a",), NAMES, torch.zeros(1, 2))
