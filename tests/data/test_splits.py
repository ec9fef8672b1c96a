import numpy as np
import pytest
import torch

from rampart.data.completing import complete_splits
from rampart.data.items import image_of
from rampart.data.set_apart import set_apart
from rampart.data.splits import InMemory, Split, Splits
from rampart.errors import DataError, InvalidArgument


def make_split(counts, prefix="", names=None):
    labels = np.repeat(np.arange(len(counts)), counts)
    images = torch.arange(len(labels), dtype=torch.uint8).view(-1, 1, 1, 1)
    ids = [f"{prefix}{i}" for i in range(len(labels))]
    return Split(ids, labels, names or [f"c{i}" for i in range(len(counts))], InMemory(images))


def test_an_item_is_image_label_position():
    image, label, index = make_split([2, 3])[3]
    assert (image.item(), label, index) == (3, 1, 3)


def test_a_subset_has_new_positions():
    split = make_split([2, 3]).subset([4, 0])
    assert split.ids == ["4", "0"]
    assert [(image.item(), label, i) for image, label, i in (split[0], split[1])] == [
        (4, 1, 0),
        (0, 0, 1),
    ]
    assert split.subset([1])[0][0].item() == 0


def test_the_fingerprint_depends_on_ids_order_and_classes():
    split = make_split([2, 3])
    others = [split.subset([1, 0, 2, 3, 4]), split.subset([0, 1, 2, 3])]
    others += [make_split([2, 3], "x"), make_split([3, 2]), make_split([2, 3], names=["c0", "d"])]
    assert split.fingerprint() == make_split([2, 3]).fingerprint()
    assert split.fingerprint() not in {other.fingerprint() for other in others}


def test_a_class_without_a_training_image_is_refused_or_warned_of():
    train, other = make_split([2, 0, 1], "train"), make_split([1, 1, 1], "test")
    validation = make_split([1, 0, 1], "val")
    with pytest.raises(DataError, match="test has 1 image .* 'c1'"):
        Splits(train, validation, other)
    parts = {"train": train, "validation": validation, "test": make_split([1, 0, 1], "test")}
    warnings = complete_splits(parts, [], {}, 0).warnings
    assert any("1 of 3 classes, such as 'c1'" in one for one in warnings)
    with pytest.raises(DataError, match="'c1' has no training image"):
        set_apart(make_split([20, 0, 20]), 0.2, 0, "test")


def test_splits_refuse_common_images_and_other_classes():
    a, b, c = (make_split([2, 2], prefix) for prefix in "abc")
    assert Splits(a, b, c)["test"] is c
    with pytest.raises(DataError, match="image 'a0' occurs twice"):
        Splits(a, b, a)
    with pytest.raises(DataError, match="'c2' is in test only"):
        Splits(a, b, make_split([2, 2, 1], "c"))
    with pytest.raises(InvalidArgument, match="split="):
        Splits(a, b, c)["val"]


def test_labels_outside_the_classes_are_refused():
    with pytest.raises(DataError, match="labels run from -1 to 0"):
        Split(["a", "b"], np.array([-1, 0]), ["x"], InMemory(torch.zeros(2, 1, 1, 1)))
    for several in (np.eye(2, dtype=np.int64), np.array([0.5, 0.5])):
        with pytest.raises(InvalidArgument, match="labels=.*several labels per image"):
            Split(["a", "b"], several, ["x", "y"], InMemory(torch.zeros(2, 1, 1, 1)))
    with pytest.raises(DataError, match="no images"):
        Split([], np.array([]), ["x"], InMemory(torch.zeros(0, 1, 1, 1)))


@pytest.mark.parametrize("floating", [True, False])
def test_a_split_of_tensors(floating):
    images = torch.arange(2 * 3 * 4, dtype=torch.uint8).view(2, 3, 2, 2)
    split = Split.of_tensors(images / 255 if floating else images, torch.tensor([2, 0]))
    image, label, position = split[0]
    assert torch.equal(image, images[0])
    assert (label, position, list(split.class_names)) == (2, 0, ["0", "1", "2"])
    assert list(Split.of_tensors(images, torch.tensor([1, 0]), ["a", "b"]).class_names) == [
        "a",
        "b",
    ]


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (torch.rand(2, 3, 4), torch.zeros(2)),
        (torch.rand(2, 3, 4, 4), torch.zeros(3)),
        (2 * torch.ones(2, 3, 4, 4), torch.zeros(2)),
    ],
)
def test_a_split_of_other_tensors_is_refused(images, labels):
    with pytest.raises(InvalidArgument, match="images"):
        Split.of_tensors(images, labels)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_pixels_of_every_precision_are_rounded_once(kind):
    levels = torch.arange(256, dtype=torch.float64).view(1, 1, 16, 16)
    pixels = (levels / 255).to(kind)
    split = Split.of_tensors(pixels, torch.tensor([0], dtype=torch.int16))
    assert split.labels.dtype == np.int64
    expected = (pixels.double() * 255).round()
    assert torch.equal(split.pixels(0).double()[None], expected)
    assert torch.equal(image_of(pixels[0], 0, None).double()[None], expected)


def test_labels_with_fractions_are_refused():
    with pytest.raises(InvalidArgument, match="labels=float32"):
        Split.of_tensors(torch.zeros(2, 1, 4, 4), torch.tensor([0.0, 1.7]))
