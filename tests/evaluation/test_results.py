import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.errors import InvalidArgument
from rampart.evaluation.results import COLUMNS, Results
from rampart.records.record import EvaluationRecord

LEVELS = 4


def made_up(indices, seed=0, adversarial_examples=True) -> Results:
    """Consistent results of the samples; an adversarial example holds its sample's number."""
    indices = np.asarray(indices, dtype=np.int64)
    rng = np.random.default_rng(seed)
    critical = rng.integers(0, LEVELS + 2, len(indices))
    found = (critical > 0) & (critical <= LEVELS)
    rechecked = rng.random(len(indices)) < 0.5
    images = np.broadcast_to(indices[found, None, None, None], (found.sum(), 1, 2, 2))
    return Results(
        indices=indices,
        labels=indices % 3,
        predictions=np.where(critical == 0, indices + 1, indices) % 3,
        attacked_predictions=np.where(critical <= LEVELS, indices + 1, indices) % 3,
        finite=np.ones(len(indices), bool),
        critical=critical,
        distance=np.where(found, critical / 255, np.nan),
        stage=np.where(found, rng.integers(0, 3, len(indices)), -1),
        run=np.where(found, rng.integers(0, 9, len(indices)), -1),
        forwards=rng.integers(0, 100, len(indices)),
        backwards=rng.integers(0, 100, len(indices)),
        pruned=rng.integers(0, 3, len(indices)),
        rechecked=rechecked,
        before_recheck=np.where(rechecked & (critical > 0), LEVELS + 1, critical),
        adversarial_examples=images.astype(np.float32) if adversarial_examples else None,
    )


def same(a: Results, b: Results) -> bool:
    columns = all(
        np.array_equal(getattr(a, name), getattr(b, name), equal_nan=name == "distance")
        for name in COLUMNS
    )
    if a.adversarial_examples is None or b.adversarial_examples is None:
        return columns and a.adversarial_examples is b.adversarial_examples
    return columns and np.array_equal(a.adversarial_examples, b.adversarial_examples)


def owned(results: Results) -> bool:
    """Whether every adversarial example belongs to its sample."""
    assert results.adversarial_examples is not None
    owners = results.indices[results.adversarial_rows]
    return np.array_equal(results.adversarial_examples[:, 0, 0, 0], owners)


indices = st.lists(st.integers(0, 30), max_size=12)


@given(indices=indices, seed=st.integers(0, 99), data=st.data())
def test_selected_rows_keep_their_adversarial_examples(indices, seed, data):
    results = made_up(indices, seed)
    rows = st.lists(st.integers(0, max(len(indices) - 1, 0)), max_size=12 if indices else 0)
    rows = np.array(data.draw(rows), dtype=np.int64)
    part = results.select(rows)
    assert np.array_equal(part.indices, results.indices[rows])
    assert owned(part)
    mask = results.critical > 1
    assert same(results.select(mask), results.select(np.flatnonzero(mask)))


@given(indices=indices, cut=st.integers(0, 12), seed=st.integers(0, 99))
def test_concatenating_parts_restores_the_results(indices, cut, seed):
    whole = made_up(indices, seed)
    rows = np.arange(len(whole))
    parts = [whole.select(rows[:cut]), Results.empty(), whole.select(rows[cut:])]
    if indices:
        assert same(Results.concatenate(parts), whole)
    assert len(Results.concatenate(parts)) == len(indices)


@given(first=indices, second=indices)
def test_the_latest_row_of_every_sample_replaces_the_earlier_ones(first, second):
    old, new = made_up(first, 1), made_up(second, 2)
    latest = Results.concatenate([old, new]).latest()
    assert latest.indices.tolist() == sorted({*first, *second})
    rows = {s: (critical, 0) for s, critical in zip(first, old.critical.tolist(), strict=True)}
    rows |= {s: (critical, 1) for s, critical in zip(second, new.critical.tolist(), strict=True)}
    assert latest.critical.tolist() == [rows[s][0] for s in sorted(rows)]
    if latest.adversarial_examples is not None:
        assert owned(latest)


@settings(max_examples=30)
@given(indices=st.permutations(range(9)), processes=st.integers(1, 4))
def test_processes_are_merged_in_the_order_of_the_samples(indices, processes):
    whole = made_up(indices)
    parts = [whole.select(np.arange(rank, 9, processes)) for rank in range(processes)]
    assert same(Results.merge(parts), whole.sorted())
    assert Results.merge(parts).forwards_total == whole.forwards.sum()
    assert Results.merge(parts).backwards_total == whole.backwards.sum()
    assert Results.merge(parts).pruned.sum() == whole.pruned.sum()


def test_merging_refuses_a_sample_of_two_processes():
    with pytest.raises(InvalidArgument, match="parts=sample 3 twice"):
        Results.merge([made_up([1, 3]), made_up([3, 2])])


