"""What an evaluation found, column by column: one row per sample, small enough for any number.

The columns of one table, so that batches, processes and the parts of an interrupted evaluation
are put together the same way.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rampart.errors import InvalidArgument
from rampart.metrics.curve import Floats, Integers

Booleans = NDArray[np.bool_]
Images = NDArray[np.float32]

#: Columns with one value per sample, and their types.
COLUMNS: dict[str, type[np.generic]] = {
    "indices": np.int64,
    "labels": np.int64,
    "predictions": np.int64,
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
    """What attacking samples over a grid g_0 = 0 < ... < g_n found.

    Attributes:
        indices: (N,) positions in the split.
        labels: (N,) true classes.
        predictions: (N,) predicted classes without perturbation.
        critical: (N,) index of the smallest strength that breaks the sample: 0 where it is wrong
            without perturbation, n + 1 for a survivor.
        distance: (N,) distance, in the norm, of the smallest adversarial image found; nan where
            none.
        stage: (N,) index of the attack suite's stage that set `critical`; -1 where none did.
        run: (N,) the run of that stage; -1 where none did.
        forwards: (N,) passes spent on the sample through the model.
        backwards: (N,) passes spent on the sample back to the input.
        pruned: (N,) runs that were stopped early as hopeless and not repeated in full.
        rechecked: (N,) whether pruned runs were repeated in full at once.
        before_recheck: (N,) `critical` before that; the same as `critical` where not rechecked.
        adversarial_examples: (M, C, H, W) float32, the smallest adversarial images; None where not
            kept.
        adversarial_rows: (M,) the rows of this table that they belong to, ascending: those with a
            stage, 1 <= critical <= n.

    Raises:
        InvalidArgument: columns that contradict each other.
    """

    indices: Integers
    labels: Integers
    predictions: Integers
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
        """(N,) whether an adversarial image was found, 1 <= critical <= n."""
        return self.stage >= 0

    @property
    def forwards_total(self) -> int:
        """Passes of one sample through the model, of all samples together."""
        return int(self.forwards.sum())

    @property
    def backwards_total(self) -> int:
        """Passes of one sample back to the input, of all samples together."""
        return int(self.backwards.sum())

    @property
    def pruned_total(self) -> int:
        """Runs that were stopped early as hopeless and not repeated in full."""
        return int(self.pruned.sum())

    @classmethod
    def empty(cls) -> "Results":
        """The results of no sample."""
        return cls(**{name: np.zeros(0, kind) for name, kind in COLUMNS.items()})

    @classmethod
    def concatenate(cls, parts: Iterable["Results"]) -> "Results":
        """Return the rows of all parts one after the other; a sample may occur again.

        Raises:
            InvalidArgument: some parts kept their adversarial examples and others did not, or the
                adversarial examples differ in shape.
        """
        parts = [part for part in parts if len(part)] or [cls.empty()]
        columns = {name: np.concatenate([getattr(p, name) for p in parts]) for name in COLUMNS}
        return cls(**columns, adversarial_examples=_join_adversarial_examples(parts))

    def select(self, rows: Sequence[int] | Integers | Booleans) -> "Results":
        """Return some rows: (R,) row numbers, in their order, or an (N,) mask."""
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
        """Return the same rows without their adversarial images, which are the large part."""
        return replace(self, adversarial_examples=None, adversarial_rows=None)

    def sorted(self) -> "Results":
        """Return the rows in the order of the samples; rows of one sample stay in theirs."""
        return self.select(np.argsort(self.indices, kind="stable"))

    def latest(self) -> "Results":
        """Return the last row of every sample, in the order of the samples."""
        _, from_the_end = np.unique(self.indices[::-1], return_index=True)
        return self.select(len(self) - 1 - from_the_end)

    @classmethod
    def merge(cls, parts: Iterable["Results"]) -> "Results":
        """Return the results of all processes as one, in the order of the samples.

        Raises:
            InvalidArgument: a sample that two processes evaluated.
        """
        whole = cls.concatenate(parts).sorted()
        twice = whole.indices[1:][np.diff(whole.indices) == 0]
        if len(twice):
            raise InvalidArgument("parts", f"sample {twice[0]} twice", "each sample once")
        return whole


def _column(name: str, values: object, kind: type[np.generic]) -> NDArray[np.generic]:
    """The values in their type; only what loses nothing is converted."""
    array = np.asarray(values)
    if array.ndim != 1 or not np.can_cast(array.dtype, kind, "same_kind"):
        got = f"{array.dtype} of shape {array.shape}"
        raise InvalidArgument(name, got, f"(N,) values of {kind.__name__}")
    return array.astype(kind, copy=False)


def _check_consistent(results: Results, rows: Integers) -> None:
    """Raise `InvalidArgument` where columns contradict each other; `rows` own the adversarial
    examples.
    """
    for name in COLUMNS:
        if len(getattr(results, name)) != len(results):
            got = f"{len(getattr(results, name))} values"
            raise InvalidArgument(name, got, f"{len(results)} as samples")
    clean, found = results.critical == 0, results.found
    right = results.predictions == results.labels
    lowered = results.critical < results.before_recheck
    same = results.critical == results.before_recheck
    rules = [
        *((name, getattr(results, name) >= 0, "no negative number") for name in COUNTS),
        ("predictions", ~(clean & right), "another class where critical is 0"),
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
            "adversarial_examples", len(adversarial_examples), f"{count}, one for each stage"
        )


def _join_adversarial_examples(parts: Sequence[Results]) -> Images | None:
    """The adversarial examples of all parts; a part in which nothing was found may lack them."""
    kept = [part.adversarial_examples for part in parts if part.adversarial_examples is not None]
    lacking = [part for part in parts if part.adversarial_examples is None and part.found.any()]
    if not kept:
        return None
    if lacking or len({images.shape[1:] for images in kept}) > 1:
        raise InvalidArgument(
            "parts",
            "adversarial examples in some",
            "adversarial examples of one shape in all or none",
        )
    return np.concatenate(kept)
