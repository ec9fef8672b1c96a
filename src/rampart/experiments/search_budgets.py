"""The budgets of the searches in the table of a study: said for every method, and compared."""

from collections.abc import Callable, Mapping, Sequence

from rampart.counting import counted
from rampart.experiments.tuning.outcome import Spent

#: Name of the column.
SEARCH_COLUMN = "search"
#: The budget of the search of a run, by task, method and seed; a run without a search is left out.
Budgets = Mapping[tuple[str, str, int], Spent]


def budgets_by_method(budgets: Budgets, task: str) -> dict[str, list[Spent]]:
    """Return the budgets of every method on one task, each once."""
    found: dict[str, dict[Spent, None]] = {}
    for (place, method, _), spent in budgets.items():
        if place == task:
            found.setdefault(method, {})[spent] = None
    return {method: list(spents) for method, spents in found.items()}


def spell_budgets(spents: Sequence[Spent]) -> str:
    """Return budgets in a cell, such as "6 runs, 41 k passes"; "" without any."""
    return "; ".join(f"{_runs(one)}, {_passes(one)}" for one in spents)


def spell_unequal(methods: Mapping[str, Sequence[Spent]]) -> str:
    """Return a sentence on methods whose searches had unequal budgets; "" if all had the same.

    Early stopping and schedules change the passes of a search, so they may differ where the number
    of runs is the same.
    """
    runs, passes = _methods_by(methods, _runs), _methods_by(methods, _passes)
    if len(runs) > 1:
        return f"The searches had unequal budgets: {_listed(runs)}."
    if len(passes) > 1:
        return f"The searches had {next(iter(runs))} each, but unequal passes: {_listed(passes)}."
    return ""


def _methods_by(
    methods: Mapping[str, Sequence[Spent]], spell: Callable[[Spent], str]
) -> dict[str, list[str]]:
    """The methods that spent an amount, by the amount."""
    found: dict[str, list[str]] = {}
    for method, spents in methods.items():
        for amount in dict.fromkeys(map(spell, spents)):
            found.setdefault(amount, []).append(method)
    return found


def _listed(methods: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{amount} for {', '.join(names)}" for amount, names in methods.items())


def _runs(spent: Spent) -> str:
    return counted(spent.runs, "run")


def _passes(spent: Spent) -> str:
    large = spent.passes >= 10_000
    return f"{spent.passes / 1e3:,.0f} k passes" if large else counted(spent.passes, "pass")
