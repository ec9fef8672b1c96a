import pytest

from rampart.metrics.adaptation import adaptation_delay, has_measurable_delay


@pytest.mark.parametrize(
    ("accuracy", "delay"),
    [
        ([0.4, 0.6], 1),
        ([0.01, 0.05, 0.0501], 3),
        ([0.01, 0.2, 0.01], 2),
        ([0.01, 0.02], None),
        ([], None),
    ],
)
def test_delay_is_the_first_epoch_above_five_percent(accuracy, delay):
    assert adaptation_delay(accuracy) == delay


def test_another_threshold():
    assert adaptation_delay([0.1, 0.3, 0.6], threshold=0.5) == 3


@pytest.mark.parametrize(
    ("classes", "measurable"), [(3, False), (20, False), (21, True), (100, True), (None, True)]
)
def test_few_classes_leave_nothing_to_measure(classes, measurable):
    assert has_measurable_delay(classes) == measurable
