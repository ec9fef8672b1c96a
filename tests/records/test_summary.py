import json
from dataclasses import replace

import numpy as np
import pytest
from made_up_records import GRID, make
from sklearn.metrics import balanced_accuracy_score

from rampart.metrics.curve import accuracy_curve
from rampart.metrics.expectation import contributions
from rampart.metrics.intervals import mean_interval, proportion_interval
from rampart.records.storage import save_record
from rampart.records.summary import summary


def test_summary_has_the_documented_keys(tmp_path):
    record = make()
    found = summary(record)
    c = contributions(record.critical, GRID)
    interval, ends = mean_interval(c), proportion_interval(2, 5)
    assert (found["n"], found["eps"], found["norm"]) == (5, 4 / 255, "linf")
    assert (found["split"], found["attack"], found["seed"]) == ("test", "apgd", 3)
    assert (found["clean"], found["adversarial"], found["expected"]) == (0.8, 0.4, c.mean())
    assert (found["expected_low"], found["expected_high"]) == (interval.low, interval.high)
    assert (found["adversarial_low"], found["adversarial_high"]) == (ends.low, ends.high)
    assert found["confidence"] == 0.95
    # Sample 1 is critical in the first cell, sample 2 in the third; two are robust.
    assert found["expected_bounds"] == {"low": pytest.approx(0.5), "high": pytest.approx(0.6)}
    worst = {"label": 0, "n": 2, "ties": 1, "expected": 0.5}
    assert {key: found["worst_class"][key] for key in worst} == worst
    assert [point["eps"] for point in found["curve"]] == GRID.tolist()
    assert [p["accuracy"] for p in found["curve"]] == accuracy_curve(record.critical, 4).tolist()
    save_record(record, tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text()) == found


def test_means_over_the_classes_are_those_of_scikit_learn():
    labels = np.array([0] * 8 + [1] * 3 + [2])
    critical = np.random.default_rng(0).integers(0, 6, len(labels))
    wrong = (labels + 1) % 3
    predictions = np.where(critical == 0, wrong, labels)
    found = summary(make(critical, labels=labels, predictions=predictions))
    attacked = np.where(critical < 5, wrong, labels)
    balanced = found["balanced"]
    assert balanced["clean"] == pytest.approx(balanced_accuracy_score(labels, predictions))
    assert balanced["adversarial"] == pytest.approx(balanced_accuracy_score(labels, attacked))
    c = contributions(critical, GRID)
    means = [c[labels == label].mean() for label in range(3)]
    assert balanced["expected"] == pytest.approx(np.mean(means))
    assert found["expected"] != pytest.approx(np.mean(means))
    assert [one["expected"] for one in found["by_class"]] == pytest.approx(means)
    assert [one["n"] for one in found["by_class"]] == [8, 3, 1]
    assert found["images_per_class"] == {"least": 1, "most": 8}


def test_the_confidence_comes_from_the_metadata():
    narrow, wide = (
        summary(make(metadata={"confidence": 0.5})),
        summary(make(metadata={"confidence": 0.99})),
    )
    assert (narrow["confidence"], wide["confidence"]) == (0.5, 0.99)
    assert wide["expected_low"] < narrow["expected_low"]


def test_one_sample_and_one_strength_still_give_a_summary():
    found = summary(make([1], grid=[0.0]))
    assert (found["clean"], found["adversarial"], found["expected"]) == (1, 1, 1)
    assert found["expected_low"] < 0.3


def test_summary_has_the_stages_and_the_cost():
    by = ("clean", "apgd-ce", "apgd-t/2", "apgd-t", "apgd-t/10", None)
    metadata = {
        "attack_suite": "standard",
        "mode": "fast",
        "seconds": 1.5,
        "rerun": {"n": 3, "differ": 0},
        "checks": [{"check": "mode", "ok": True}],
    }
    record = make(
        (0, 1, 2, 3, 4, 5), found_by=by, forwards=range(6), backwards=[2] * 6, metadata=metadata
    )
    found = summary(record)
    assert found["found_by"] == {"apgd-t": 3, "apgd-ce": 1, "clean": 1}
    assert (found["forwards"], found["backwards"]) == (15, 12)
    assert {key: found[key] for key in metadata} == metadata
    # Passes of the whole evaluation, the checks' included, where they are known.
    assert summary(replace(record, metadata={"forwards": 99}))["forwards"] == 99
    bare = summary(make())
    assert (bare["found_by"], bare["forwards"], bare["attack_suite"]) == (None, None, None)
    assert "rerun" not in bare
