"""The budgets of searches in words, and their comparison."""

from rampart.experiments.search_budgets import budgets_by_method, spell_budgets, spell_unequal
from rampart.experiments.tuning.outcome import Spent

SIX = Spent(6, 41_234, 3.0)


def test_a_budget_has_runs_and_passes():
    assert spell_budgets([SIX]) == "6 runs, 41 k passes"
    assert spell_budgets([Spent(1, 800, 0.1)]) == "1 run, 800 passes"
    assert spell_budgets([SIX, Spent(4, 20_000, 1.0)]) == "6 runs, 41 k passes; 4 runs, 20 k passes"
    assert spell_budgets([]) == ""


def test_budgets_of_one_task_stand_once_for_each_method():
    four = Spent(4, 20_000, 1.0)
    budgets = {
        ("a", "fix", 0): SIX,
        ("a", "fix", 1): SIX,
        ("a", "linear", 0): SIX,
        ("a", "linear", 1): four,
        ("b", "fix", 0): four,
    }
    assert budgets_by_method(budgets, "a") == {"fix": [SIX], "linear": [SIX, four]}
    assert budgets_by_method(budgets, "c") == {}


def test_equal_budgets_need_no_sentence():
    assert spell_unequal({}) == ""
    assert spell_unequal({"fix": [SIX]}) == ""
    assert spell_unequal({"fix": [SIX], "linear": [Spent(6, 41_300, 9.0)]}) == ""


def test_unequal_numbers_of_runs_are_named():
    text = spell_unequal({"fix": [SIX], "linear": [Spent(4, 41_234, 3.0)], "standard": [SIX]})
    assert "unequal budgets: 6 runs for fix, standard; 4 runs for linear" in text


def test_unequal_passes_of_as_many_runs_are_named():
    text = spell_unequal({"fix": [SIX], "linear": [Spent(6, 20_000, 3.0)]})
    assert "6 runs each" in text
    assert "unequal passes: 41 k passes for fix; 20 k passes for linear" in text
