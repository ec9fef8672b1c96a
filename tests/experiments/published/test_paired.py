"""The tests over pairs of a backbone and a dataset."""

from dataclasses import replace

import pytest
from made_up_study import figures, published_as_ours, results

from rampart.experiments.published.cells import sheet_of_tests
from rampart.experiments.published.conditions import Condition
from rampart.experiments.published.paired import comparisons

MEASURES = ("clean", "adversarial", "expected")
#: The publication's table 9.
T = {4: (7.8233, 4.3488, 6.5956), 8: (12.3875, 5.4476, 9.2708)}


@pytest.mark.parametrize("level", T)
def test_the_published_figures_give_the_published_statistics(level):
    found = [one for one in comparisons(published_as_ours([1, 2])) if one.eps == level / 255]
    assert [one.measure for one in found] == list(MEASURES)
    for one, t in zip(found, T[level], strict=True):
        assert (one.method, one.reference) == ("two-hinge", "fix")
        for tests in (one.ours, one.published, one.published_all):
            assert tests.student.n == 30
            assert tests.student.t == pytest.approx(t, abs=5e-5)
        assert one.ours.rank_p < 1e-3
        assert one.ours.bootstrap.low > 0


def test_a_half_done_study_is_compared_over_the_pairs_that_it_has():
    ours = published_as_ours([1], keep=["cars"])
    ours[0] = replace(ours[0], runs=())
    one = comparisons(ours)[0]
    assert one.ours.student.n == one.published.student.n == 5
    assert one.ours.student.t == pytest.approx(one.published.student.t)
    assert one.published_all.student.n == 30


def test_robust_backbones_and_other_datasets_are_tested_apart():
    found = comparisons(published_as_ours([1, 3, 12]))
    at_4 = [one for one in found if (one.eps, one.measure) == (4 / 255, "clean")]
    assert [(one.over, one.ours.student.n) for one in at_4] == [
        ("published pairs", 30),
        ("other pairs", 14),
    ]
    assert at_4[0].ours.student.t == pytest.approx(7.8233, abs=5e-5)
    assert at_4[1].published_all is None


def test_too_few_pairs_give_no_test_but_the_published_one():
    one = comparisons([replace(one, runs=()) for one in published_as_ours([1])])[0]
    assert one.ours is one.published is None
    assert one.published_all.student.t == pytest.approx(7.8233, abs=5e-5)


def test_methods_of_other_names_and_backbones_have_no_published_statistics():
    base = Condition("dinov2", "trashnet", 4 / 255, "fix", "fix", 0.0, 0.0)
    ours = [
        results(replace(base, dataset=dataset, method=method, schedule=schedule), [figures(clean)])
        for method, schedule, shift in (("fix", "fix", 0), ("adaptive", "", 0.1))
        for dataset, clean in (("a", 0.5 + shift), ("b", 0.6 + 2 * shift))
    ]
    one = comparisons(ours)[0]
    assert (one.method, one.reference, one.ours.student.n) == ("adaptive", "fix", 2)
    assert one.ours.student.difference == pytest.approx(0.15)
    assert one.published is one.published_all is None
    # The publication's reference is fixed strength, whatever the study's is.
    assert comparisons(ours, ["adaptive"]) == comparisons(ours)


def test_a_study_without_fixed_strength_has_the_references_that_it_names():
    ours = [one for one in published_as_ours([1, 4]) if one.condition.schedule != "fix"]
    assert comparisons(ours) == []
    found = comparisons(ours, ["two-hinge"])
    assert {(one.method, one.reference) for one in found} == {("auto", "two-hinge")}


def test_methods_of_fixed_strength_are_compared_with_the_first_of_them():
    ours = published_as_ours([1])
    tuned = [
        replace(one, condition=replace(one.condition, method="tuned"))
        for one in ours
        if one.condition.schedule == "fix"
    ]
    found = [one for one in comparisons([*ours, *tuned]) if one.measure == "clean"]
    pairs = [(one.method, one.reference) for one in found]
    assert pairs == [("two-hinge", "fix"), ("tuned", "fix"), ("two-hinge", "tuned")]
    assert found[1].ours.student.t == 0


def bounded(ours, width):
    """The same results with bounds of expected robustness that lie this far apart."""
    return [
        replace(
            one,
            runs=tuple(
                replace(
                    run,
                    figures=run.figures._replace(
                        expected_least=run.figures.expected - width / 2,
                        expected_most=run.figures.expected + width / 2,
                    ),
                )
                for run in one.runs
            ),
        )
        for one in ours
    ]


@pytest.mark.parametrize(("width", "verdict"), [(0.01, "decided"), (0.5, "grid")])
def test_a_difference_in_expected_robustness_has_bounds_over_the_pairs(width, verdict):
    found = comparisons(bounded(published_as_ours([1]), width))
    clean, _, expected = found
    assert clean.lead is None
    assert expected.lead.verdict == verdict
    assert expected.lead.difference == pytest.approx(expected.ours.student.difference)
    table = sheet_of_tests(found)
    cell = dict(zip(table.heads, table.lines[2], strict=True))["bounds"]
    assert ("undecided by the grid" in cell) == (verdict == "grid")


def test_without_bounds_there_is_no_lead():
    assert comparisons(published_as_ours([1]))[2].lead is None
