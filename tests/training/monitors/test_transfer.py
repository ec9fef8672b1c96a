import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from rampart.errors import ModelError
from rampart.training.monitors.transfer import Transfer, chance_threshold


class Told:
    """A clean baseline that reaches what it is told, and notes what it is asked."""

    def __init__(self, accuracy=0.6):
        self.accuracy, self.asked = accuracy, []

    def __call__(self, epochs):
        self.asked.append(epochs)
        if isinstance(self.accuracy, Exception):
            raise self.accuracy
        return self.accuracy(epochs) if callable(self.accuracy) else self.accuracy


def follow(accuracies, strengths, baseline, epochs=15, chance=0.01):
    """(epoch, code, message) of every alert, and what was added to the rows."""
    monitor, memory = Transfer(chance, epochs, baseline, "take a ramp"), {}
    said, figures = [], {}
    for epoch, (accuracy, eps) in enumerate(zip(accuracies, strengths, strict=True), start=1):
        observation = monitor.query(
            nn.Identity(), {"epoch": epoch, "val_clean": accuracy, "eps": eps}, memory
        )
        said += [(epoch, alert.code, alert.message) for alert in observation.alerts]
        figures |= {(epoch, name): value for name, value in observation.figures.items()}
        memory = json.loads(json.dumps(memory))
    return said, figures


def test_a_delay_is_spoken_of_when_first_seen_and_when_it_ends():
    baseline = Told()
    said, figures = follow([0.01] * 7 + [0.12] + [0.3, 0.02], [0.1] * 10, baseline)
    assert [(epoch, code) for epoch, code, _ in said[:2]] == [
        (2, "suboptimal-transfer"),
        (8, "adapted"),
    ]
    first, last = (message for _, _, message in said[:2])
    assert "after 2 of 15 epochs validation accuracy is 1.0 %, no better than chance" in first
    assert "standard fine-tuning from the same start has 60.0 % after 2 epochs" in first
    assert "take a ramp" in first
    assert "adapted in epoch 8 of 15" in last
    assert baseline.asked == [2]
    assert figures == {(2, "baseline_epochs"): 2, (2, "baseline_clean"): 0.6}


@pytest.mark.parametrize(("epochs", "first"), [(1, 1), (9, 1), (10, 1), (11, 2), (50, 5)])
def test_a_tenth_of_the_run_is_waited_and_the_clean_baseline_gets_three_epochs_at_most(
    epochs, first
):
    baseline = Told()
    said, _ = follow([0.0] * epochs, [0.1] * epochs, baseline, epochs)
    assert [epoch for epoch, _, _ in said] == [first]
    assert baseline.asked == [min(first, 3)]


def test_chance_without_an_attack_is_no_delay():
    baseline = Told()
    said, _ = follow([0.01] * 6, [0.0] * 4 + [0.1] * 2, baseline)
    assert [(epoch, code) for epoch, code, _ in said] == [(5, "suboptimal-transfer")]
    assert follow([0.01] * 6, [0.0] * 6, Told()) == ([], {})


@given(
    accuracies=st.lists(st.floats(0, 1), min_size=1, max_size=15),
    strengths=st.lists(st.floats(0, 0.1), min_size=15, max_size=15),
)
def test_at_most_one_beginning_and_one_end_and_one_clean_baseline(accuracies, strengths):
    baseline = Told()
    said, _ = follow(accuracies, strengths[: len(accuracies)], baseline)
    codes = [code for _, code, _ in said]
    assert len(baseline.asked) == codes.count("suboptimal-transfer") <= 1
    assert codes.count("adapted") <= codes.count("suboptimal-transfer")
    assert codes.count("forgotten-task") <= 1


@given(accuracies=st.lists(st.floats(0.0501, 1), min_size=1, max_size=15))
def test_a_run_that_adapts_at_once_hears_nothing(accuracies):
    baseline = Told()
    assert follow(accuracies, [0.1] * len(accuracies), baseline) == ([], {})
    assert baseline.asked == []


def test_while_the_clean_baseline_is_no_better_it_is_too_early_to_tell():
    baseline = Told(lambda epochs: 0.3 if epochs == 2 else 0.01)
    said, figures = follow([0.01] * 5, [0.1] * 5, baseline, epochs=5)
    assert [(epoch, code) for epoch, code, _ in said] == [(2, "suboptimal-transfer")]
    assert baseline.asked == [1, 2]
    assert figures[1, "baseline_clean"] == 0.01


@pytest.mark.parametrize(("epochs", "asked"), [(2, [1, 2]), (10, [1, 2, 3]), (15, [2, 3])])
def test_where_the_clean_baseline_is_no_better_in_the_end_the_attack_is_not_blamed(epochs, asked):
    baseline = Told(0.02)
    said, _ = follow([0.01] * epochs, [0.1] * epochs, baseline, epochs)
    assert [(epoch, code) for epoch, code, _ in said] == [(asked[-1], "no-adaptation")]
    assert "it is not the attack" in said[0][2]
    assert baseline.asked == asked


def test_a_clean_baseline_that_fails_does_not_end_the_run():
    said, figures = follow([0.01, 0.01], [0.1, 0.1], Told(ModelError("the file is gone.")))
    assert [code for _, code, _ in said] == ["unexplained-delay"]
    assert "could not be tried (the file is gone). If that adapts, the attack" in said[0][2]
    assert figures == {}
    said, _ = follow([0.01, 0.01], [0.1, 0.1], Told(torch.OutOfMemoryError()))
    assert "could not be tried (OutOfMemoryError). If" in said[0][2]


def test_after_a_task_that_nothing_learns_the_attack_is_not_blamed():
    said, _ = follow([0.01] * 4 + [0.5], [0.1] * 5, Told(0.01))
    assert [code for _, code, _ in said] == ["no-adaptation", "adapted"]
    assert "take a ramp" not in said[1][2]


def test_a_task_that_is_forgotten_is_no_delay():
    baseline = Told()
    said, _ = follow([0.4, 0.7, 0.01, 0.01, 0.5, 0.01], [0.0, 0.0, 0.1, 0.1, 0.1, 0.1], baseline)
    assert [(epoch, code) for epoch, code, _ in said] == [(3, "forgotten-task")]
    assert "above from epoch 1 on" in said[0][2]
    assert baseline.asked == []


@pytest.mark.parametrize(
    ("num_classes", "level"), [(2, 0.55), (10, 0.19), (11, 2 / 11), (20, 0.1), (100, 0.05)]
)
def test_chance_by_the_number_of_classes(num_classes, level):
    assert chance_threshold(1 / num_classes) == pytest.approx(level)


@given(st.floats(0.001, 0.999))
def test_one_can_always_be_above_chance(chance):
    assert chance < chance_threshold(chance) < 1
