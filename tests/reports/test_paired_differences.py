"""The difference of two models: where interval and exact test disagree, and which counts."""

import numpy as np
import pytest
from tests.records.made_up_records import make

from rampart.metrics.pairs import mcnemar, paired_interval
from rampart.reports.measures import report
from rampart.reports.named_records import Measured
from rampart.reports.page.comparing import comparison_page
from rampart.reports.page.write import write_built_page
from rampart.reports.paired import paired_difference
from rampart.reports.statements import report_lines

#: Ten images of 250 differ, all in one direction and by a quarter each.
FEW = [Measured("A", make([5] * 240 + [4] * 10)), Measured("B", make([5] * 240 + [3] * 10))]


def differing(first, second, n):
    """Return right and wrong of two models, of which each alone is right on some images."""
    ours, theirs = np.zeros(n), np.zeros(n)
    ours[:first] = theirs[first : first + second] = 1
    return ours, theirs


def test_a_small_p_beside_an_interval_with_0_is_explained_and_may_be_chance():
    figure = report(FEW)["pairs"][0]["figures"]["expected"]
    assert figure["p"] < 0.005
    assert -0.01 < figure["low"] < 0 < 0.02 < figure["high"], "the conservative one"
    assert figure["doubtful"]
    assert not figure["certain"]
    assert "only the 10 images" in figure["note"]
    assert figure["note"].endswith("The interval counts.")
    assert "may be chance" in figure["advice"]


def test_the_explanation_stands_in_the_text_and_on_the_page(tmp_path):
    facts = report(FEW)
    note = facts["pairs"][0]["figures"]["expected"]["note"]
    lines = report_lines(facts)
    place = next(row for row, line in enumerate(lines) if note in line)
    assert "p = 0.00" in lines[place - 1], "below the figure"
    write_built_page(comparison_page(FEW), tmp_path / "page.html")
    assert note in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_an_interval_without_0_beside_a_large_p_may_be_chance_too():
    first, second = differing(11, 3, 1000)
    assert paired_interval(first, second).low > 0
    assert mcnemar(first, second).p > 0.05
    figure = paired_difference(first, second, 0.95, binary=True)
    assert figure["doubtful"]
    assert "with 14 images" in figure["note"]
    assert figure["note"].endswith("The test counts.")
    # At full strength one model is right on 11 images, and the other one on 3.
    pair = [
        Measured(name, make(4 + one.astype(int))) for name, one in (("A", first), ("B", second))
    ]
    figures = report(pair)["pairs"][0]["figures"]
    assert figures["adversarial"]["note"] == figure["note"]
    assert "accuracy at 4/255 may be chance" in figures["expected"]["advice"]


@pytest.mark.parametrize(("first", "doubtful"), [(0, True), (2, True), (60, False)])
def test_where_both_agree_nothing_is_explained(first, doubtful):
    figure = paired_difference(*differing(first, 0, 200), 0.95, binary=True)
    assert figure["doubtful"] is doubtful
    assert "note" not in figure
