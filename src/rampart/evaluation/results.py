"""The results of an evaluation as columns, one row per sample.

Results of batches, processes and interrupted evaluations are concatenated in the same way.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rampart.counting import counted
from rampart.errors import InvalidArgument
from rampart.metrics.curve import Floats, Integers

Booleans = NDArray[np.bool_]
Images = NDArray[np.float32]

#: Columns with one value per sample, and their types.
COLUMNS: dict[str, type[np.generic]] = {
    "indices": np.int64,
    "labels": np.int64,
    "predictions": np.int64,
    "attacked_predictions": np.int64,
    "finite": np.bool_,
    "critical": np.int64,
    "distance": np.float64,
    "stage": np.int64,
    "run": np.int64,
    "forwards": np.int64,
    "backwards": np.int64,
    "pruned": np.int64,
    "rechecked": np.bool_,
    "before_recheck": np.int64,
}
COUNTS = ("indices", "critical", "forwards", "backwards", "pruned")


@dataclass(frozen=True, eq=False)
class Results:
    """The results of attacking samples over a grid g_0 = 0 < ... < g_n.

    Attributes:
        indices: (N,) positions in the split.
        labels: (N,) true classes.
        predictions: (N,) predicted classes without perturbation; -1 where the logits are not all
            finite.
        attacked_predictions: (N,) predicted classes at the adversarial example that set `critical`;
            -1 as above. Without one, `predictions`.
        finite: (N,) bool, whether the logits are all finite, both without perturbation and at the
            adversarial example. Where they are not, the image counts as misclassified.
        critical: (N,) index of the critical strength, the smallest at which the sample is
            misclassified: 0 without perturbation, n + 1 if robust at every strength.
        distance: (N,) distance, in the norm, of the nearest adversarial example; NaN if there is
            none.
        stage: (N,) index of the stage that set `critical`; -1 if none did.
        run: (N,) the run of that stage; -1 if none did.
        forwards: (N,) forwards spent on the sample.
        backwards: (N,) backwards spent on the sample.
        pruned: (N,) number of pruned runs that were not repeated in full.
        rechecked: (N,) bool, whether pruned runs were repeated in full at once.
        before_recheck: (N,) `critical` before that; equals `critical` if not rechecked.
        adversarial_examples: (M, C, H, W) float32, the nearest adversarial examples; None if they
            were not requested.
        adversarial_rows: (M,) their rows in this table, ascending: the rows with a stage, where
            1 <= critical <= n.

    Raises:
        InvalidArgument: columns contradict each other.
    """

    indices: Integers
    labels: Integers
    predictions: Integers
    attacked_predictions: Integers
    finite: Booleans
    critical: Integers
    distance: Floats
    stage: Integers
    run: Integers
    forwards: Integers
    backwards: Integers
    pruned: Integers
    rechecked: Booleans
    before_recheck: Integers
    adversarial_examples: Images | None = None
    adversarial_rows: Integers | None = None

    def __post_init__(self) -> None:
        for name, kind in COLUMNS.items():
            object.__setattr__(self, name, _column(name, getattr(self, name), kind))
        rows = (
            np.flatnonzero(self.found)
            if self.adversarial_examples is not None
            else np.array([], np.int64)
        )
        if self.adversarial_rows is None:
            object.__setattr__(self, "adversarial_rows", rows)
        _check_consistent(self, rows)

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def found(self) -> Booleans:
        """(N,) bool: whether there is an adversarial example, 1 <= critical <= n."""
        return self.stage >= 0

    @property
    def forwards_total(self) -> int:
        """Forwards of all samples together."""
        return int(self.forwards.sum())

    @property
    def backwards_total(self) -> int:
        """Backwards of all samples together."""
        return int(self.backwards.sum())

    @classmethod
    def empty(cls) -> "Results":
        """Return results without rows."""
        return cls(**{name: np.zeros(0, kind) for name, kind in COLUMNS.items()})

    @classmethod
    def concatenate(cls, parts: Iterable["Results"]) -> "Results":
        """Return the rows of all parts in their order; a sample may have several rows.

        Raises:
            InvalidArgument: adversarial examples are missing in some parts or differ in shape.
        """
        parts = [part for part in parts if len(part)] or [cls.empty()]
        columns = {name: np.concatenate([getattr(p, name) for p in parts]) for name in COLUMNS}
        return cls(**columns, adversarial_examples=_join_adversarial_examples(parts))

    def select(self, rows: Sequence[int] | Integers | Booleans) -> "Results":
        """Return some rows, given by row numbers (R,) in their order or by a mask (N,)."""
        rows = np.arange(len(self))[np.asarray(rows)] if len(rows) else np.zeros(0, np.int64)
        adversarial_examples = self.adversarial_examples
        if adversarial_examples is not None:
            place = np.cumsum(self.found) - 1
            adversarial_examples = adversarial_examples[place[rows[self.found[rows]]]]
        return Results(
            **{name: getattr(self, name)[rows] for name in COLUMNS},
            adversarial_examples=adversarial_examples,
        )

    def without_adversarial_examples(self) -> "Results":
        """Return the same rows without adversarial examples, which take most of the memory."""
        return replace(self, adversarial_examples=None, adversarial_rows=None)

    def sorted(self) -> "Results":
        """Return the rows in the order of the samples; the sort is stable."""
        return self.select(np.argsort(self.indices, kind="stable"))

    def latest(self) -> "Results":
        """Return the last row of every sample, in the order of the samples."""
        _, from_the_end = np.unique(self.indices[::-1], return_index=True)
        return self.select(len(self) - 1 - from_the_end)

    @classmethod
    def merge(cls, parts: Iterable["Results"]) -> "Results":
        """Return the results of all processes together, in the order of the samples.

        Raises:
            InvalidArgument: two processes evaluated the same sample.
        """
        whole = cls.concatenate(parts).sorted()
        twice = whole.indices[1:][np.diff(whole.indices) == 0]
        if len(twice):
            raise InvalidArgument("parts", f"sample {twice[0]} twice", "each sample once")
        return whole


def _column(name: str, values: object, kind: type[np.generic]) -> NDArray[np.generic]:
    """Return the values in their type; a conversion that may lose information is refused."""
    array = np.asarray(values)
    if array.ndim != 1 or not np.can_cast(array.dtype, kind, "same_kind"):
        got = f"{array.dtype} of shape {array.shape}"
        raise InvalidArgument(name, got, f"(N,) values of {kind.__name__}")
    return array.astype(kind, copy=False)


def _check_consistent(results: Results, rows: Integers) -> None:
    """Raise `InvalidArgument` if columns contradict each other.

    `rows` are those of the adversarial examples.
    """
    for name in COLUMNS:
        if len(getattr(results, name)) != len(results):
            got = counted(len(getattr(results, name)), "value")
            raise InvalidArgument(name, got, f"{len(results)}, one per sample")
    clean, found = results.critical == 0, results.found
    right = results.predictions == results.labels
    lowered = results.critical < results.before_recheck
    same = results.critical == results.before_recheck
    attacked = results.attacked_predictions
    led_astray = np.where(found, attacked != results.labels, attacked == results.predictions)
    rules = [
        *((name, getattr(results, name) >= 0, "no negative number") for name in COUNTS),
        ("predictions", ~(clean & right), "another class where critical is 0"),
        (
            "finite",
            ~results.finite | (results.predictions >= 0),
            "false where no class is predicted",
        ),
        ("finite", results.finite | clean | found, "true where nothing is misclassified"),
        ("stage", ~(clean & found), "-1 where critical is 0"),
        ("run", (results.run >= 0) == found, "a run exactly where there is a stage"),
        (
            "distance",
            np.isfinite(results.distance) == found,
            "a number exactly where there is a stage",
        ),
        (
            "before_recheck",
            same | (lowered & results.rechecked),
            "critical, or more where rechecked",
        ),
        (
            "attacked_predictions",
            led_astray,
            "another class than the label where there is a stage, and the prediction elsewhere",
        ),
    ]
    for name, holds, expected in rules:
        if not holds.all():
            row = int(holds.argmin())
            got = f"{getattr(results, name)[row]} for sample {results.indices[row]}"
            raise InvalidArgument(name, got, expected)
    _check_adversarial_examples(results.adversarial_examples, len(rows))
    if not np.array_equal(np.asarray(results.adversarial_rows), rows):
        got = f"{results.adversarial_rows}"
        raise InvalidArgument("adversarial_rows", got, "the rows with a stage, ascending")


def _check_adversarial_examples(adversarial_examples: Images | None, count: int) -> None:
    if adversarial_examples is None:
        return
    if adversarial_examples.ndim != 4 or adversarial_examples.dtype != np.float32:
        got = f"{adversarial_examples.dtype} of shape {adversarial_examples.shape}"
        raise InvalidArgument("adversarial_examples", got, "(M, C, H, W) float32")
    if len(adversarial_examples) != count:
        raise InvalidArgument(
            "adversarial_examples", len(adversarial_examples), f"{count}, one per row with a stage"
        )


def _join_adversarial_examples(parts: Sequence[Results]) -> Images | None:
    """Return the adversarial examples of all parts; a part without any found may lack them."""
    present = [part.adversarial_examples for part in parts if part.adversarial_examples is not None]
    lacking = [part for part in parts if part.adversarial_examples is None and part.found.any()]
    if not present:
        return None
    if lacking or len({images.shape[1:] for images in present}) > 1:
        raise InvalidArgument(
            "parts",
            "adversarial examples in some",
            "adversarial examples of one shape in all or none",
        )
    return np.concatenate(present)
