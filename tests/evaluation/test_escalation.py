from dataclasses import replace

import numpy as np
import pytest

from rampart.attacks.catalogue import ATTACKS
from rampart.evaluation.escalation import Pruning, affected, alarm, merge, recheck
from rampart.evaluation.recheck import FEWEST, Plan
from rampart.evaluation.results import COLUMNS, Results

STANDARD = ATTACKS.build("standard", {}).stages()
GRID = (0.0, 0.1, 0.2, 0.3, 0.4)


def made_up(n: int, late: int = 0, pruned: int = 0) -> Results:
    """Results of n samples at 4 strengths: FAB or Square set `late` of them, APGD the others."""
    rows = np.arange(n)
    columns = {name: np.zeros(n, kind) for name, kind in COLUMNS.items()}
    columns |= {"indices": rows, "critical": rows * 0 + 3, "before_recheck": rows * 0 + 3}
    columns["finite"] = np.ones(n, bool)
    columns["attacked_predictions"] = np.ones(n, int)
    columns["distance"] = rows * 0 + 0.01
    columns["stage"] = np.where(rows < late, 2 + rows % 2, rows % 2)
    columns["pruned"] = (rows < pruned).astype(np.int64)
    columns["forwards"] = rows * 0 + 10
    return Results(**columns)


class InFull:
    """The results of exact mode, in which the samples `wrong` have a smaller critical strength."""

    def __init__(self, fast: Results, wrong: np.ndarray) -> None:
        self.exact = replace(fast, pruned=fast.pruned * 0, forwards=fast.forwards * 0 + 100)
        critical = np.where(wrong, 2, fast.critical)
        self.exact = replace(self.exact, critical=critical, before_recheck=critical)
        self.asked: list[int] = []

    def __call__(self, drawn: np.ndarray) -> Results:
        self.asked.append(int(drawn.sum()))
        return self.exact.select(drawn)


def judge(fast: Results, wrong: np.ndarray, size: float = 0.1) -> tuple[Results, Pruning, InFull]:
    in_full = InFull(fast, wrong)
    return *recheck(fast, Plan(len(fast), size), GRID, 0, STANDARD, in_full), in_full


def test_an_ordinary_evaluation_does_not_escalate():
    fast = made_up(1000, late=10, pruned=400)
    results, found, in_full = judge(fast, np.zeros(1000, bool))
    assert found.escalated == ""
    assert in_full.asked == [found.rechecked]
    assert 5 < found.rechecked < 40
    assert (found.gave_up, found.lowered, found.sentinel) == (400, 0, 10)
    assert found.pruned == 400 - found.rechecked
    assert found.figures()["excluded"] == 0.1
    np.testing.assert_array_equal(results.rechecked, (fast.pruned > 0) & (results.pruned == 0))
    np.testing.assert_array_equal(results.forwards, np.where(results.rechecked, 110, 10))


def test_one_lowered_sample_of_a_small_recheck_escalates():
    """Where every sample that gave up is wrong, all looks fail."""
    fast = made_up(1000, pruned=400)
    results, found, in_full = judge(fast, fast.pruned > 0)
    assert "rechecked" in found.escalated
    assert in_full.asked == sorted(in_full.asked)
    assert (found.rechecked, found.lowered, found.pruned, found.excluded) == (400, 400, 0, 0)
    np.testing.assert_array_equal(results.critical, in_full.exact.critical)
    np.testing.assert_array_equal(results.before_recheck, fast.critical)


def test_a_later_look_allows_one_wrong_sample():
    fast = made_up(1000, pruned=400)
    draws = list(Plan(1000, 0.1).draws(fast, GRID, 0))
    wrong = np.zeros(1000, bool)
    wrong[np.flatnonzero(draws[0])[0]] = True
    results, found, in_full = judge(fast, wrong)
    assert in_full.asked == [draws[0].sum(), draws[1].sum()]
    assert (found.lowered, found.excluded, found.escalated) == (1, 0.1, "")
    assert results.critical[wrong].item() == 2


def test_black_box_attacks_that_lower_too_many_samples_escalate():
    assert alarm(made_up(1000, late=11), STANDARD) == "FAB or Square lowered 11 of 1000 samples"
    assert not alarm(made_up(1000, late=10), STANDARD)
    # One sample shows nothing.
    assert not alarm(made_up(50, late=1), STANDARD)
    assert alarm(made_up(50, late=2), STANDARD)
    _, found, in_full = judge(made_up(1000, late=11, pruned=400), np.zeros(1000, bool))
    assert in_full.asked == [400]
    assert (found.pruned, found.excluded, found.sentinel) == (0, 0, 11)
    assert "Square" in found.escalated
    assert judge(made_up(1000, late=11), np.zeros(1000, bool))[1].escalated == ""


@pytest.mark.parametrize("name", ["square", "fab"])
def test_they_do_not_escalate_without_gradient_ascent_before_them(name):
    stages = ATTACKS.build(name, {}).stages()
    results = made_up(100)
    assert not alarm(replace(results, stage=results.stage * 0), stages)


def test_samples_with_pruned_runs_are_affected():
    np.testing.assert_array_equal(affected(made_up(5, pruned=2)), [1, 1, 0, 0, 0])


def test_small_evaluations_recheck_a_larger_fraction():
    """The smaller the number of images, the larger the fraction for the same error."""
    fractions = []
    for n in (60, 200, 1000, 4000):
        fast = made_up(n, pruned=n)
        fractions.append(judge(fast, np.zeros(n, bool))[1].rechecked / n)
    assert fractions == sorted(fractions, reverse=True)
    assert fractions[0] > 0.3
    few = made_up(1000, pruned=FEWEST)
    assert judge(few, np.zeros(1000, bool), 0.2)[1].rechecked == FEWEST


def test_an_adversarial_example_of_fast_mode_stays():
    fast = made_up(3, pruned=3)
    full = replace(fast.select([0, 2]), pruned=np.zeros(2, int))
    worse = np.array([4, 2])
    full = replace(full, critical=worse, before_recheck=worse)
    whole = merge(fast, full)
    assert whole.critical.tolist() == [3, 3, 2]
    assert whole.rechecked.tolist() == [True, False, True]
    assert whole.before_recheck.tolist() == [3, 3, 3]
    assert whole.pruned.tolist() == [0, 1, 0]
