"""The tables of a study beside the published ones."""

from dataclasses import replace

import pytest
from made_up_study import figures, published_as_ours, results

from rampart.experiments.published.averages import average_tables
from rampart.experiments.published.conditions import Condition
from rampart.experiments.published.tables import NOT_PLANNED, condition_tables

CONDITION = Condition("swin", "cars", 4 / 255, "two-hinge", "two-hinge", 12.0, 37.0)


def table(found, name):
    (one,) = (one for one in found if one.name == name)
    return one


@pytest.mark.parametrize("number", [1, 2, 3, 4, 6, 7, 8, 12])
def test_the_published_figures_differ_from_themselves_by_nothing(number):
    ours = published_as_ours([number])
    found = table(condition_tables(ours), f"table-{number}")
    assert len(found.lines) == len(ours)
    differences = [figure.difference for line in found.lines for figure in line.figures.values()]
    assert differences == [0.0] * len(differences)
    assert {line.missing for line in found.lines} == {""}


def test_the_averages_of_the_published_figures():
    found = average_tables(published_as_ours([1, 2]))
    assert [len(one.lines) for one in found] == [2 * 2 * 7, 2 * 2 * 6]
    for one in found:
        for line in one.lines:
            assert line.missing == ""
            for figure in line.figures.values():
                assert figure.difference == pytest.approx(0, abs=1e-12)


# By hand from tables 1 and 2: the sums of five datasets, of six backbones and of all thirty pairs.
AVERAGES = {
    "table-10": {
        ("4/255", "swin", "fix"): (56.402, 32.084, 44.352),
        ("4/255", "swin", "two-hinge"): (79.784, 39.504, 60.904),
        ("8/255", "clip_vit", "fix"): (8.586, 3.134, 5.560),
        ("8/255", "clip_vit", "two-hinge"): (68.620, 24.938, 46.110),
        ("4/255", "all", "fix"): (38.153, 20.612, 29.197),
        ("4/255", "all", "two-hinge"): (76.179, 36.036, 56.592),
    },
    "table-11": {
        ("4/255", "aircraft", "fix"): (6.367, 3.467, 4.665),
        ("4/255", "aircraft", "two-hinge"): (69.233, 29.817, 49.695),
        ("8/255", "dogs", "fix"): (19.953, 5.665, 11.947),
        ("8/255", "dogs", "two-hinge"): (59.022, 8.587, 30.058),
        ("8/255", "all", "fix"): (19.401, 8.172, 13.287),
        ("8/255", "all", "two-hinge"): (69.349, 21.708, 44.473),
    },
}


@pytest.mark.parametrize("name", AVERAGES)
def test_averages_over_datasets_and_over_backbones(name):
    found = {
        line.labels: line for line in table(average_tables(published_as_ours([1, 2])), name).lines
    }
    for labels, expected in AVERAGES[name].items():
        means = [100 * figure.mean for figure in found[labels].figures.values()]
        assert means == pytest.approx(expected, abs=5.1e-4)


def test_averages_of_a_half_done_study_cover_the_same_pairs():
    ours = [one for one in published_as_ours([1]) if one.condition.dataset in ("cars", "dogs")]
    ours[0] = replace(ours[0], runs=(), planned=3)
    found = table(average_tables(ours), "table-10")
    lines = {line.labels: line for line in found.lines}
    # Of vit with fixed strength only Dogs is finished.
    line = lines["4/255", "vit", "fix"]
    assert line.missing == "4 of 5 pairs"
    assert line.figures["clean"].mean == line.figures["clean"].published == 0.564
    assert lines["4/255", "swin", "fix"].missing == "3 of 5 pairs"
    # Nothing at 8/255: the published average remains.
    empty = lines["8/255", "swin", "fix"]
    assert empty.figures["clean"].mean is None
    assert empty.figures["clean"].published == pytest.approx(0.35642)


def test_cells_without_ours_stay_empty_and_count_missing_runs():
    done = results(CONDITION, [figures(0.8, 0.4, 0.6)], planned=3)
    waiting = results(replace(CONDITION, dataset="dogs"), [], planned=3)
    found = table(condition_tables([done, waiting]), "table-1")
    lines = {line.labels: line for line in found.lines}
    assert len(lines) == 60
    first = lines["swin", "cars", "4/255", "two-hinge"]
    assert (first.missing, first.figures["clean"].ours) == ("2", (0.8,))
    assert first.figures["clean"].difference == pytest.approx(0.8 - 0.847)
    second = lines["swin", "dogs", "4/255", "two-hinge"]
    assert (second.missing, second.figures["clean"].ours) == ("3", ())
    assert second.figures["clean"].published == 0.727
    assert lines["vit", "cars", "4/255", "fix"].missing == NOT_PLANNED


def test_tables_to_which_the_study_adds_nothing_are_left_out():
    names = [one.name for one in condition_tables([results(CONDITION, [figures()])])]
    assert names == ["table-1", "table-7"]
    assert condition_tables([]) == average_tables([]) == []


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": "dinov2"},
        {"dataset": "trashnet"},
        {"eps": 1 / 255},
        {"schedule": "", "start": None, "end": None, "method": "adaptive"},
        {"start": 20.0},
        {"attack": "apgd_ce_50"},
    ],
)
def test_runs_without_a_published_counterpart_appear_without_one(change):
    ours = results(replace(CONDITION, **change), [figures()])
    (found,) = condition_tables([ours])
    (line,) = found.lines
    assert found.name == "others"
    assert line.figures["clean"].ours == (0.5,)
    assert line.figures["clean"].published is None
    assert average_tables([ours]) == []


def test_methods_of_one_schedule_share_the_published_figure():
    tuned = replace(CONDITION, method="tuned")
    ours = [results(CONDITION, [figures()]), results(tuned, [figures(0.6)])]
    lines = [one for one in table(condition_tables(ours), "table-1").lines if not one.missing]
    assert [(one.labels[-1], one.figures["clean"].published) for one in lines] == [
        ("two-hinge", 0.847),
        ("tuned", 0.847),
    ]


def test_averages_have_one_value_per_seed_that_all_pairs_have():
    runs = [figures(0.1, seed=0), figures(0.3, seed=1)]
    both = [results(replace(CONDITION, dataset=name), runs) for name in ("cars", "dogs")]
    lines = {line.labels: line for line in average_tables(both)[0].lines}
    line = lines["4/255", "swin", "two-hinge"]
    assert line.figures["clean"].ours == pytest.approx((0.1, 0.3))
    less = [both[0], results(replace(CONDITION, dataset="dogs"), runs[:1])]
    lines = {line.labels: line for line in average_tables(less)[0].lines}
    assert lines["4/255", "swin", "two-hinge"].figures["clean"].ours == pytest.approx((0.15,))
