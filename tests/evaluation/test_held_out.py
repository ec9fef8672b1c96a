import numpy as np
import pytest
import torch

from rampart.errors import InvalidArgument
from rampart.evaluation.held_out import (
    FOLDS,
    _parts,
    held_out_probabilities,
    neighbor_probabilities,
)


def task(n=60, f=6, distance=4.0):
    """Points around three centers, and their classes."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(n) % 3
    centers = torch.eye(3, f) * distance
    return centers[labels] + torch.randn(n, f, generator=generator), labels.numpy()


def test_heads_predict_images_that_they_were_not_fitted_to():
    features, labels = task()
    found = held_out_probabilities(features, labels, 4, seed=0)
    assert found.shape == (60, 4)
    torch.testing.assert_close(found.sum(1), torch.ones(60))
    assert (found.argmax(1).numpy() == labels).mean() > 0.9
    assert (found[:, 3] == 0).all(), "a class without images"
    assert torch.equal(found, held_out_probabilities(features, labels, 4, seed=0))


def test_heads_do_not_repeat_the_label_of_an_image():
    """With more features than images a head that saw the labels would repeat them all."""
    features = torch.randn(60, 100, generator=torch.Generator().manual_seed(1))
    found = held_out_probabilities(features, np.arange(60) % 3, 3, seed=0)
    assert (found.argmax(1).numpy() == np.arange(60) % 3).mean() < 0.6


def test_a_class_is_spread_evenly_over_the_parts():
    labels = np.repeat([0, 1, 2], [50, 10, 5])
    parts = _parts(labels, seed=0)
    for label, count in ((0, 50), (1, 10), (2, 5)):
        sizes = np.bincount(parts[labels == label], minlength=FOLDS)
        assert sizes.tolist() == [count // FOLDS] * FOLDS


def test_neighbors_against_a_direct_count(monkeypatch):
    monkeypatch.setattr("rampart.evaluation.held_out._CHUNK", 7)
    features, labels = task(n=20)
    found = neighbor_probabilities(features, labels, 3, neighbors=5)
    points = features.numpy() / np.linalg.norm(features.numpy(), axis=1, keepdims=True)
    for row in range(20):
        others = [one for one in range(20) if one != row]
        near = sorted(others, key=lambda one: -points[row] @ points[one])[:5]
        counts = np.bincount(labels[near], minlength=3)
        np.testing.assert_allclose(found[row], (counts + 1 / 3) / 6, rtol=1e-6)
    changed = labels.copy()
    changed[0] = (changed[0] + 1) % 3
    again = neighbor_probabilities(features, changed, 3, neighbors=5)
    assert torch.equal(again[0], found[0]), "the own label has no vote"


@pytest.mark.parametrize("labels", [np.zeros(20, dtype=int), np.arange(3)])
def test_too_few_images_or_classes_are_refused(labels):
    with pytest.raises(InvalidArgument, match="images"):
        held_out_probabilities(torch.randn(len(labels), 2), labels, 3, seed=0)
