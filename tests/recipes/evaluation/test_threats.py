"""The threats of a profile: names, ranges and the strengths of published figures."""

import pytest

from rampart.errors import InvalidArgument, RampartError
from rampart.published import BENCHMARK_STRENGTHS
from rampart.recipes.evaluation.threats import FRACTIONS, Threat, parse_threats
from rampart.strengths import usual_strengths
from rampart.units import CORRUPTIONS, NORMS

THREATS = [Threat("linf"), Threat("l2", 1.0)]


@pytest.mark.parametrize(
    "spelled", ["linf,l2=1", ["linf", "l2=1"], {"linf": None, "l2": "1"}, " linf , l2 = 1"]
)
def test_names_may_state_the_largest_strength(spelled):
    assert list(parse_threats(spelled)) == THREATS


def test_corruptions_stand_for_every_kind():
    assert [one.norm for one in parse_threats("l1,corruptions")] == ["l1", *CORRUPTIONS]
    assert [one.corruption for one in parse_threats("l1,snow")] == [None, "snow"]


@pytest.mark.parametrize(
    "wrong",
    ["", "linf,linf", "fog2", "l2=0", "linf=8", "l2=", [], "fog=3", "corruptions,fog"],
)
def test_slips_are_refused(wrong):
    with pytest.raises(RampartError, match="threat"):
        parse_threats(wrong)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("side", [32, 224])
def test_the_range_holds_usual_and_published_strengths(norm, side):
    shape = (3, side, side)
    grid, usual = Threat(norm).grid(shape), usual_strengths(norm, shape)
    assert usual.usual in grid
    assert grid[0] == pytest.approx(usual.low)
    assert grid[-1] == 2 * usual.usual
    assert set(grid) >= {fraction * grid[-1] for fraction in FRACTIONS}
    assert (BENCHMARK_STRENGTHS[norm] in grid) == (side == 224 or norm == "linf")


def test_too_large_images_are_refused():
    with pytest.raises(InvalidArgument, match="threats"):
        Threat("l2").grid((3, 2048, 2048))
