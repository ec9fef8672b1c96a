import pytest

from rampart.errors import UnknownName
from rampart.schedules.hinge import TwoHinge
from rampart.schedules.times import spell_time


def test_times_are_spelled_with_their_unit():
    assert spell_time(0.75, "fraction") == "0.75 of the run"
    assert spell_time(1, "epoch") == "1 epoch"
    assert spell_time(1234567, "step") == "1234567 steps"


def test_an_unknown_unit_is_refused_with_a_suggestion():
    with pytest.raises(UnknownName, match="did you mean step"):
        TwoHinge(unit="steps")
