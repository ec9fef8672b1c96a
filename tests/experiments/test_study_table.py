"""The table of a study."""

import re

import pytest

from rampart.experiments.run_figures import RunFigures
from rampart.experiments.study_table import task_table
from rampart.metrics.intervals import paired_test


def run(method, seed, expected, delay=2, full_from=0.2):
    accuracies = (0.9, 0.4, expected)
    place = {"task": "digits"}
    return RunFigures(place, method, seed, "1f", *accuracies, delay, full_from, 250_000, 30.0)


RUNS = [
    *(run("fix", seed, value) for seed, value in enumerate((0.20, 0.30, 0.25))),
    *(run("rising", seed, value, 3 + seed) for seed, value in enumerate((0.50, 0.55, 0.60))),
    run("short", 0, 0.4, None),
]


def cells(text, method):
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {method} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_means_have_students_interval():
    # Student's t with 2 degrees of freedom is 4.303; the deviation 0.05.
    assert cells(task_table(RUNS, "digits"), "fix")[3] == "25.0 ± 12.4"
    assert cells(task_table(RUNS, "digits"), "short")[1:4] == ["90.0", "40.0", "40.0"]


def test_below_three_seeds_the_values_and_differences_stand_themselves():
    few = [run("fix", 0, 0.0), run("fix", 1, 0.2), run("rising", 0, 0.3), run("rising", 1, 0.6)]
    text = task_table(few, "digits", ["rising"])
    assert cells(text, "fix")[3] == "0.0, 20.0"
    assert cells(text, "fix")[-1] == "-30.0, -40.0"
    assert "±" not in text


def test_differences_are_paired_by_seed():
    test = paired_test((0.2, 0.3, 0.25), (0.5, 0.55, 0.6))
    cell = cells(task_table(RUNS, "digits", ["rising"]), "fix")[-1]
    expected = f"-30.0 [{100 * test.low:+.1f}, {100 * test.high:+.1f}], p = {test.p:.2g}"
    assert cell == expected
    assert cells(task_table(RUNS, "digits", ["rising"]), "rising")[-1] == ""
    assert cells(task_table(RUNS, "digits", ["rising"]), "short")[-1] == "-10.0"


def with_bounds(runs, width):
    ends = [(one.expected - width / 2, one.expected + width / 2) for one in runs]
    return [
        one._replace(expected_least=low, expected_most=high)
        for one, (low, high) in zip(runs, ends, strict=True)
    ]


def test_bounds_stand_beside_a_difference_where_they_reach_beyond_its_interval():
    narrow, wide = (task_table(with_bounds(RUNS, w), "digits", ["rising"]) for w in (0.01, 0.2))
    assert "bounds" not in cells(narrow, "fix")[-1]
    assert cells(wide, "fix")[-1].endswith(", bounds -50.0 to -10.0")
    same = [*RUNS, *(one._replace(method="again") for one in RUNS if one.method == "rising")]
    assert "bounds" not in cells(task_table(with_bounds(same, 0.2), "digits", ["rising"]), "again")
    # One pair has no interval, and two have one pair of bounds.
    few = [one for one in with_bounds(RUNS, 0.01) if one.seed < 2]
    cell = cells(task_table(few, "digits", ["rising"]), "fix")[-1]
    assert re.fullmatch(r"\S+, \S+, bounds of the mean \S+ to \S+", cell)
    assert cells(narrow, "short")[-1] == "-10.0, bounds -11.0 to -9.0"


def test_differences_that_the_grid_leaves_open_are_named_below_the_table():
    narrow, wide = (task_table(with_bounds(RUNS, w), "digits", ["rising"]) for w in (0.01, 0.4))
    assert "undecided" not in narrow
    (line,) = (line for line in wide.splitlines() if "undecided" in line)
    assert line.startswith("Against 'rising', undecided by the grid; in brackets")
    # The lead is 30.0 points with a margin of 12.4, and the bounds reach 40 further: 40 / 17.6 < 3.
    assert line.endswith("(evaluation.resolution): fix (3).")
    clean = task_table(with_bounds(RUNS, 0.4), "digits", ["rising"], ["clean"])
    assert "undecided" not in clean


def test_several_references_have_a_column_each():
    text = task_table(RUNS, "digits", ["rising", "fix", "nowhere"])
    assert cells(text, "method")[-2:] == ["expected, minus 'rising'", "expected, minus 'fix'"]
    assert cells(text, "rising")[-2] == cells(text, "fix")[-1] == ""
    assert cells(text, "rising")[-1].startswith("+30.0 [")
    assert cells(text, "fix")[-2].startswith("-30.0 [")


@pytest.mark.parametrize(
    ("method", "delay"), [("fix", "2"), ("rising", "3 to 5"), ("short", "never")]
)
def test_delays_are_a_range_over_the_seeds(method, delay):
    assert cells(task_table(RUNS, "digits"), method)[6] == delay


def test_passes_and_the_start_of_full_strength():
    assert cells(task_table(RUNS, "digits"), "fix")[4:6] == ["20%", "250 k"]


def test_differences_in_several_measures():
    text = task_table(RUNS, "digits", ["rising"], ["clean", "expected"])
    assert cells(text, "method")[-2:] == ["clean, minus 'rising'", "expected, minus 'rising'"]
    assert cells(text, "fix")[-2].startswith("+0.0 [")
    assert cells(text, "fix")[-1].startswith("-30.0 [")


def test_the_number_of_trained_weights_has_a_column_if_it_differs():
    assert "trained weights" not in task_table(RUNS, "digits")
    runs = [run._replace(trained=1000 if run.method == "fix" else 12345) for run in RUNS]
    text = task_table(runs, "digits")
    assert cells(text, "method")[-1] == "trained weights"
    assert cells(text, "fix")[-1] == "1,000"
    assert cells(text, "rising")[-1] == "12,345"


def test_a_delay_that_guessing_hides_is_not_reported():
    few = [one._replace(classes=3, delay=None) for one in RUNS]
    assert cells(task_table(few, "digits"), "fix")[6] == "not measurable"
