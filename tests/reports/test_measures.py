from dataclasses import replace

import numpy as np
import pytest
from made_up import FIX, TWO_HINGE, record

from rampart.errors import InvalidArgument, RunError, UnknownName
from rampart.metrics.expectation import Beta, contributions, expected_robustness
from rampart.metrics.hierarchy import hierarchical_interval
from rampart.metrics.intervals import mean_interval
from rampart.records.storage import save_record
from rampart.records.summary import summary
from rampart.reports.measures import report
from rampart.reports.named_records import Measured, find_records
from rampart.reports.statements import evaluation_lines, report_lines

BETA = "beta:a=2,b=5"


def shuffled(one, seed=0):
    """The same record with its samples in another order."""
    order = np.random.default_rng(seed).permutation(len(one))
    names = ["labels", "predictions", "critical"]
    names += [] if one.distance is None else ["distance"]
    columns = {name: getattr(one, name)[order] for name in names}
    return replace(one, ids=tuple(one.ids[i] for i in order), **columns)


def of_run(schedule, alive, seed):
    one = record(alive)
    run = {"seed": seed, "schedule": {"name": schedule}, "objective": {"name": "adversarial"}}
    metadata = {**one.metadata, "run": run, "run_folder": f"runs/{schedule}-{seed}"}
    return Measured(f"{schedule}-{seed}", replace(one, metadata=metadata))


@pytest.fixture
def two():
    return [Measured("one", record(TWO_HINGE)), Measured("other", shuffled(record(FIX)))]


def test_a_record_has_every_figure(two):
    one = two[0].record
    facts = report(two[:1], [BETA])["records"][0]
    assert facts.items() >= summary(one).items()
    assert list(facts["figures"]) == ["clean", "adversarial", "expected", BETA]
    law = Beta(2, 5, 4 / 255)
    figure = facts["figures"][BETA]
    interval = mean_interval(contributions(one.critical, one.grid, law))
    assert figure["value"] == expected_robustness(one.critical, one.grid, law)
    assert (figure["low"], figure["high"]) == (interval.low, interval.high)
    assert figure["bounds"]["low"] < figure["value"] < figure["bounds"]["high"]
    assert "bounds" not in facts["figures"]["clean"]
    # An accuracy of 1/2 needs the most samples.
    assert facts["figures"]["adversarial"]["samples_needed"] == pytest.approx(9604, rel=0.01)
    assert report(two[:1])["pairs"] == report(two[:1])["methods"] == []


