from dataclasses import replace

import numpy as np
import pytest
from made_up import record

from rampart.records.summary import summary
from rampart.reports.headline import spell_balanced, spell_expected
from rampart.reports.statements import evaluation_lines
from report_folders import record as made_up_record


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


@pytest.mark.parametrize(("sizes", "shown"), [([6, 6], False), ([7, 4], False), ([8, 4], True)])
def test_the_headline_of_unbalanced_classes_has_means_over_them(sizes, shown):
    labels = np.repeat([0, 1], sizes)
    critical = np.where(labels == 0, 5, 1)
    own = replace(
        made_up_record(n=len(labels)),
        labels=labels,
        predictions=labels,
        critical=critical,
        attacked_predictions=None,
    )
    facts = summary(own)
    text = spell_balanced(facts)
    assert bool(text) is shown
    if shown:
        assert "4 to 8 images" in text
        assert "clean 100.0 %, at 4/255 50.0 %" in text
        assert any(text in line for line in evaluation_lines(facts))
