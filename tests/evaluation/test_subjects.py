"""Fast mode on networks whose margins mislead equals exact mode, or says how far it may err."""

import numpy as np
import pytest
from subjects import SUBJECTS, trained

from rampart.attacks.catalogue import ATTACKS
from rampart.data.batches import ordered_batches
from rampart.evaluation.critical import critical_strengths
from rampart.evaluation.recheck import Plan, default_error
from rampart.evaluation.results import Results
from rampart.evaluation.whole import Evaluation, evaluate_split
from rampart.metrics.expectation import expected_robustness

GRID = tuple(k * 4 / 255 for k in range(9))
ATTACKS_OF = {"apgd": {"steps": 10, "iterate": "adversarial"}, "short": {"steps": 16, "targets": 2}}


@pytest.fixture
def short_runs_are_pruned(monkeypatch):
    """As if it paid, so that these tests are quick."""
    monkeypatch.setattr(Plan, "pays", lambda plan, stages: True)


def evaluate(
    name: str, seed: int, mode: str, attack: str = "apgd", n: int = 240, **options
) -> Evaluation:
    model, split = trained(seed, n)
    built = ATTACKS.build(attack, ATTACKS_OF[attack])
    return evaluate_split(SUBJECTS[name](model), split, built, GRID, seed, mode=mode, **options)


def expected_and_last(results: Results) -> np.ndarray:
    """Expected robustness, and the accuracy at the largest strength."""
    robust = np.mean(results.critical == len(GRID))
    return np.array([expected_robustness(results.critical, GRID), robust])


@pytest.mark.parametrize("attack", ["apgd", "short"])
@pytest.mark.parametrize("name", list(SUBJECTS))
def test_fast_mode_equals_exact_mode_or_says_so(name, attack, short_runs_are_pruned):
    n = {"apgd": 240, "short": 60}[attack]
    fast, exact = (evaluate(name, 0, mode, attack, n) for mode in ("fast", "exact"))
    found = fast.pruning
    assert found is not None
    assert found.gave_up > 10
    error = expected_and_last(fast.results) - expected_and_last(exact.results)
    assert error.max() <= found.excluded <= default_error(n)
    assert (found.excluded == 0) == (fast.results.pruned == 0).all()
    # An image that was attacked in full is never too high.
    too_high = fast.results.critical > exact.results.critical
    assert not too_high[fast.results.pruned == 0].any()


@pytest.mark.parametrize("seed", range(3))
def test_margins_to_the_power_one_tenth_are_noticed(seed, short_runs_are_pruned):
    """Pruning alone leaves some images too high; the recheck draws enough of them."""
    model, split = trained(seed, 240)
    model, attack = SUBJECTS["power 0.1"](model), ATTACKS.build("apgd", ATTACKS_OF["apgd"])
    batches = ordered_batches(split, 240)
    hidden = critical_strengths(model, batches, attack, GRID, seed, mode="fast")
    modes = ("fast", "exact")
    fast, exact = (evaluate("power 0.1", seed, mode, largest_error=0.05) for mode in modes)
    assert (hidden.critical > exact.results.critical).sum() > 5
    assert fast.pruning is not None
    assert fast.pruning.lowered > 0
    error = expected_and_last(fast.results) - expected_and_last(exact.results)
    assert error.max() <= fast.pruning.excluded


def test_runs_of_ten_steps_are_not_pruned():
    fast, exact = (evaluate("power 0.1", 0, mode) for mode in ("fast", "exact"))
    np.testing.assert_array_equal(fast.results.critical, exact.results.critical)
    assert fast.pruning is not None
    assert (fast.pruning.gave_up, fast.pruning.excluded) == (0, 0)


@pytest.mark.parametrize("seed", range(4))
def test_a_healthy_network_does_not_escalate(seed, short_runs_are_pruned):
    found = evaluate("healthy", seed, "fast").pruning
    assert found is not None
    assert (found.escalated, found.lowered) == ("", 0)
    assert 0 < found.rechecked < found.gave_up
