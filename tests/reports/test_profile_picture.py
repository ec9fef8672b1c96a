"""The picture of a profile: a panel for each norm, one for corruptions, one for the worst norm."""

import numpy as np
import pytest
from tests.records.made_up_records import make

from rampart.records.profile import Profile, profile_summary
from rampart.reports.profile_picture import draw_profile

LINF = make((0, 1, 3, 5, 5))
L2 = make((0, 4, 2, 5, 1), norm="l2", grid=np.arange(5.0))
FOG, SNOW = (
    make((0, 1, 3, 6, 5), norm=kind, grid=np.arange(6.0), wrong_at=np.array([1, 2, 24, 0, 32]))
    for kind in ("fog", "snow")
)


@pytest.mark.parametrize(
    ("records", "titles"),
    [
        ((LINF,), ["Linf"]),
        ((LINF, L2), ["Linf", "L2", "Worst norm"]),
        ((LINF, FOG, SNOW), ["Linf", "2 corruptions"]),
        ((FOG,), ["Fog"]),
    ],
)
def test_each_threat_has_a_panel(records, titles):
    panels = draw_profile(profile_summary(Profile(records))).axes
    assert [panel.get_title(loc="left").partition(":")[0] for panel in panels] == titles
    assert all(panel.get_lines() for panel in panels)
    kinds = sum(one in (FOG, SNOW) for one in records)
    if kinds:
        corrupted = panels[titles.index("Fog" if kinds == 1 else "2 corruptions")]
        # One line for each kind, and their mean.
        assert len(corrupted.get_lines()) == kinds + 1
        assert corrupted.get_xlabel() == "severity"
