import pytest

from rampart.errors import InvalidArgument
from rampart.metrics.adaptation import adaptation_delay, correlation


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


def test_correlation_values():
    assert correlation([1, 2, 3], [6, 4, 2]) == pytest.approx(-1)
    assert correlation([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(0.8)


@pytest.mark.parametrize(("a", "b"), [([1], [2]), ([1, 2], [1, 2, 3]), ([1, 1], [1, 2])])
def test_correlation_refuses_what_has_none(a, b):
    with pytest.raises(InvalidArgument):
        correlation(a, b)
