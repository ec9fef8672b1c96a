import pytest

from rampart.errors import InvalidArgument
from rampart.schedules.auto import Auto
from rampart.schedules.base import Schedule
from rampart.schedules.hinge import Fix, Linear, PiecewiseLinear, Standard, TwoHinge


def test_the_contract_cannot_be_instantiated():
    with pytest.raises(TypeError, match="abstract"):
        Schedule()


def test_alpha_beyond_the_run_is_the_last_one():
    assert Linear().alpha(99, 50) == 1
    assert TwoHinge.at_epochs(10, 30).alpha(25, 20) == 0.5


@pytest.mark.parametrize(("t", "T"), [(-1, 10), (float("nan"), 10), (1, 0), (1, float("nan"))])
def test_impossible_times_are_refused(t, T):
    with pytest.raises(InvalidArgument):
        Linear().alpha(t, T)


def test_only_auto_needs_validation():
    assert Auto().needs_validation
    assert not any(s.needs_validation for s in (Fix(), Standard(), TwoHinge(), PiecewiseLinear()))
