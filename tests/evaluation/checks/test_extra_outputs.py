import numpy as np
import pytest

from rampart.evaluation.checks.class_order import Predicted
from rampart.evaluation.checks.extra_outputs import BY_CHANCE, check_extra_outputs


def predicted(labels, outputs, classes, predictions=None):
    labels = np.asarray(labels)
    names = [str(k) for k in range(outputs)]
    found = labels if predictions is None else np.asarray(predictions)
    return Predicted(labels, found, names, outputs - classes)


def test_outputs_without_a_class_are_counted_with_the_images_that_go_there():
    labels, predictions = np.arange(60) % 10, np.where(np.arange(60) < 57, 700, 3)
    found = check_extra_outputs(predicted(labels, 1000, 10, predictions))
    assert found.status == "warn"
    assert found.value == pytest.approx(0.01**60)
    assert "990 of the 1000 outputs" in found.message
    assert "57 of 60 images" in found.message
    assert "labels end at 9" in found.message
    assert "count as misclassified" in found.message


def test_a_model_with_an_output_for_each_class_passes_whatever_the_images_show():
    assert check_extra_outputs(predicted([0] * 50, 1000, 1000)).status == "pass"
    assert check_extra_outputs(None).status == "skipped"


def test_images_that_leave_out_the_last_classes_by_chance_give_no_alarm():
    """Of all labels of a class, the largest drawn one is often a little smaller."""
    alarms = 0
    for seed in range(2000):
        rng = np.random.default_rng(seed)
        classes = int(rng.integers(2, 200))
        labels = rng.integers(0, classes, int(rng.integers(4, 300)))
        found = check_extra_outputs(predicted(labels, classes, int(labels.max()) + 1))
        alarms += found.status == "warn"
    assert alarms <= 3 * BY_CHANCE * 2000
