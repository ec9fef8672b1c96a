import pytest
from made_up_records import GRID, make

from rampart.errors import InvalidArgument
from rampart.metrics.expectation import PointMass
from rampart.records.pairing import compare_pairs


def test_paired_with_itself_is_exactly_zero():
    test = compare_pairs(make(), make())
    assert (test.difference, test.low, test.high) == (0, 0, 0)


def test_paired_matches_samples_by_id():
    first, order = make(), [3, 0, 4, 2, 1]
    shuffled = make(
        first.critical[order],
        ids=tuple(first.ids[i] for i in order),
        labels=first.labels[order],
        predictions=first.predictions[order],
    )
    assert compare_pairs(first, shuffled).high == 0
    # Sample 1 lasts to the end in the other record: 1 against 1/8 of expected robustness.
    better = make([0, 5, 3, 5, 5])
    assert compare_pairs(better, shuffled).difference == pytest.approx((1 - 1 / 8) / 5)
    assert compare_pairs(better, first, PointMass(0.0)).difference == 0


@pytest.mark.parametrize("changes", [{"ids": tuple("abcde")}, {"norm": "l2"}, {"grid": GRID * 2}])
def test_paired_refuses_other_samples_or_threats(changes):
    with pytest.raises(InvalidArgument, match="second record="):
        compare_pairs(make(), make(**changes))
