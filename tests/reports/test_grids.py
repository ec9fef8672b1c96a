import doctest

import pytest

from rampart.metrics.lead import Lead
from rampart.reports import grids
from rampart.reports.grids import more_strengths, spell_bounds, undecided

HALVES = [k / 2 / 255 for k in range(9)]


@pytest.mark.parametrize(
    ("grid", "norm", "parts", "ends"),
    [
        ([k / 255 for k in range(5)], "linf", 2, "0.5/255 apart, by evaluation.resolution=2"),
        # Halves are resolution 2 already.
        (HALVES, "linf", 3, "0.167/255 apart, by evaluation.resolution=6"),
        ([k / 16 for k in range(9)], "l2", 4, "0.0156 apart, by evaluation.resolution=4"),
        # Not the default grid: the key divides the steps of evaluation.strengths.
        ([0.0, 0.1, 0.5], "l2", 2, "between those of the grid, by evaluation.resolution"),
        ([], "linf", 2, "between those of the grid, by evaluation.resolution"),
    ],
)
def test_the_strengths_to_add_fit_the_grid(grid, norm, parts, ends):
    text = more_strengths(parts, grid, norm)
    assert f"{parts} times as many strengths" in text
    assert text.endswith(ends)


def test_a_lead_that_no_usual_grid_decides():
    found = Lead(0.1, (0.001, 0.2), (-0.3, 0.5), (-0.4, 0.6))
    assert found.parts > 16
    assert "evaluation.resolution" not in undecided(found, HALVES)


def test_bounds_have_signs_and_no_negative_zero():
    assert spell_bounds((-0.00001, 0.061)) == "bounds +0.0 to +6.1"


def test_the_example_runs():
    result = doctest.testmod(grids)
    assert result.attempted
    assert not result.failed
