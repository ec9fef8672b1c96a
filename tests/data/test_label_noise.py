from dataclasses import replace

import numpy as np
import pytest
import torch

from rampart.data.label_noise import noisy_labels, with_label_noise
from rampart.data.splits import Split, Splits
from rampart.errors import InvalidArgument

LABELS = np.arange(3000) % 5


def splits_of(labels, classes=3):
    """Splits whose images differ in their ids only."""
    images = torch.zeros(len(labels), 1, 8, 8, dtype=torch.uint8)
    names = [str(number) for number in range(classes)]
    parts = {}
    for name in ("train", "validation", "test"):
        split = Split.of_tensors(images, torch.tensor(labels), names)
        parts[name] = replace(split, ids=[f"{name}/{one}" for one in split.ids])
    return Splits.of(parts)


def noisy(fraction, seed=0, labels=LABELS):
    return noisy_labels(labels, np.arange(len(labels)), 5, fraction, seed)


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.4, 0.333, 0.999])
def test_the_fraction_is_exact_and_no_wrong_label_is_right(fraction):
    assert (noisy(fraction) != LABELS).sum() == round(fraction * len(LABELS))


def test_the_draw_depends_on_seed_and_image_alone():
    assert np.array_equal(noisy(0.4), noisy(0.4))
    assert not np.array_equal(noisy(0.4), noisy(0.4, seed=1))
    # More noise leaves the wrong labels of less noise as they are.
    less, more = noisy(0.2), noisy(0.4)
    assert np.array_equal(less[less != LABELS], more[less != LABELS])


def test_the_noise_is_symmetric():
    changed = noisy(0.9)
    pairs = np.zeros((5, 5))
    np.add.at(pairs, (LABELS, changed), 1)
    others = pairs[~np.eye(5, dtype=bool)]
    # 135 are expected in each cell; five standard deviations are 52.
    assert np.abs(others - 135).max() < 52


def test_only_training_labels_change_and_the_data_become_others():
    plain = splits_of([0, 1, 2] * 10)
    made = with_label_noise(plain, 0.2, seed=3)
    assert (made.train.labels != plain.train.labels).sum() == 6
    assert np.array_equal(made.true_labels, plain.train.labels)
    assert made.validation is plain.validation
    assert made.test is plain.test
    assert made.fingerprint() != plain.fingerprint()
    assert any("data.label_noise=0.2" in note for note in made.notes)
    assert with_label_noise(plain, 0.0, seed=3) is plain


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_an_impossible_fraction_is_refused(fraction):
    with pytest.raises(InvalidArgument, match="label_noise"):
        with_label_noise(splits_of([0, 1, 2] * 2), fraction, seed=0)


def test_one_class_has_no_other():
    with pytest.raises(InvalidArgument, match="one class"):
        with_label_noise(splits_of([0] * 4, classes=1), 0.5, seed=0)
