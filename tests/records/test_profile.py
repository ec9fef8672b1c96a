"""A profile sums up records of several threats: each of them, and the worst of all."""

import numpy as np
import pytest
from made_up_records import make

from rampart.errors import InvalidArgument
from rampart.metrics.expectation import contributions
from rampart.records.profile import Profile, profile_summary

LINF = (0, 1, 3, 5, 5)
L2 = (0, 4, 2, 5, 1)


def under(norm, critical, eps=4.0, **changes):
    return make(critical, norm=norm, grid=np.arange(5) * eps / 4, **changes)


def pair():
    return Profile((make(LINF), under("l2", L2)))


def test_the_worst_case_is_the_union_of_the_threats():
    facts = profile_summary(pair())
    linf, l2 = facts["threats"]
    assert (linf["half_eps"], l2["half_eps"]) == (2 / 255, 2.0)
    assert [one["half"]["value"] for one in (linf, l2, facts["worst"])] == [0.6, 0.4, 0.2]
    assert [one["largest"]["value"] for one in (linf, l2, facts["worst"])] == [0.4, 0.2, 0.2]
    smallest = np.minimum(LINF, L2)
    expected = contributions(smallest, np.arange(5) / 4).mean()
    assert facts["worst"]["expected"]["value"] == pytest.approx(expected)
    assert facts["worst"]["clean"]["value"] == 0.8


def test_the_order_of_the_images_does_not_matter():
    linf, l2 = pair().records
    turned = {name: getattr(l2, name)[::-1] for name in ("ids", "labels", "predictions")}
    shuffled = Profile((linf, under("l2", L2[::-1], **turned)))
    assert profile_summary(shuffled)["worst"] == profile_summary(pair())["worst"]


def test_the_worst_case_counts_shared_strengths_only():
    # Between the shared fractions 1/2 and 1 the second grid has one more strength.
    fine = make((0, 3, 4, 5, 3), norm="l2", grid=np.array([0, 1, 2, 3, 4.0]))
    coarse = make((0, 3, 3, 3, 3), grid=np.array([0, 2, 4]) / 255)
    profile = Profile((coarse, fine))
    assert profile.shared_fractions().tolist() == [0, 0.5, 1]
    # Misclassified at 3/4 of the range: at the next shared fraction, which is 1.
    assert profile.worst_critical().tolist() == [0, 2, 2, 3, 2]


@pytest.mark.parametrize(
    ("others", "says"),
    [
        ((make(LINF),), "two under linf"),
        ((under("l2", L2, ids=tuple("abcde")),), "samples"),
        ((under("l2", L2, metadata={"model": {"fingerprint": "b"}}),), "model fingerprint"),
        ((under("l2", L2, metadata={"top_k": 2}),), "top_k"),
        ((make(L2, norm="l2", grid=np.array([0, 1, 3, 5, 8.0])),), "half"),
    ],
)
def test_records_that_do_not_belong_together_are_refused(others, says):
    first = make(LINF, metadata={"model": {"fingerprint": "a"}, "top_k": 1})
    with pytest.raises(InvalidArgument, match=says):
        Profile((first, *others))
    with pytest.raises(InvalidArgument, match="at least one"):
        Profile(())