def test_classes_have_their_names_and_the_worst_is_found():
    one = record(TWO_HINGE)
    # The samples with the smallest critical strengths are of class 0.
    labels = np.repeat([0, 1], len(one) // 2)
    predictions = np.where(one.critical == 0, 1 - labels, labels)
    metadata = {**one.metadata, "model": {"name": "m", "classes": ["ant", "bee"]}}
    one = replace(one, labels=labels, predictions=predictions, metadata=metadata)
    facts = report([Measured("m", one)], per_class=True)["records"][0]
    assert [entry["class"] for entry in facts["classes"]] == ["ant", "bee"]
    assert [entry["clean"]["value"] for entry in facts["classes"]] == [0.92, 1.0]
    assert facts["worst"]["adversarial"]["class"] == "ant"
    assert facts["worst"]["adversarial"]["value"] == 0
    assert facts["worst_class"]["label"] == 0
    assert "classes" not in report([Measured("m", one)])["records"][0]


@pytest.mark.parametrize(
    ("robust", "says"),
    [
        ((0, 0, 0), "none, all 3 classes have 0.0 %"),
        ((1, 1, 1), "none, all 3 classes have 100.0 %"),
        ((1, 0, 0), "2 of 3 classes share the lowest value, the first is bee, 0.0 % "),
        ((1, 1, 0), "cat, 0.0 % "),
    ],
)
def test_classes_that_are_equal_are_not_called_the_worst(robust, says):
    one = record(TWO_HINGE)
    labels = np.arange(len(one)) % 3
    critical = np.where(np.array(robust)[labels] == 1, len(one.grid), 0)
    none = np.full(len(one), np.nan)
    predictions = np.where(critical > 0, labels, (labels + 1) % 3)
    metadata = {**one.metadata, "model": {"name": "m", "classes": ["ant", "bee", "cat"]}}
    columns = {"labels": labels, "predictions": predictions, "critical": critical}
    one = replace(one, **columns, distance=none, found_by=None, metadata=metadata)
    lines = [line for line in report_lines(report([Measured("m", one)])) if "worst class" in line]
    assert lines
    assert all(says in line for line in lines)


def test_two_records_are_paired_by_their_samples(two):
    pair = report(two, [BETA])["pairs"][0]
    assert (pair["first"], pair["second"], pair["n"]) == ("one", "other", 200)
    assert pair["figures"]["clean"]["difference"] == pytest.approx(TWO_HINGE[0] - FIX[0])
    assert pair["figures"]["clean"]["test"] == "McNemar"
    assert all(f["low"] > 0 and f["p"] < 0.01 for f in pair["figures"].values())
    assert "advice" in pair["figures"][BETA]


def test_a_record_and_itself_differ_by_exactly_zero(two):
    twice = [two[0], Measured("again", shuffled(two[0].record, 1))]
    for figure in report(twice)["pairs"][0]["figures"].values():
        assert figure["difference"] == 0
        assert figure["p"] == 1
        assert figure["low"] == pytest.approx(-figure["high"])


def test_opposite_rankings_report_where_the_curves_cross():
    curves = (0.95, 0.9, 0.8, 0.4, 0.1), (0.7, 0.65, 0.6, 0.55, 0.5)
    pair = [Measured(name, record(c)) for name, c in zip(("weak", "strong"), curves, strict=True)]
    facts = report(pair)
    found = facts["pairs"][0]["figures"]["expected"]
    assert found["opposite"]
    assert found["crossings"] == [[2 / 255, 3 / 255]]
    text = "\n".join(report_lines(facts))
    assert "weak leads in expected robustness, but strong leads at 4/255" in text
    assert "choose weak if perturbations stay below 2/255" in text


def test_seeds_of_a_method_are_combined():
    runs = [of_run("fix", [a - s / 100 for a in FIX], s) for s in range(3)]
    rivals = [of_run("two-hinge", [a - s / 100 for a in TWO_HINGE], s) for s in range(3)]
    facts = report([*runs, *rivals])
    assert [method["method"] for method in facts["methods"]] == ["fix", "two-hinge"]
    table = np.stack([one.record.critical > 4 for one in runs]).astype(float)
    interval = hierarchical_interval(table)
    found = facts["methods"][0]["figures"]["adversarial"]
    assert found["value"] == pytest.approx(0.09)
    assert (found["low"], found["high"]) == (interval.low, interval.high)
    (pair,) = facts["pairs"]
    assert (pair["first"], pair["second"], pair["seeds"]) == ("fix", "two-hinge", [0, 1, 2])
    # Both fall equally with the seed, which cancels in the difference.
    assert pair["figures"]["clean"]["difference"] == pytest.approx(FIX[0] - TWO_HINGE[0])
    assert "over 3 seeds and the images" in "\n".join(report_lines(facts))


COARSE = ((0.9, 0.5, 0.1), (0.8, 0.35, 0.0))


def test_a_difference_has_bounds_and_a_verdict_of_the_grid():
    pair = [Measured(name, record(c)) for name, c in zip(("a", "b"), COARSE, strict=True)]
    facts = report(pair)
    found = facts["pairs"][0]["figures"]["expected"]
    # Both models fall by 80 points over two steps: 40 points to each side.
    assert found["bounds"] == pytest.approx({"low": 0.125 - 0.4, "high": 0.125 + 0.4})
    assert found["verdict"] == "grid"
    text = "\n".join(report_lines(facts))
    assert "bounds -27.5 to +52.5" in text
    assert text.count("undecided by the grid") == 1
    assert "verdict" not in facts["pairs"][0]["figures"]["clean"]


def test_distances_narrow_the_bounds_of_a_difference():
    one, other = (record(c) for c in COARSE)
    known = np.where(other.found, other.grid[np.minimum(other.critical, 2)], np.nan)
    # Every adversarial example lies just above the strength before.
    known = np.where(other.critical > 0, known - 0.9 / 255, known)
    near = replace(other, distance=known)
    wide, narrow = (
        report([Measured("a", one), Measured("b", b)])["pairs"][0]["figures"]["expected"]["bounds"]
        for b in (other, near)
    )
    assert narrow["low"] > wide["low"] + 0.3
    assert narrow["high"] == pytest.approx(wide["high"])
    again = report([Measured("a", one), Measured("b", shuffled(near, 3))])["pairs"][0]
    assert again["figures"]["expected"]["bounds"] == pytest.approx(narrow)


def test_seeds_have_bounds_and_a_verdict_of_the_grid():
    first, second = (
        [of_run(name, [a - s / 100 for a in curve], s) for s in range(3)]
        for name, curve in zip(
            ("fix", "two-hinge"), ((0.9, 0.5, 0.1), (0.8, 0.35, 0.02)), strict=True
        )
    )
    facts = report([*first, *second])
    found = facts["pairs"][0]["figures"]["expected"]
    assert found["verdict"] == "grid"
    text = "\n".join(report_lines(facts))
    assert "the sign of this difference is undecided by the grid" in text


def test_two_seeds_show_their_values():
    runs = [of_run("fix", curve, s) for s, curve in enumerate((FIX, TWO_HINGE))]
    rivals = [of_run("two-hinge", curve, s) for s, curve in enumerate((TWO_HINGE, FIX))]
    facts = report([*runs, *rivals])
    clean = facts["methods"][0]["figures"]["clean"]
    assert (clean["low"], clean["high"], clean["seeds"]) == (0.3, 0.96, [0.3, 0.96])
    text = "\n".join(report_lines(facts))
    assert "clean: 30.0 % and 96.0 %" in text
    assert "clean: -66.0 and +66.0 points, seed by seed" in text


def test_several_records_are_compared_with_the_first(two):
    facts = report([*two, Measured("third", record(FIX))])
    assert [(p["first"], p["second"]) for p in facts["pairs"]] == [
        ("one", "other"),
        ("one", "third"),
    ]
    assert facts["methods"] == []


def test_other_samples_or_threats_are_refused(two):
    with pytest.raises(InvalidArgument, match="second record=.*evaluation.strengths"):
        report([two[0], Measured("l2", record(FIX, "l2", 0.5))])
    renamed = replace(two[1].record, ids=tuple(f"x{i}" for i in range(200)))
    with pytest.raises(InvalidArgument, match="second record=.*evaluation.limit"):
        report([two[0], Measured("x", renamed)])


def test_distributions_that_do_not_fit(two):
    with pytest.raises(UnknownName, match="beta"):
        report(two, ["bet:a=1,b=1"])
    with pytest.raises(InvalidArgument, match=r"distribution\.upper="):
        report(two, ["point:eps=5/255"])


def test_records_are_named_after_their_models(two, tmp_path):
    for name in ("a", "b"):
        metadata = {**two[0].record.metadata, "model": {"name": "timm/some.net", "classes": []}}
        save_record(replace(two[0].record, metadata=metadata), tmp_path / name)
    both = [tmp_path / "a", tmp_path / "b"]
    assert [one.name for one in find_records(both[:1])] == ["some.net"]
    assert [one.name for one in find_records(both)] == [str(path) for path in both]
    with pytest.raises(RunError, match=r"a occurs twice"):
        find_records([tmp_path / "a", tmp_path / "b" / ".." / "a"])
    with pytest.raises(RunError, match=rf"give one below it, {tmp_path / 'a'} or {tmp_path / 'b'}"):
        find_records([tmp_path])
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match="holds no finished evaluation"):
        find_records([tmp_path / "empty"])


