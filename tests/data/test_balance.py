"""Class weights and balanced orders, against scikit-learn and expected counts."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from rampart.data.balance import balanced_order, balanced_weights
from rampart.data.batches import epoch_batches
from rampart.data.splits import InMemory, Split

labels = st.lists(st.integers(0, 5), min_size=1, max_size=60).map(np.array)


@given(labels)
def test_weights_are_those_of_scikit_learn(labels):
    there = np.unique(labels)
    weights = balanced_weights(labels, 7)
    expected = compute_class_weight("balanced", classes=there, y=labels)
    np.testing.assert_allclose(weights[there], expected)
    assert (np.delete(weights, there) == 1).all()
    assert weights[labels].mean() == pytest.approx(1)


@given(labels, st.integers(0, 9))
def test_an_epoch_has_equally_many_images_of_each_class(labels, epoch):
    order, repeats = balanced_order(labels, seed=3, epoch=epoch)
    assert len(order) == len(repeats) == len(labels)
    sizes = np.bincount(labels[order])[np.unique(labels)]
    assert sizes.max() - sizes.min() <= 1
    # A class shows all of its images before one of them again.
    for label in np.unique(labels):
        times = np.bincount(order, minlength=len(labels))[labels == label]
        assert times.max() - times.min() <= 1
    assert len(set(zip(order.tolist(), repeats.tolist(), strict=True))) == len(order)
    for position in np.unique(order):
        known = sorted(repeats[order == position].tolist())
        assert known == list(range(len(known)))


def test_images_come_as_often_as_expected_and_orders_are_keyed():
    labels = np.repeat([0, 1, 2], [40, 10, 3])
    orders = [balanced_order(labels, seed=0, epoch=epoch)[0] for epoch in range(300)]
    mean = np.mean([np.bincount(one, minlength=len(labels)) for one in orders], axis=0)
    expected = len(labels) / (3 * np.bincount(labels))[labels]
    np.testing.assert_allclose(mean, expected, atol=0.15)
    again = balanced_order(labels, seed=0, epoch=7)[0]
    assert np.array_equal(again, orders[7])
    assert not np.array_equal(orders[7], orders[8])
    assert not np.array_equal(again, balanced_order(labels, seed=1, epoch=7)[0])


def test_batches_resume_and_are_shared_as_those_of_a_shuffled_epoch():
    labels = np.repeat([0, 1, 2], [20, 8, 4])
    images = torch.arange(32, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)
    split = Split([str(i) for i in range(32)], labels, "abc", InMemory(images))

    def read(**options):
        options = {"seed": 5, "epoch": 2, "sampler": "balanced", **options}
        found = epoch_batches(split, 8, **options)
        return [torch.stack([b.indices, b.repeats, b.labels]) for b in found]

    whole = read()
    assert len(whole) == 4
    assert all(torch.equal(a, b) for a, b in zip(read(start=2), whole[2:], strict=True))
    parts = zip(read(rank=0, world_size=2), read(rank=1, world_size=2), strict=True)
    assert all(torch.equal(torch.cat(p, 1), b) for p, b in zip(parts, whole, strict=True))
    assert torch.cat(whole, 1)[1].max() >= 2, "the smallest class is repeated"
