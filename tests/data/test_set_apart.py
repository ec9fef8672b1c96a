import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from rampart.data.set_apart import set_apart
from rampart.data.splits import InMemory, Split
from rampart.errors import DataError, InvalidArgument
from rampart.runtime import derive


def make_split(counts, prefix="", names=None):
    labels = np.repeat(np.arange(len(counts)), counts)
    # Two pixels each, so that more than 256 images differ.
    images = torch.arange(len(labels), dtype=torch.int16).view(torch.uint8).view(-1, 1, 1, 2)
    ids = [f"{prefix}{i}" for i in range(len(labels))]
    return Split(ids, labels, names or [f"c{i}" for i in range(len(counts))], InMemory(images))


@given(
    counts=st.lists(st.integers(10, 60), min_size=2, max_size=6),
    fraction=st.floats(0.11, 0.6),
    seed=st.integers(0, 5),
)
def test_set_apart_is_disjoint_complete_and_stratified(counts, fraction, seed):
    split = make_split(counts)
    rest, apart = set_apart(split, fraction, seed, "validation")
    assert sorted(rest.ids + apart.ids, key=int) == split.ids
    for label, count in enumerate(counts):
        assert (apart.labels == label).sum() == round(fraction * count)
    again = set_apart(split, fraction, seed, "validation")[1]
    assert again.fingerprint() == apart.fingerprint()


def test_the_second_part_depends_on_seed_and_name():
    split = make_split([50, 50])
    drawn = {
        tuple(set_apart(split, 0.2, seed, name)[1].ids)
        for seed in range(3)
        for name in ("validation", "test")
    }
    assert len(drawn) == 6


@pytest.mark.parametrize("fraction", [0, 1, 1.5, -0.1, float("nan")])
def test_fractions_outside_0_and_1_are_refused(fraction):
    with pytest.raises(InvalidArgument, match=r"validation_fraction=.*\(0, 1\)"):
        set_apart(make_split([10, 10]), fraction, 0, "validation")


def test_a_fraction_below_one_image_per_class_names_the_smallest_one():
    split = make_split([4] * 10)
    with pytest.raises(InvalidArgument, match=r"10 classes.*at least 0.25"):
        set_apart(split, 0.2, 0, "validation")
    assert len(set_apart(split, 0.25, 0, "validation")[1]) == 10


@pytest.mark.parametrize(("counts", "fraction"), [([40, 1], 0.1), ([40, 3], 0.9)])
def test_a_class_that_cannot_be_divided_is_named(counts, fraction):
    with pytest.raises(DataError, match=r"class 'c1' has . training image"):
        set_apart(make_split(counts), fraction, 0, "validation")


def drawn_class_by_class(split, fraction, seed, name):
    """The draw without copies: the first images of each class in an order drawn from the seed."""
    rng = np.random.default_rng(derive(seed, "set apart", name))
    apart = []
    for label in range(len(split.class_names)):
        members = np.flatnonzero(split.labels == label)
        apart += rng.permutation(members)[: max(1, round(fraction * len(members)))].tolist()
    return sorted(apart)


@pytest.mark.parametrize("seed", range(4))
def test_without_copies_the_first_images_of_each_class_are_drawn(seed):
    split = make_split([17, 40, 30])
    apart = set_apart(split, 0.3, seed, "test")[1]
    assert list(map(int, apart.ids)) == drawn_class_by_class(split, 0.3, seed, "test")


@given(
    pictures=st.lists(st.integers(0, 40), min_size=30, max_size=120),
    classes=st.integers(1, 3),
    seed=st.integers(0, 5),
)
def test_no_picture_lies_in_both_parts(pictures, classes, seed):
    labels = np.array(pictures) % (2 * classes) % classes
    labels[::7] = (labels[::7] + 1) % classes
    images = torch.tensor(pictures, dtype=torch.uint8).view(-1, 1, 1, 1)
    names = [str(k) for k in range(classes)]
    split = Split([str(i) for i in range(len(labels))], labels, names, InMemory(images))
    try:
        rest, apart = set_apart(split, 0.3, seed, "test")
    except DataError:
        assume(False)
    assert sorted(rest.ids + apart.ids, key=int) == split.ids
    shown = [{int(part.pixels(i)) for i in range(len(part))} for part in (rest, apart)]
    assert not shown[0] & shown[1]


def test_a_class_of_one_picture_cannot_be_divided():
    images = torch.arange(20, dtype=torch.uint8).clamp(max=10).view(-1, 1, 1, 1)
    split = Split.of_tensors(images, torch.arange(20) // 10)
    with pytest.raises(DataError, match="class '1' has 10 training image.*too few different"):
        set_apart(split, 0.3, 0, "test")


def test_labels_that_are_hardly_classes_are_doubted():
    split = Split.of_tensors(torch.zeros(6, 1, 1, 1, dtype=torch.uint8), torch.arange(6))
    with pytest.raises(InvalidArgument, match="check that the labels are classes"):
        set_apart(split, 0.3, 0, "test")