CHECKS = {
    "overall": "fail",
    "verdicts": [
        {"check": "range", "status": "pass", "message": "fine"},
        {"check": "rerun", "status": "warn", "message": "differs a little"},
        {"check": "clean", "status": "fail", "message": "differs"},
        {"check": "fab", "status": "skipped", "message": "no FAB"},
    ],
}
RERUN = {
    "n": 20,
    "strengths": [
        {"eps": 1 / 255, "accuracy": 0.5, "alone": 0.5},
        {"eps": 2 / 255, "accuracy": 0.4, "alone": 0.45},
        {"eps": 3 / 255, "accuracy": 0.3, "alone": 0.28},
    ],
}


def test_checks_escalation_rerun_and_cost_are_reported():
    reason = "2 of 9 rechecked samples have a smaller critical strength"
    facts = {
        "n": 10,
        "checks": CHECKS,
        "rerun": RERUN,
        "pruning": {"escalated": reason},
        "forwards": 300,
        "backwards": 100,
        "rows": {"forwards": 400, "backwards": 250},
        "seconds": 2.4,
    }
    assert evaluation_lines(facts) == [
        "checks: fail, 1 of 3 checks passed",
        "  fail clean: differs",
        "  warn rerun: differs a little",
        f"escalation: all pruned runs were repeated in full ({reason})",
        "rerun: 20 images attacked at each strength alone, largest difference -5.0 points at 2/255",
        "cost: 40 passes per image (65 with checks, rerun and filler), 2 s",
    ]


