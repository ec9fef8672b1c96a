import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from rampart.errors import ModelError
from rampart.training.monitors.transfer import Standard, Transfer, chance_threshold


class FakeBaseline:
    """A clean baseline with a given accuracy; `asked` lists the epochs it was asked for."""

    def __init__(self, accuracy=0.6):
        self.accuracy, self.asked = accuracy, []

    def __call__(self, epochs):
        self.asked.append(epochs)
        if isinstance(self.accuracy, Exception):
            raise self.accuracy
        found = self.accuracy(epochs) if callable(self.accuracy) else self.accuracy
        return Standard(found, 3 * epochs)


def follow(accuracies, strengths, baseline, epochs=15, chance=0.01):
    """Return (epoch, code, message) of every alert, and what was added to the rows."""
    monitor, memory = Transfer(chance, epochs, baseline, "take a ramp"), {}
    said, figures = [], {}
    for epoch, (accuracy, eps) in enumerate(zip(accuracies, strengths, strict=True), start=1):
        observation = monitor.observe(
            nn.Identity(), {"epoch": epoch, "val_clean": accuracy, "eps": eps}, memory
        )
        said += [(epoch, alert.code, alert.message) for alert in observation.alerts]
        figures |= {(epoch, name): value for name, value in observation.figures.items()}
        memory = json.loads(json.dumps(memory))
    return said, figures


def test_a_delay_is_reported_when_first_seen_and_when_it_ends():
    baseline = FakeBaseline()
    said, figures = follow([0.01] * 7 + [0.12] + [0.3, 0.02], [0.1] * 10, baseline)
    assert [(epoch, code) for epoch, code, _ in said[:2]] == [
        (2, "suboptimal-transfer"),
        (8, "adapted"),
    ]
    first, last = (message for _, _, message in said[:2])
    for part in ("after 2 of 15 epochs", "1.0 %", "60.0 % after 2 epochs", "take a ramp"):
        assert part in first
    assert "epoch 8 of 15" in last
    assert baseline.asked == [2]
    assert figures == {(2, "baseline_epochs"): 2, (2, "baseline_clean"): 0.6}


@pytest.mark.parametrize(("epochs", "first"), [(1, 1), (9, 1), (10, 1), (11, 2), (50, 5)])
def test_the_first_alert_waits_a_tenth_of_the_run_and_the_baseline_trains_three_epochs_at_most(
    epochs, first
):
    baseline = FakeBaseline()
    said, _ = follow([0.0] * epochs, [0.1] * epochs, baseline, epochs)
    assert [epoch for epoch, _, _ in said] == [first]
    assert baseline.asked == [min(first, 3)]


def test_chance_without_an_attack_is_no_delay():
    baseline = FakeBaseline()
    said, _ = follow([0.01] * 6, [0.0] * 4 + [0.1] * 2, baseline)
    assert [(epoch, code) for epoch, code, _ in said] == [(5, "suboptimal-transfer")]
    assert follow([0.01] * 6, [0.0] * 6, FakeBaseline()) == ([], {})


@given(
    accuracies=st.lists(st.floats(0, 1), min_size=1, max_size=15),
    strengths=st.lists(st.floats(0, 0.1), min_size=15, max_size=15),
)
def test_at_most_one_beginning_and_one_end_and_one_clean_baseline(accuracies, strengths):
    baseline = FakeBaseline()
    said, _ = follow(accuracies, strengths[: len(accuracies)], baseline)
    codes = [code for _, code, _ in said]
    assert len(baseline.asked) == codes.count("suboptimal-transfer") <= 1
    assert codes.count("adapted") <= codes.count("suboptimal-transfer")
    assert codes.count("forgotten-task") <= 1


@given(accuracies=st.lists(st.floats(0.0501, 1), min_size=1, max_size=15))
def test_a_run_that_adapts_at_once_raises_no_alert(accuracies):
    baseline = FakeBaseline()
    assert follow(accuracies, [0.1] * len(accuracies), baseline) == ([], {})
    assert baseline.asked == []


def test_no_alert_while_the_clean_baseline_is_at_chance_too():
    baseline = FakeBaseline(lambda epochs: 0.3 if epochs == 2 else 0.01)
    said, figures = follow([0.01] * 5, [0.1] * 5, baseline, epochs=5)
    assert [(epoch, code) for epoch, code, _ in said] == [(2, "suboptimal-transfer")]
    assert baseline.asked == [1, 2]
    assert figures[1, "baseline_clean"] == 0.01


@pytest.mark.parametrize(("epochs", "asked"), [(2, [1, 2]), (10, [1, 2, 3]), (15, [2, 3])])
def test_the_attack_is_not_blamed_if_the_clean_baseline_stays_at_chance(epochs, asked):
    baseline = FakeBaseline(0.02)
    said, _ = follow([0.01] * epochs, [0.1] * epochs, baseline, epochs)
    assert [(epoch, code) for epoch, code, _ in said] == [(asked[-1], "no-adaptation")]
    assert "optimizer.head_lr" in said[0][2]
    assert baseline.asked == asked


def test_a_clean_baseline_that_fails_does_not_end_the_run():
    said, figures = follow([0.01, 0.01], [0.1, 0.1], FakeBaseline(ModelError("the file is gone.")))
    assert [code for _, code, _ in said] == ["unexplained-delay"]
    assert "(the file is gone)" in said[0][2]
    assert figures == {}
    said, _ = follow([0.01, 0.01], [0.1, 0.1], FakeBaseline(torch.OutOfMemoryError()))
    assert "(OutOfMemoryError)" in said[0][2]


def test_the_attack_is_not_blamed_for_a_task_that_nothing_learns():
    said, _ = follow([0.01] * 4 + [0.5], [0.1] * 5, FakeBaseline(0.01))
    assert [code for _, code, _ in said] == ["no-adaptation", "adapted"]
    assert "take a ramp" not in said[1][2]


def test_a_forgotten_task_is_not_a_delay():
    baseline = FakeBaseline()
    said, _ = follow([0.4, 0.7, 0.01, 0.01, 0.5, 0.01], [0.0, 0.0, 0.1, 0.1, 0.1, 0.1], baseline)
    assert [(epoch, code) for epoch, code, _ in said] == [(3, "forgotten-task")]
    assert "from epoch 1 on" in said[0][2]
    assert baseline.asked == []


@pytest.mark.parametrize(
    ("num_classes", "threshold"), [(2, 0.55), (10, 0.19), (11, 2 / 11), (20, 0.1), (100, 0.05)]
)
def test_the_threshold_by_the_number_of_classes(num_classes, threshold):
    assert chance_threshold(1 / num_classes) == pytest.approx(threshold)


@given(st.floats(0.001, 0.999))
def test_the_threshold_lies_between_chance_and_1(chance):
    assert chance < chance_threshold(chance) < 1
