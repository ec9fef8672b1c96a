import numpy as np

from rampart.records.record import EvaluationRecord

GRID = np.arange(5) / 255


IMAGE = bytes(4 * 3 * 2 * 4)


METADATA = {
    "attack": {"name": "apgd", "steps": 10},
    "split": "test",
    "seed": 3,
    "model": "größe",
    "seconds": 0.1,
}


def make(critical=(0, 1, 3, 5, 5), **changes) -> EvaluationRecord:
    critical = np.array(critical)
    labels = np.arange(len(critical)) % 3
    values = {
        "norm": "linf",
        "grid": GRID,
        "ids": tuple(f"a,b/{i}.png" for i in range(len(critical))),
        "labels": labels,
        "predictions": np.where(critical == 0, labels + 1, labels),
        "critical": critical,
        "metadata": METADATA,
    }
    return EvaluationRecord(**{**values, **changes})


def full(critical=(0, 1, 3, 5, 5), **changes) -> EvaluationRecord:
    """A record with every column; sample i's adversarial example is filled with i / 100."""
    critical = np.array(critical)
    last = len(changes.get("grid", GRID))
    found = (critical > 0) & (critical < last)
    names = {0: "clean", last: None}
    images = np.flatnonzero(found)[:, None, None, None] / 100
    values = {
        "distance": np.where(
            found, (np.append(GRID, 0)[np.minimum(critical, 5)]) - 0.5 / 255, np.nan
        ),
        "found_by": tuple(names.get(j, f"apgd-t/{j}") for j in critical.tolist()),
        "forwards": np.arange(len(critical)) + 7,
        "backwards": np.arange(len(critical)),
        "pruned": np.full(len(critical), 2),
        "rechecked": critical > 2,
        "attacked_predictions": (np.arange(len(critical)) % 3) + (critical < last),
        "adversarial_examples": np.broadcast_to(images, (found.sum(), 3, 2, 4)).astype(np.float32),
    }
    return make(critical, **{**values, **changes})


ARRAYS = ("grid", "labels", "predictions", "critical", "distance", "forwards", "backwards")


MORE_ARRAYS = ("pruned", "rechecked", "attacked_predictions", "adversarial_examples")


def same(a: EvaluationRecord, b: EvaluationRecord) -> bool:
    for name in (*ARRAYS, *MORE_ARRAYS):
        one, other = getattr(a, name), getattr(b, name)
        if (one is None) != (other is None):
            return False
        if one is not None and one.dtype != other.dtype:
            return False
        if one is not None and not np.array_equal(one, other, equal_nan=one.dtype.kind == "f"):
            return False
    plain = [(r.norm, r.ids, r.metadata, r.found_by) for r in (a, b)]
    return plain[0] == plain[1]
