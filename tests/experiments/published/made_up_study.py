"""Made-up results of studies."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from rampart.experiments.published.conditions import Condition, FinishedRun, Results
from rampart.experiments.published.counterparts import condition_of_row
from rampart.experiments.run_figures import RunFigures
from rampart.published import PublishedResult, published_results


def figures(
    clean: float = 0.5,
    adversarial: float = 0.2,
    expected: float = 0.3,
    seed: int = 0,
    delay: int | None = 2,
    classes: int = 100,
) -> RunFigures:
    return RunFigures(
        *({"task": "task"}, "method", seed, "1f", clean, adversarial, expected),
        *(delay, 0.2, 250_000, 30.0),
        classes=classes,
    )


def results(condition: Condition, runs: Sequence[RunFigures], planned: int = 0) -> Results:
    return Results(condition, tuple(map(FinishedRun, runs)), planned or len(runs))


def published_as_ours(
    tables: Iterable[int], keep: Sequence[str] = (), **changes: object
) -> list[Results]:
    """A study that found exactly the published figures; of these datasets only, if any is given."""
    wanted = set(tables)
    return [
        results(replace(condition_of_row(row), **changes), [as_run(row)], 1)
        for row in published_results()
        if row.table in wanted and (not keep or row.dataset in keep)
    ]


def as_run(row: PublishedResult) -> RunFigures:
    return figures(row.clean, row.adversarial, row.expected)
