import numpy as np
import pytest
from made_up_records import GRID, make

from rampart.errors import InvalidArgument
from rampart.records.pairing import align_critical


def test_samples_are_matched_by_id():
    first, order = make(), [3, 0, 4, 2, 1]
    shuffled = make(
        first.critical[order],
        ids=tuple(first.ids[i] for i in order),
        labels=first.labels[order],
        predictions=first.predictions[order],
    )
    assert (shuffled.critical != first.critical).any()
    np.testing.assert_array_equal(align_critical(first, shuffled), first.critical)
    np.testing.assert_array_equal(align_critical(shuffled, first), shuffled.critical)


@pytest.mark.parametrize("changes", [{"ids": tuple("abcde")}, {"norm": "l2"}, {"grid": GRID * 2}])
def test_other_samples_or_threats_are_refused(changes):
    with pytest.raises(InvalidArgument, match="second record="):
        align_critical(make(), make(**changes))
