"""Methods of a study compared over its tasks."""

import pytest

from rampart.experiments.over_tasks import compare_methods
from rampart.experiments.run_figures import RunFigures
from rampart.experiments.study_table import write_table

#: Of 10, 20, 30 and 20 points: deviation 8.165, Student's t with 3 degrees of freedom 3.182.
STUDENT = "+20.0 [+7.0, +33.0], p = 0.016"


def run(task, method, seed, clean, width=0.0):
    figures = RunFigures(
        {"task": task}, method, seed, "1f", clean, 0.1, clean / 2, 2, 0.2, 250_000, 30.0
    )
    ends = {"expected_least": clean / 2 - width, "expected_most": clean / 2 + width}
    return figures._replace(**ends)


def grid(differences, width=0.0):
    """Two seeds of two methods; the method's third seed has no partner."""
    runs = []
    for index, difference in enumerate(differences):
        task = f"task {index}"
        for seed in (0, 1):
            runs.append(run(task, "fix", seed, 0.3 + 0.1 * seed, width))
            runs.append(run(task, "rising", seed, 0.3 + 0.1 * seed + difference, width))
        runs.append(run(task, "rising", 2, 0.99, width))
    return runs


def by_task(runs):
    tables = {}
    for one in runs:
        tables.setdefault(one.task, {}).setdefault(one.method, []).append(one)
    return tables


def test_the_tests_are_of_means_over_shared_seeds_one_per_task():
    text = compare_methods(by_task(grid((0.1, 0.2, 0.3, 0.2))), "fix", ["clean"])
    assert f"| rising | 4 | {STUDENT}; Wilcoxon p = 0.12; higher in 4 of 4 |" in text


def test_expected_robustness_has_bounds_where_they_reach_beyond_the_interval():
    narrow = compare_methods(by_task(grid((0.1, 0.2, 0.3, 0.2))), "fix", ["expected"])
    wide = compare_methods(by_task(grid((0.1, 0.2, 0.3, 0.2), 0.1)), "fix", ["expected"])
    assert "bounds" not in narrow
    assert "bounds -10.0 to +30.0" in wide


@pytest.mark.parametrize("reference", ["fix", "absent"])
def test_below_three_tasks_nothing_is_tested(reference):
    assert compare_methods(by_task(grid((0.1, 0.2))), reference, ["clean"]) == ""


def test_the_table_of_a_study_ends_with_it(tmp_path):
    runs = grid((0.1, 0.2, 0.3))
    planned = {f"task {index}": {"fix": 2, "rising": 3} for index in range(3)}
    text = write_table(runs, planned, tmp_path, ["fix"], ["clean", "expected"])
    assert text.count("## Over the tasks") == 1
    assert "Over the tasks" not in write_table(runs, planned, tmp_path)
