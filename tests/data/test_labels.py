import numpy as np
import pytest

from rampart.data.labels import in_order, number_labels
from rampart.errors import DataError


@pytest.mark.parametrize(
    ("names", "ordered"),
    [
        (["10", "9", "0"], ["0", "9", "10"]),
        (["007", "-1", "7"], ["-1", "007", "7"]),
        (["b", "10", "9"], ["10", "9", "b"]),
        (["²", "1"], ["1", "²"]),
    ],
)
def test_whole_numbers_are_ordered_as_numbers(names, ordered):
    assert in_order(names) == ordered


def test_labels_become_positions_in_the_classes_of_train():
    columns = {"test": [12, 3], "train": [3, 12, 100, 3]}
    classes, labels = number_labels(columns, "here")
    assert classes == ["3", "12", "100"]
    assert labels["train"].tolist() == [0, 1, 2, 0]
    assert labels["test"].tolist() == [1, 0]
    assert labels["test"].dtype == np.int64
    assert number_labels({"test": ["b", "a"]}, "here")[0] == ["a", "b"]
    assert number_labels({"train": [True, False]}, "here")[0] == ["False", "True"]


def test_a_label_that_train_lacks_is_named():
    with pytest.raises(DataError, match=r"here: test has 2 labels .* 'eel', 'fox'"):
        number_labels({"train": ["cat"], "test": ["fox", "cat", "eel"]}, "here")


@pytest.mark.parametrize("label", [[1, 4], np.array([0, 1, 1]), {"a": 1}, (0.2, 0.8), 0.5, b"a"])
def test_labels_that_are_not_one_class_are_refused(label):
    with pytest.raises(DataError, match="here, train 1 .*several labels per image"):
        number_labels({"train": ["cat", label]}, "here")


@pytest.mark.parametrize("label", [None, ""])
def test_missing_labels_are_refused(label):
    with pytest.raises(DataError, match="here, train 1 has no label"):
        number_labels({"train": ["cat", label]}, "here")