def test_the_error_that_fast_mode_excludes_has_a_line():
    found = {"gave_up": 114, "rechecked": 14, "lowered": 0, "pruned": 100, "sentinel": 0}
    pruning = {**found, "excluded": 0.0707, "escalated": ""}
    (line,) = evaluation_lines({"n": 200, "pruning": pruning})
    assert line.startswith("fast mode: errors above 7.1 points are excluded at 95 %")
    assert "14 of 114 images" in line
    assert evaluation_lines({"n": 200, "pruning": {**pruning, "excluded": 0.0}}) == []


def test_unknown_values_have_no_line():
    assert evaluation_lines({"n": 10, "pruning": None}) == []
    same = {"n": 3, "strengths": [{"eps": 0.1, "accuracy": 1.0, "alone": 1.0}]}
    (line,) = evaluation_lines({"n": 10, "rerun": same})
    assert line.endswith("no difference at any strength")


def test_evaluations_with_other_settings_are_compared_with_a_warning(two):
    assert report(two)["pairs"][0]["unlike"] == []
    first, second = (
        replace(one.record, metadata={**one.record.metadata, "attack": attack})
        for one, attack in zip(
            two, ({"name": "apgd", "steps": 10}, {"name": "short", "steps": 100}), strict=True
        )
    )
    facts = report([Measured("one", first), Measured("other", second)])
    found = "attack (apgd steps=10 against short steps=100)"
    assert facts["pairs"][0]["unlike"] == [found]
    assert any("warning" in line and found in line for line in report_lines(facts))


@pytest.mark.parametrize("law", ["beta:a=2,b=5,high=2/255", "beta:a=1,b=1,high=3/255"])
def test_distributions_that_end_within_the_grid(two, law):
    facts = report(two, [law])["records"][0]
    assert 0 <= facts["figures"][law]["value"] <= 1


def test_a_record_without_a_misclassified_image_says_none():
    one = record((1.0, 1.0, 1.0, 1.0, 1.0))
    one = replace(one, found_by=(None,) * len(one))
    assert "  misclassified: none; robust: 200" in report_lines(report([Measured("m", one)]))
