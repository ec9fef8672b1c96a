from dataclasses import replace

import numpy as np
import pytest

from rampart.attacks.catalogue import ATTACKS
from rampart.evaluation.escalation import (
    MIN_RECHECKED,
    RECHECK_FRACTION,
    affected,
    judge,
    recheck_fraction,
)
from rampart.evaluation.results import COLUMNS, Results

STANDARD = ATTACKS.build("standard", {}).stages()


def made_up(
    n: int, late: int = 0, rechecked: int = 0, lowered: int = 0, pruned: int = 0
) -> Results:
    """Results of n samples at 4 strengths: FAB or Square set `late` of them, APGD the others."""
    rows = np.arange(n)
    columns = {name: np.zeros(n, kind) for name, kind in COLUMNS.items()}
    columns |= {"indices": rows, "critical": rows * 0 + 3, "before_recheck": rows * 0 + 3}
    columns["finite"] = np.ones(n, bool)
    columns["distance"] = rows * 0 + 0.01
    columns["stage"] = np.where(rows < late, 2 + rows % 2, rows % 2)
    columns["rechecked"] = rows >= n - rechecked
    columns["before_recheck"] = np.where(rows >= n - lowered, 4, 3)
    columns["pruned"] = (rows < pruned).astype(np.int64)
    return Results(**columns)


def test_an_ordinary_evaluation_does_not_escalate():
    found = judge(made_up(1000, late=10, rechecked=100, pruned=400), STANDARD)
    assert found.escalated == ""
    assert (found.rechecked, found.lowered, found.sentinel, found.pruned) == (100, 0, 10, 400)
    assert found.figures()["pruned"] == 400


def test_one_lowered_sample_of_a_small_recheck_escalates():
    found = judge(made_up(1000, rechecked=50, lowered=1), STANDARD)
    assert "1 of 50 rechecked samples" in found.escalated
    assert not judge(made_up(1000, rechecked=400, lowered=1), STANDARD).escalated


def test_black_box_attacks_that_lower_too_many_samples_escalate():
    found = judge(made_up(1000, late=11), STANDARD)
    assert found.escalated == "FAB or Square lowered 11 of 1000 samples"
    join_starting = judge(made_up(1000, late=11, rechecked=10, lowered=2), STANDARD)
    assert join_starting.escalated.count(";") == 1


@pytest.mark.parametrize("name", ["square", "fab"])
def test_they_do_not_escalate_without_gradient_ascent_before_them(name):
    stages = ATTACKS.build(name, {}).stages()
    results = made_up(100)
    results = replace(results, stage=results.stage * 0)
    assert not judge(results, stages).escalated


def test_samples_with_pruned_runs_are_affected():
    np.testing.assert_array_equal(affected(made_up(5, pruned=2)), [1, 1, 0, 0, 0])


def test_small_evaluations_recheck_a_larger_fraction():
    assert recheck_fraction(0) == 0
    assert recheck_fraction(3) == 1
    assert recheck_fraction(60) * 60 == pytest.approx(MIN_RECHECKED)
    assert recheck_fraction(10_000) == RECHECK_FRACTION
    fractions = [recheck_fraction(n) for n in range(1, 500)]
    assert fractions == sorted(fractions, reverse=True)
