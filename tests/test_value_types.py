"""Values are fitted to the types of their fields."""

from typing import Any, Literal

import pytest

from rampart.errors import InvalidArgument
from rampart.value_types import fit, require_no_booleans


@pytest.mark.parametrize(
    ("annotation", "value", "fitted"),
    [
        (tuple[float, ...], "0.5,1", [0.5, 1]),
        (tuple[float, ...] | None, 0.5, [0.5]),
        (tuple[float, float], "0.5, 1e-3", [0.5, 0.001]),
        (tuple[str, ...], "a,b", ["a", "b"]),
        (tuple[str, ...], 5, 5),
        (tuple[tuple[float, float], ...], "0,1", "0,1"),
        (str, "a,b", "a,b"),
        (float, "1,2", "1,2"),
        (bool | Literal["auto"], True, True),
        (dict[str, Any], True, True),
        (dict[str, int], {"a": True}, {"a": True}),
    ],
)
def test_lists_need_no_brackets(annotation, value, fitted):
    assert fit({"key": annotation}, {"key": value}) == {"key": fitted}


@pytest.mark.parametrize(
    ("annotation", "value"),
    [(int, True), (float | None, False), (tuple[float, ...], [0.5, True]), (int, False)],
)
def test_true_and_false_are_not_numbers(annotation, value):
    with pytest.raises(InvalidArgument) as caught:
        fit({"key": annotation}, {"key": value})
    assert caught.value.name == "key"


class Takes:
    def __init__(self, count: int, rate: float | None = None, plain=3, on: bool = True, **more):
        pass


def test_true_and_false_are_not_numbers_for_other_code():
    require_no_booleans("model.options", {"count": 1, "on": False, "other": True}, Takes)
    for name in ("count", "rate", "plain"):
        with pytest.raises(InvalidArgument) as caught:
            require_no_booleans("model.options", {"on": True, name: False}, Takes)
        assert caught.value.name == f"model.options.{name}"


def test_unknown_names_are_left_alone():
    assert fit({}, {"key": "a,b"}) == {"key": "a,b"}


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        *((int, 10**18), (int, -(10**18)), (int, "9" * 30), (int | None, 1e18), (int, 10**400)),
        *((float, 1e300), (float, -1e300), (float, "1e300"), (float | None, 10**400)),
        *((tuple[float, ...], [0.5, 1e300]), (tuple[tuple[float, float], ...], [[0, 1e300]])),
    ],
)
def test_numbers_that_overflow_are_refused(annotation, value):
    with pytest.raises(InvalidArgument) as caught:
        fit({"key": annotation}, {"key": value})
    assert caught.value.name == "key"
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("name", "annotation", "value"),
    [
        ("seed", int, 2**62),
        ("x", int, 1_000_000),
        ("x", float, 1e-320),
        ("x", float, 1e30),
        ("x", str, "9" * 30),
    ],
)
def test_large_seeds_and_usual_numbers_pass(name, annotation, value):
    assert fit({name: annotation}, {name: value}) == {name: value}
