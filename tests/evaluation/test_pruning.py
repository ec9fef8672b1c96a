import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rampart.attacks.apgd import Apgd
from rampart.attacks.catalogue import ATTACKS
from rampart.attacks.pgd import Pgd
from rampart.evaluation.engine.pruning import LEAST, LIMITS, Limits, gaps, kind, project_strength
from rampart.losses import margin

CPU = torch.device("cpu")
STAGES = {stage.name: stage for stage in ATTACKS.build("plus", {}).stages()}


def test_every_stage_has_its_limits():
    kinds = {name: kind(stage) for name, stage in STAGES.items()}
    assert kinds == {
        "apgd-ce": "untargeted",
        "apgd-dlr": "untargeted",
        "fab": "minimum-norm",
        "fab-random": "minimum-norm",
        "square": "black-box",
        "apgd-t": "targeted",
        "fab-t": "minimum-norm",
    }
    for limits in LIMITS.values():
        assert list(limits) == sorted(limits)
        assert list(limits.values()) == sorted(limits.values(), reverse=True)
        assert min(limits.values()) > 1, "a run that projects success at its strength is not pruned"


@pytest.mark.parametrize("name", list(STAGES))
def test_a_run_is_hopeless_above_the_limit_of_its_age_and_at_no_other_age(name):
    stage = STAGES[name]
    limits, table = Limits.of(stage, "linf", CPU), LIMITS[kind(stage)]
    for age, limit in table.items():
        ages = torch.tensor([age, age, age + 1, age - 1])
        found = limits.exceeded(ages, torch.tensor([limit * 1.01, limit * 0.99, 1e9, 1e9]))
        beside = [age + 1 in table, age - 1 in table]
        assert found.tolist() == [True, False, *beside]


@pytest.mark.parametrize("steps", [1, 3, 10])
def test_no_limit_applies_at_the_last_step(steps):
    stage = ATTACKS.build("apgd", {"steps": steps}).stages()[0]
    limits = Limits.of(stage, "linf", CPU)
    assert not limits.exceeded(torch.tensor([steps, steps + 5]), torch.full((2,), torch.inf)).any()


@pytest.mark.parametrize("name", list(STAGES))
def test_ascent_from_larger_balls_is_never_pruned(name):
    limits = Limits.of(STAGES[name], "l1", CPU)
    ages = torch.arange(STAGES[name].algorithm.steps)
    pruned = bool(limits.exceeded(ages, torch.full((len(ages),), 1e9)).any())
    assert pruned == (not name.startswith("apgd"))


@given(st.floats(0.01, 10), st.floats(0.05, 20))
def test_the_projection_is_exact_for_a_linear_margin(clean, critical):
    """At strength 1 a linear margin has fallen by clean / critical."""
    gap = torch.tensor([clean - clean / critical], dtype=torch.float64)
    found = project_strength(torch.tensor([clean], dtype=torch.float64), gap)
    torch.testing.assert_close(found, torch.tensor([critical], dtype=torch.float64))


def test_a_margin_that_has_not_shrunk_projects_infinity():
    found = project_strength(torch.tensor([1.0, 1.0]), torch.tensor([1.0, 1.5]))
    assert found.tolist() == [torch.inf, torch.inf]


def test_gaps_are_margins():
    logits = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, 1.0]])
    labels = torch.tensor([0, 2])
    assert gaps(logits, labels).tolist() == [1.0, -4.0]
    torch.testing.assert_close(gaps(logits, labels), -margin(logits, labels))
    assert gaps(logits, torch.tensor([[0, 1], [2, 0]])).tolist() == [2.0, 1.0]


def test_only_calibrated_algorithms_are_pruned():
    pgd = Pgd(steps=20, step_rule="absolute", step_size="1/255").stages()[0]
    for stage in (pgd, Apgd(steps=LEAST - 1).stages()[0]):
        assert Limits.of(stage, "linf", CPU).table.isinf().all()
    assert not Limits.of(Apgd(steps=10).stages()[0], "linf", CPU).table.isinf().all()
    # No run is pruned before its first step.
    assert Limits.of(Apgd(steps=LEAST).stages()[0], "linf", CPU).table[:2].isinf().all()
