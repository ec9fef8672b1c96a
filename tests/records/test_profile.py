"""A profile sums up records of several threats: each of them, and the worst of all."""

import numpy as np
import pytest
from made_up_records import make

from rampart.errors import InvalidArgument
from rampart.metrics.expectation import contributions
from rampart.records.profile import Profile, profile_summary
from rampart.records.storage import load_record, save_record
from rampart.reports.measures import report
from rampart.reports.named_records import Measured

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


def severities(kind, wrong, **changes):
    """A record of a corruption from the severities at which each sample is wrong."""
    wrong = [sum(1 << severity for severity in one) for one in wrong]
    critical = [next((s for s in range(6) if one >> s & 1), 6) for one in wrong]
    return make(critical, norm=kind, grid=np.arange(6.0), wrong_at=np.array(wrong), **changes)


FOG = ((0, 1), (1,), (3, 4), (), (5,))
SNOW = ((0, 3), (), (2,), (4,), ())


def test_corruptions_count_at_each_severity_and_in_the_worst_case():
    profile = Profile((make(LINF), severities("fog", FOG), severities("snow", SNOW)))
    facts = profile_summary(profile)
    found = facts["corruptions"]
    # Right at severity 3: all but the third under fog, all but the first under snow.
    assert found["kinds"]["fog"]["half"]["value"] == 0.8
    assert found["kinds"]["snow"]["half"]["value"] == 0.8
    assert found["half"]["value"] == pytest.approx(0.8)
    assert found["largest"]["value"] == pytest.approx(0.9)
    right = [[1 - 4 / 25 - 1 / 25], [1 - 3 / 25]]
    assert found["kinds"]["fog"]["expected"]["value"] == pytest.approx(right[0][0])
    assert found["kinds"]["snow"]["expected"]["value"] == pytest.approx(right[1][0])
    # Up to severity 3 and half of the norm: the fourth and the fifth image.
    worst = facts["worst"]
    assert worst["half"]["value"] == 0.4
    assert worst["largest"]["value"] == 0.0
    assert worst["expected"] == profile_summary(Profile((make(LINF),)))["worst"]["expected"]


def test_corruptions_alone_have_no_strengths_in_common():
    facts = profile_summary(Profile((severities("fog", FOG),)))
    assert facts["worst"]["expected"] is None
    assert facts["threats"] == []


@pytest.mark.parametrize("wrong", [None, np.array([1, 2, 8, 0, 16])])
def test_a_record_of_a_corruption_states_every_severity(wrong):
    fog = severities("fog", FOG)
    with pytest.raises(InvalidArgument, match="wrong_at"):
        make(fog.critical, norm="fog", grid=fog.grid, wrong_at=wrong)


def test_severities_and_strengths_are_never_mixed():
    fog = severities("fog", FOG)
    with pytest.raises(InvalidArgument, match="grid"):
        make(fog.critical, norm="fog", grid=np.arange(6) / 255, wrong_at=fog.wrong_at)
    with pytest.raises(InvalidArgument, match="wrong_at"):
        make(LINF, wrong_at=np.array([1, 2, 8, 0, 0]))
    with pytest.raises(InvalidArgument, match="severity"):
        make(LINF).right_at(3)
    for kind in ("linf", "snow"):
        other = severities("snow", SNOW) if kind == "snow" else make(LINF)
        for pair in ((fog, other), (other, fog)):
            with pytest.raises(InvalidArgument, match="second record"):
                report([Measured(str(n), one) for n, one in enumerate(pair)])
    with pytest.raises(InvalidArgument, match="distribution"):
        report([Measured("fog", fog)], ["beta:a=2,b=5"])


def test_a_record_of_a_corruption_is_stored_like_any_other(tmp_path):
    fog = severities("fog", FOG)
    save_record(fog, tmp_path)
    loaded = load_record(tmp_path)
    assert loaded.norm == "fog"
    assert loaded.wrong_at.tolist() == fog.wrong_at.tolist()
    assert [loaded.right_at(4).tolist(), loaded.right_at(0).mean()] == [
        [True, True, False, True, True],
        0.8,
    ]
