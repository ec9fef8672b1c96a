"""Another order of the outputs is found, and a weak model in the right order is left alone."""

import numpy as np
import pytest

from rampart.evaluation.checks.class_order import Predicted, suspected_order

TWELVE = [str(k) for k in range(12)]


def predicted(names, order, accuracy, n=240, seed=0, share=None):
    """Predictions of a model with this accuracy whose output `order[k]` is class k."""
    rng = np.random.default_rng(seed)
    classes = len(names)
    labels = rng.choice(classes, n, p=share)
    meant = np.where(rng.random(n) < accuracy, labels, rng.integers(0, classes, n))
    return Predicted(labels, np.asarray(order)[meant], names)


def as_text(names):
    return [sorted(names).index(name) for name in names]


@pytest.mark.parametrize("accuracy", [1.0, 0.8, 0.6])
@pytest.mark.parametrize(
    ("names", "order", "says"),
    [
        (TWELVE, as_text(TWELVE), "sorted as text"),
        (sorted(TWELVE), [int(name) for name in sorted(TWELVE)], "as numbers"),
        (list("abcdef"), [1, 2, 3, 4, 5, 0], "class k is output k + 1"),
        (list("abcdef"), [5, 0, 1, 2, 3, 4], "class k is output k - 1"),
        (list("abcdef"), [5, 4, 3, 2, 1, 0], "reverse order"),
        (["Bee", "Dog", "ant", "cow"], [1, 3, 0, 2], "without case"),
        (["Cow", "bee", "ant", "Ant"], [3, 2, 0, 1], "without case"),
        (list("abcdefgh"), [3, 0, 2, 7, 6, 1, 5, 4], "output 3 is 'a', output 0 is 'b'"),
        (list("abcdefghij"), [0, 1, 2, 3, 5, 4, 6, 7, 8, 9], "output 5 is 'e', output 4 is 'f'"),
    ],
)
def test_another_order_is_found_and_named(names, order, says, accuracy):
    found = suspected_order(predicted(names, order, accuracy, n=600))
    assert says in found.name
    assert found.accuracy > 0.85 * accuracy
    if len(names) < 12:
        assert found.outputs.tolist() == order


def test_images_without_a_prediction_speak_for_no_output():
    order = [3, 0, 2, 7, 6, 1, 5, 4]
    seen = predicted(list("abcdefgh"), order, 0.8, n=600)
    outputs = np.where(seen.labels == 0, -1, seen.outputs)
    found = suspected_order(Predicted(seen.labels, outputs, seen.class_names))
    assert found.outputs.tolist() == order


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("classes", [2, 3, 10, 100])
@pytest.mark.parametrize("accuracy", [0.0, 0.05, 0.3, 0.9])
def test_weak_models_in_the_right_order_raise_no_alarm(classes, accuracy, seed):
    names = [str(k) for k in range(classes)]
    assert suspected_order(predicted(names, range(classes), accuracy, 300, seed)) is None


@pytest.mark.parametrize("seed", range(20))
def test_biased_models_raise_no_alarm(seed):
    """A constant prediction of a rare class, a few outputs for everything, classes confused."""
    rng = np.random.default_rng(seed)
    names = list("abcde")
    share = [0.6, 0.2, 0.1, 0.06, 0.04]
    labels = rng.choice(5, 300, p=share)
    assert suspected_order(Predicted(labels, np.full(300, 4), names)) is None
    assert suspected_order(Predicted(labels, rng.integers(3, 5, 300), names)) is None
    absorbed = np.where((labels == 2) & (rng.random(300) < 0.9), 3, labels)
    assert suspected_order(Predicted(labels, absorbed, names)) is None


def test_images_of_one_class_raise_no_alarm():
    zeros = np.zeros(300, dtype=np.int64)
    assert suspected_order(Predicted(zeros, zeros + 1, ["a", "b"])) is None


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("classes", [3, 10])
def test_untrained_networks_raise_no_alarm(classes, seed):
    """Their outputs depend on the image, so some assignment fits better than the given one."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    chosen = digits.target < classes
    rng = np.random.default_rng(seed)
    hidden = np.maximum(digits.data[chosen] @ rng.normal(size=(64, 64)), 0)
    outputs = (hidden @ rng.normal(size=(64, classes))).argmax(1)
    names = [str(k) for k in range(classes)]
    assert suspected_order(Predicted(digits.target[chosen], outputs, names)) is None


def test_many_classes_with_few_images_each():
    names = [f"c{k:03}" for k in range(200)]
    order = np.random.default_rng(0).permutation(200)
    assert suspected_order(predicted(names, order, 0.7, n=1000)) is not None
