"""The settings of a refinement that are refused."""

from dataclasses import asdict

import pytest

from rampart.errors import InvalidArgument, UnknownName
from rampart.recipes.refining.settings import Refinement

NUMBERS = [name for name, value in asdict(Refinement()).items() if not isinstance(value, str)]
OUT_OF_RANGE = {
    **dict.fromkeys(("images", "steps", "epochs"), (0, 2.5)),
    **dict.fromkeys(("radius", "lr"), (0.0, -1.0)),
    "momentum": (1.0, -0.1),
    "weight_decay": (-1.0,),
}
NEVER = (float("nan"), float("inf"), float("-inf"), True, None, "0.1")


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_out_of_range_are_refused(name):
    for value in (*OUT_OF_RANGE[name], *NEVER):
        with pytest.raises(InvalidArgument) as refused:
            Refinement(**{name: value})
        assert refused.value.name == name


def test_an_infinite_rate_is_answered_with_a_finite_one():
    with pytest.raises(InvalidArgument, match="finite number above 0"):
        Refinement(lr=float("inf"))


def test_an_unknown_rule_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="clean"):
        Refinement(choose="cleen")


def test_whole_numbers_are_numbers():
    ones = {name: 1 for name in NUMBERS if name != "momentum"}
    assert Refinement(**ones, momentum=0).lr == 1