def test_adversarial_examples_are_kept_by_all_parts_or_by_none():
    without = made_up(range(20, 40), adversarial_examples=False)
    assert Results.concatenate([without, without]).adversarial_examples is None
    with pytest.raises(InvalidArgument, match="parts="):
        Results.concatenate([made_up(range(20)), without])
    nothing_found = without.select(~without.found)
    assert owned(Results.concatenate([made_up(range(20)), nothing_found]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": np.zeros(3, int)}, "labels=3 values"),
        ({"labels": np.zeros(4)}, "labels=float64"),
        ({"predictions": [0, 1, 2, 0]}, "predictions="),
        ({"critical": [0, -1, 5, 2]}, "critical=-1 for sample 1"),
        ({"predictions": [-1, -1, 2, 0], "finite": [False, True, True, True]}, "finite=True for"),
        ({"finite": [True, True, False, True]}, "finite=False for sample 2"),
        ({"attacked_predictions": [2, -1, 2, 2]}, "attacked_predictions=2 for sample 0"),
        ({"attacked_predictions": [1, -1, 2, 0]}, "attacked_predictions=0 for sample 3"),
        ({"stage": [0, 1, -1, 0], "run": [0, 0, -1, 0]}, "stage=0 for sample 0"),
        ({"run": [-1, 0, 0, 0]}, "run=0 for sample 2"),
        ({"distance": [np.nan, np.nan, np.nan, 0.1]}, "distance=nan for sample 1"),
        ({"before_recheck": [0, 5, 5, 2]}, "before_recheck=5 for sample 1"),
        ({"before_recheck": [0, 1, 5, 1]}, "before_recheck=1 for sample 3"),
        ({"forwards": [-1, 0, 0, 0]}, "forwards=-1"),
        ({"adversarial_examples": np.zeros((1, 1, 2, 2), np.float32)}, "adversarial_examples=1"),
        ({"adversarial_examples": np.zeros((2, 1, 2, 2))}, "adversarial_examples=float64"),
        ({"adversarial_rows": [0, 1]}, "adversarial_rows"),
    ],
)
def test_columns_that_contradict_each_other_are_refused(changes, message):
    values = {
        "indices": np.arange(4),
        "labels": np.array([0, 1, 2, 0]),
        "predictions": np.array([1, 1, 2, 0]),
        "attacked_predictions": np.array([1, -1, 2, 2]),
        "finite": np.array([False, False, True, True]),
        "critical": np.array([0, 1, 5, 2]),
        "distance": np.array([np.nan, 0.1, np.nan, 0.1]),
        "stage": np.array([-1, 1, -1, 0]),
        "run": np.array([-1, 0, -1, 0]),
        "forwards": np.ones(4, int),
        "backwards": np.ones(4, int),
        "pruned": np.zeros(4, int),
        "rechecked": np.array([False, False, False, True]),
        "before_recheck": np.array([0, 1, 5, 2]),
    }
    Results(**values)
    with pytest.raises(InvalidArgument, match=message):
        Results(**{**values, **{k: np.asarray(v) for k, v in changes.items()}})


@given(indices=st.lists(st.integers(0, 30), min_size=1, max_size=12, unique=True))
def test_a_record_is_made_of_results(indices):
    results = made_up(indices, 4)
    metadata = {"attack_suite": "short"}
    names = {sample: f"image {sample}" for sample in indices}
    stages = ("apgd-ce", "apgd-t", "square")
    grid = np.arange(LEVELS + 1) / 255
    record = EvaluationRecord.from_results(results, names, grid, "linf", stages, metadata)
    assert record.ids == tuple(f"image {sample}" for sample in indices)
    for row, name in enumerate(record.found_by):
        stage, run = results.stage[row], results.run[row]
        is_adv = stages[stage] + (f"/{run}" if run else "")
        assert name == {0: "clean", LEVELS + 1: None}.get(results.critical[row], is_adv)
    assert np.array_equal(record.found, results.found)
    assert np.array_equal(record.adversarial_examples, results.adversarial_examples)
    assert record.forwards.sum() == results.forwards_total
    columns = ("labels", "predictions", "critical", "backwards", "pruned", "rechecked")
    columns += ("attacked_predictions",)
    assert all(np.array_equal(getattr(record, c), getattr(results, c)) for c in columns)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": ["a", "b"]}, "ids=2 names: expected one for number 2"),
        ({"stage_names": ["apgd-ce"]}, "stage_names=1 name: expected one for number"),
        ({"grid": np.arange(LEVELS) / 255}, "critical=5"),
        ({"grid": np.arange(LEVELS + 2) / 255}, "found_by=None"),
        ({"stage_names": ["clean"] * 3}, "found_by=clean"),
    ],
)
def test_a_record_refuses_results_of_another_task(changes, message):
    values = {
        "ids": [*map(str, range(10))],
        "grid": np.arange(LEVELS + 1) / 255,
        "norm": "linf",
        "stage_names": ("apgd-ce", "apgd-t", "square"),
        "metadata": {},
    }
    results = made_up(range(10), 4)
    EvaluationRecord.from_results(results, **values)
    with pytest.raises(InvalidArgument, match=message):
        EvaluationRecord.from_results(results, **{**values, **changes})
