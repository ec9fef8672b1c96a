import pytest
from made_up import record

from rampart.records.summary import summary
from rampart.reports.headline import spell_expected


def test_bounds_stand_beside_the_interval_where_they_reach_beyond_it():
    # Accuracy falls by 80 points in one step: the straight line may be wrong by 40.
    coarse = summary(record([0.9, 0.1]))
    assert spell_expected(coarse) == "expected 50.0 % [46.8, 53.2], bounds 10.0 to 90.0 %"


def test_bounds_inside_the_interval_are_left_out():
    fine = summary(record([0.5] * 5))
    assert "bounds" not in spell_expected(fine)
    assert spell_expected(fine).startswith("expected 50.0 % [")


@pytest.mark.parametrize(
    ("reached", "words"),
    [(True, " (until 1.5 %: 640 of 2000 images)"), (False, "not reached with all 2000 images)")],
)
def test_the_headline_says_how_many_images_a_precision_took(reached, words):
    until = {"precision": 0.015, "reached": reached, "images": 640, "available": 2000}
    assert words in spell_expected({**summary(record([0.5] * 5)), "until": until})
