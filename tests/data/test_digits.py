import numpy as np
import torch
from sklearn.datasets import load_digits

from rampart.data.digits import digit_pairs, divide


def used_digits(split):
    return {int(number) for name in split.ids for number in name.rsplit("/", 1)[1].split("-")[1:]}


def test_sizes_and_classes():
    splits = digit_pairs()
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [1000, 200, 500]
    assert splits.class_names == [f"{n:02d}" for n in range(100)]
    for split, count in ((splits.train, 10), (splits.validation, 2), (splits.test, 5)):
        assert np.bincount(split.labels).tolist() == [count] * 100
        assert split[0][0].shape == (1, 16, 16)


def test_no_handwritten_digit_lies_in_two_splits():
    splits = digit_pairs()
    train, validation, test = (used_digits(splits[n]) for n in ("train", "validation", "test"))
    assert not train & validation
    assert not train & test
    assert not validation & test


def test_the_digits_are_divided_in_proportion():
    labels = load_digits().target
    parts = divide(labels, 0)
    assert {name: len(part) for name, part in parts.items()} == {
        "test": 500,
        "validation": 200,
        "train": 1097,
    }
    assert sorted(np.concatenate(list(parts.values()))) == list(range(1797))
    for part in parts.values():
        fraction = np.bincount(labels[part]) / len(part)
        assert np.abs(fraction - np.bincount(labels) / len(labels)).max() < 0.01


def test_a_pair_shows_its_two_digits():
    digits = load_digits()
    split = digit_pairs().validation
    for i in range(0, 200, 37):
        image, label, _ = split[i]
        left, right = (int(n) for n in split.ids[i].rsplit("/", 1)[1].split("-")[1:])
        assert 10 * digits.target[left] + digits.target[right] == label
        # At twice the height pairs of rows average to the rows of the digit, with some blur.
        halves = image[0].float().view(8, 2, 16).mean(1) / 255
        original = torch.from_numpy(np.hstack([digits.images[left], digits.images[right]])) / 16
        assert torch.corrcoef(torch.stack([halves.flatten(), original.flatten()]))[0, 1] > 0.97


def test_the_data_depend_on_the_seed_alone():
    a, b, c = digit_pairs(), digit_pairs(), digit_pairs(1)
    assert a.fingerprint() == b.fingerprint() != c.fingerprint()
    assert torch.equal(a.test.pixels.images, b.test.pixels.images)
