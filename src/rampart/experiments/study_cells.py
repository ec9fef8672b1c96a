"""The runs of a study, and the choices that their results decide."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from rampart.experiments.cells import Cell, make_cell
from rampart.experiments.grid import Task
from rampart.experiments.run_figures import RunFigures
from rampart.experiments.search_budgets import Budgets
from rampart.experiments.study import Study
from rampart.experiments.study_folder import RUNS, choice_folder

#: Task and name of a choice.
Decision = tuple[str, str]
#: The mean expected robustness of every option.
Means = dict[str, float]


def known_cells(study: Study, output: Path) -> Iterator[Cell]:
    """Yield the runs that no result decides: those of all methods and of all options."""
    yield from method_cells(study, output)
    yield from option_cells(study, output)


def method_cells(study: Study, output: Path) -> list[Cell]:
    """Return the runs of all methods."""
    return [
        make_cell(task, method, study.config(task, method, seed), output / RUNS)
        for task, method, seed in study.runs()
    ]


def option_cells(study: Study, output: Path) -> list[Cell]:
    """Return the runs of the options of all choices."""
    return [
        make_cell(
            task,
            option,
            study.config(task, study.choices[name].method, seed, settings),
            choice_folder(output, name),
            name,
        )
        for name, task, option, settings, seed in study.option_runs()
    ]


def chosen_cells(study: Study, output: Path, chosen: Mapping[Decision, str]) -> list[Cell]:
    """Return the runs of the choices that have been made, with the seeds of the study."""
    return [
        _chosen_cell(study, output, task, name, chosen[task.name, name], seed)
        for seed in study.seeds
        for task in study.tasks
        for name, choice in study.choices.items()
        if (task.name, name) in chosen and not study.excludes(task, choice.method, seed)
    ]


def _chosen_cell(study: Study, output: Path, task: Task, name: str, option: str, seed: int) -> Cell:
    choice = study.choices[name]
    config = study.config(task, choice.method, seed, choice.among[option])
    return make_cell(task, name, config, output / RUNS)


def means_of_options(
    results: Iterable[tuple[Cell, RunFigures | None]],
) -> dict[Decision, Means | None]:
    """Return the means over the seeds of every option; None where a run has no figures."""
    values: dict[Decision, dict[str, list[float]]] = {}
    lacking = set()
    for cell, figures in results:
        options = values.setdefault((cell.task, cell.choice), {})
        if figures is None:
            lacking.add((cell.task, cell.choice))
        else:
            options.setdefault(cell.method, []).append(figures.expected)
    return {
        decision: None
        if decision in lacking
        else {option: sum(found) / len(found) for option, found in options.items()}
        for decision, options in values.items()
    }


def best_options(means: Mapping[Decision, Means | None]) -> dict[Decision, str]:
    """Return the option with the highest mean of every decision that can be made."""
    return {
        decision: max(options, key=lambda option, found=options: found[option])  # type: ignore[misc]  # no type for a default
        for decision, options in means.items()
        if options is not None
    }


def search_budgets(study: Study) -> Budgets:
    """Return the budgets of the searches whose values the runs of methods and choices have."""
    return {
        (task.name, row, seed): search.result.spent
        for task in study.tasks
        for row, method in study.rows.items()
        for seed in study.seeds
        if not study.excludes(task, method, seed)
        and (search := study.search_of(task, method, seed))
    }


def planned_runs(study: Study) -> dict[str, dict[str, int]]:
    """Return the number of runs of every method and choice, by task."""
    planned: dict[str, dict[str, int]] = {}
    for task in study.tasks:
        counts = {
            row: sum(not study.excludes(task, method, seed) for seed in study.seeds)
            for row, method in study.rows.items()
        }
        planned[task.name] = {row: count for row, count in counts.items() if count}
    return {task: counts for task, counts in planned.items() if counts}
