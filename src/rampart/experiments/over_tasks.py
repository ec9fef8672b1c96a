"""Methods of a study compared over its tasks: one difference per task."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from rampart.experiments.run_figures import RunFigures
from rampart.metrics.lead import Bracket
from rampart.metrics.tasks import LEAST_PAIRS, compare_over_tasks
from rampart.reports.seeds import spell_seed_differences, spell_seed_leads

#: Runs of two methods with the same seeds, in the same order.
Pair = tuple[list[RunFigures], list[RunFigures]]
#: The finished runs of every method, by task.
Runs = Mapping[str, Mapping[str, Sequence[RunFigures]]]


def compare_methods(runs: Runs, reference: str, measures: Sequence[str]) -> str:
    """Return a Markdown table of every method minus the reference over the tasks.

    A task counts with the mean over the seeds that both methods have finished. Each cell has the
    mean difference in points with Student's interval and p-value, bounds as in the tables of single
    tasks, the p-value of Wilcoxon's signed-rank test, and in how many tasks the method is higher.

    Returns:
        The table; empty if no method shares three tasks with the reference.
    """
    rows = []
    for method in dict.fromkeys(name for methods in runs.values() for name in methods):
        pairs = [
            paired_by_seed(methods.get(method, ()), methods.get(reference, ()))
            for methods in runs.values()
        ]
        pairs = [pair for pair in pairs if pair[0]]
        if method != reference and len(pairs) >= LEAST_PAIRS:
            cells = [_difference(pairs, measure) for measure in measures]
            rows.append(_line([method, str(len(pairs)), *cells]))
    if not rows:
        return ""
    head = ["method", "tasks", *(f"{measure}, minus '{reference}'" for measure in measures)]
    rule = [":--", *["--:"] * (len(head) - 1)]
    return "\n".join(["## Over the tasks", "", _line(head), _line(rule), *rows, ""])


def paired_by_seed(first: Sequence[RunFigures], second: Sequence[RunFigures]) -> Pair:
    """Return the runs of the seeds that both have."""
    known = {run.seed: run for run in second}
    shared = [run for run in first if run.seed in known]
    return shared, [known[run.seed] for run in shared]


def _difference(pairs: Sequence[Pair], measure: str) -> str:
    def means(part: int, value: Callable[[RunFigures], float]) -> list[float]:
        return [float(np.mean([value(run) for run in pair[part]])) for pair in pairs]

    first, second = (means(part, lambda run: float(getattr(run, measure))) for part in (0, 1))
    bounded = all(run.expected_least is not None for pair in pairs for part in pair for run in part)
    if measure == "expected" and bounded:
        text = spell_seed_leads(*(_bracket(pairs, part) for part in (0, 1)))
    else:
        text = spell_seed_differences(first, second)
    test = compare_over_tasks(first, second)
    higher = sum(a > b for a, b in zip(first, second, strict=True))
    return f"{text}; Wilcoxon p = {test.rank_p:.2g}; higher in {higher} of {len(pairs)}"


def _bracket(pairs: Sequence[Pair], part: int) -> Bracket:
    """Expected robustness of each task, with its bounds."""
    ends = [
        np.array(
            [(run.expected_least, run.expected, run.expected_most) for run in pair[part]],
            dtype=np.float64,
        ).mean(0)
        for pair in pairs
    ]
    return Bracket(*np.array(ends, dtype=np.float64).T)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
