"""The record of an evaluation: one row per sample, from which every figure is computed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rampart.counting import counted
from rampart.errors import InvalidArgument
from rampart.metrics.curve import Floats, Integers, accuracy_curve, check_critical, check_grid
from rampart.metrics.intervals import CONFIDENCE, Interval, mean_interval
from rampart.metrics.sequential import sequential_interval
from rampart.tolerance import below, same, within
from rampart.units import Norm, Perturbation, is_corruption, parse_perturbation

#: The value of `found_by` for a sample that is misclassified without perturbation.
CLEAN = "clean"
COUNTS = ("forwards", "backwards", "pruned")
#: Types of the columns that hold one number per sample.
TYPES: dict[str, type[np.generic]] = {
    "labels": np.int64,
    "predictions": np.int64,
    "distance": np.float64,
    **dict.fromkeys(COUNTS, np.int64),
    "rechecked": np.bool_,
    "attacked_predictions": np.int64,
    "wrong_at": np.int64,
}


@dataclass(frozen=True, eq=False)
class EvaluationRecord:
    """The critical strength of every sample, and how it was found.

    Attributes:
        norm: norm of the threat model, such as "linf"; or a corruption, such as "fog", whose
            severities 0 to 5 are no distances.
        grid: (n + 1,) strengths g_0 = 0 < ... < g_n = eps_g, fractions of the pixel range; or 0 to
            5, the severities of a corruption.
        ids: (N,) names of the samples, unique.
        labels: (N,) true classes.
        predictions: (N,) predicted classes without perturbation; -1 where the logits are not all
            finite.
        critical: (N,) grid index of the smallest strength at which the sample is misclassified: 0
            without perturbation, n + 1 if the sample is robust at every strength.
        metadata: plain JSON values: attack, split, seed, model, data, versions, hardware,
            precision, forwards, backwards, rows, seconds, attack_suite, mode, until, rerun, checks;
            `confidence` of the intervals; `top_k`, the number of likeliest classes among which
            the label has to be.
        distance: (N,) distance, in the norm, of the nearest adversarial example; nan if there is
            none, or if it lies on the edge of the ball of the critical strength: then the distance
            would only repeat this strength.
        found_by: (N,) the stage that found the critical strength, with `/run` appended after its
            first run ("apgd-ce", "apgd-t/3"); "clean" if the sample is misclassified without
            perturbation; None if it is robust at every strength.
        forwards: (N,) forward passes spent on the sample.
        backwards: (N,) backward passes spent on the sample.
        pruned: (N,) runs that were stopped early and not repeated in full.
        rechecked: (N,) whether pruned runs were repeated in full.
        attacked_predictions: (N,) predicted classes at the adversarial example, or the corrupted
            image, that set the critical strength; -1 where its logits are not all finite. Without
            one, `predictions`.
        adversarial_examples: (M, C, H, W) float32, the nearest adversarial example of each sample
            with 1 <= critical <= n, in the order of the rows.
        wrong_at: (N,) of a corruption, the severities at which the sample is misclassified, as the
            sum of 2^severity: a sample may be right at a higher severity than one where it is
            wrong.

    Columns after `metadata` are None if they are not known.

    Raises:
        InvalidArgument: arrays that contradict each other.
    """

    norm: Perturbation
    grid: Floats
    ids: tuple[str, ...]
    labels: Integers
    predictions: Integers
    critical: Integers
    metadata: Mapping[str, Any] = field(default_factory=dict)
    distance: Floats | None = None
    found_by: tuple[str | None, ...] | None = None
    forwards: Integers | None = None
    backwards: Integers | None = None
    pruned: Integers | None = None
    rechecked: NDArray[np.bool_] | None = None
    attacked_predictions: Integers | None = None
    adversarial_examples: NDArray[np.float32] | None = None
    wrong_at: Integers | None = None

    def __post_init__(self) -> None:
        norm = parse_perturbation(self.norm)
        grid = check_grid(self.grid, norm)
        put = object.__setattr__
        put(self, "norm", norm)
        put(self, "grid", grid)
        put(self, "ids", tuple(map(str, self.ids)))
        put(self, "critical", check_critical(self.critical, len(grid) - 1))
        for name, kind in TYPES.items():
            if getattr(self, name) is not None:
                put(self, name, _column(name, getattr(self, name), kind))
        if self.found_by is not None:
            put(self, "found_by", tuple(self.found_by))
        _check_lengths(self)
        _check_names(self)
        _check_rows(self)
        _check_adversarial_examples(self)
        _check_severities(self)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def eps(self) -> float:
        """The largest strength of the grid, eps_g."""
        return float(self.grid[-1])

    @property
    def accuracy(self) -> Floats:
        """(n + 1,) accuracy at each strength of the grid."""
        return accuracy_curve(self.critical, len(self.grid) - 1)

    def right_at(self, severity: int) -> NDArray[np.bool_]:
        """(N,) whether a sample is right at one severity of a corruption, whatever it is at others.

        Its mean is the accuracy that ImageNet-C reports.

        Raises:
            InvalidArgument: the record is under a norm, or does not have this severity.
        """
        if self.wrong_at is None or severity not in self.grid:
            got = f"{severity} of a record under {self.norm}"
            raise InvalidArgument("severity", got, "a severity of a record of a corruption")
        return self.wrong_at >> severity & 1 == 0

    @property
    def confidence(self) -> float:
        """Confidence of the intervals, from the metadata; 0.95 by default."""
        return float(self.metadata.get("confidence", CONFIDENCE))

    def expected_interval(self, values: ArrayLike) -> Interval:
        """Return the interval of expected robustness from the contributions of the samples.

        With `until` in the metadata it is the interval of that rule (`metrics.sequential`).
        """
        interval = sequential_interval if "until" in self.metadata else mean_interval
        return interval(values, self.confidence)

    @property
    def top_k(self) -> int:
        """A prediction is correct if the label is among this many of the likeliest classes."""
        return int(self.metadata.get("top_k", 1))

    @property
    def found(self) -> NDArray[np.bool_]:
        """(N,) whether an attack found an adversarial example, 1 <= critical <= n."""
        return (self.critical > 0) & (self.critical < len(self.grid))

    @classmethod
    def from_results(
        cls,
        results: Any,
        ids: Sequence[str] | Mapping[int, str],
        grid: ArrayLike,
        norm: Norm,
        stage_names: Sequence[str],
        metadata: Mapping[str, Any],
    ) -> "EvaluationRecord":
        """Return the record of the results of an evaluation.

        Args:
            results: a `rampart.evaluation.results.Results`; the record has the same order of rows.
            ids: names of the samples by their index in the split.
            grid: (n + 1,) strengths.
            norm: norm of the threat model.
            stage_names: names of the stages of the attack suite, in their order.
            metadata: plain JSON values, see the class.

        Raises:
            InvalidArgument: results that contradict each other, the grid, or the names.
        """
        columns = (results.critical, results.stage, results.run)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return cls(
            norm=norm,
            grid=np.asarray(grid, dtype=np.float64),
            ids=tuple(_find_name("ids", ids, sample) for sample in results.indices.tolist()),
            labels=results.labels,
            predictions=results.predictions,
            critical=results.critical,
            metadata=metadata,
            distance=_distances_inside(results.distance, results.critical, np.asarray(grid)),
            found_by=tuple(
                CLEAN if critical == 0 else _name_stage(stage_names, stage, run)
                for critical, stage, run in rows
            ),
            forwards=results.forwards,
            backwards=results.backwards,
            pruned=results.pruned,
            rechecked=results.rechecked,
            attacked_predictions=results.attacked_predictions,
            adversarial_examples=results.adversarial_examples,
        )


def _name_stage(stage_names: Sequence[str], stage: int, run: int) -> str | None:
    if stage < 0:
        return None
    name = _find_name("stage_names", stage_names, stage)
    return f"{name}/{run}" if run else name


def _find_name(argument: str, names: Sequence[str] | Mapping[int, str], number: int) -> str:
    try:
        return names[number]
    except LookupError:
        got = counted(len(names), "name")
        raise InvalidArgument(argument, got, f"one for number {number}") from None


def _column(name: str, values: object, kind: type[np.generic]) -> NDArray[Any]:
    """The values as (N,) of a type; only lossless conversions are allowed."""
    array = np.asarray(values)
    kinds, words = {
        np.int64: ("iu", "integers"),
        np.float64: ("iuf", "numbers"),
        np.bool_: ("b", "booleans"),
    }[kind]
    if array.ndim != 1 or array.dtype.kind not in kinds:
        raise InvalidArgument(name, f"{array.dtype} of shape {array.shape}", f"(N,) {words}")
    return array.astype(kind)


def _distances_inside(distances: Floats, critical: Integers, grid: Floats) -> Floats:
    """Return the distances, nan where one only repeats the critical strength.

    An attack moves as far as its ball allows. An adversarial example on the edge of the ball shows
    that the image is misclassified there, and nothing about nearer ones.
    """
    # Positions beyond the grid are refused by the record.
    edge = np.append(grid, np.inf)[np.minimum(critical, len(grid))]
    return np.where(same(distances, edge), np.nan, distances)


def _check_lengths(record: EvaluationRecord) -> None:
    n = len(record.critical)
    for name in ("ids", "found_by", *TYPES):
        values = getattr(record, name)
        if values is not None and len(values) != n:
            raise InvalidArgument(
                name, counted(len(values), "value"), f"{n}, one for each of critical"
            )


def _check_names(record: EvaluationRecord) -> None:
    if len(set(record.ids)) != len(record):
        raise InvalidArgument("ids", "a name that occurs twice", "one name per sample")
    try:
        "".join(record.ids).encode()
    except UnicodeEncodeError:
        raise InvalidArgument("ids", "a name that is not valid text", "Unicode names") from None
    top_k, confidence = (
        record.metadata.get("top_k", 1),
        record.metadata.get("confidence", CONFIDENCE),
    )
    if type(top_k) is not int or top_k < 1:
        raise InvalidArgument("top_k", top_k, "an integer of at least 1")
    if not isinstance(confidence, float) or not 0 < confidence < 1:
        raise InvalidArgument("confidence", confidence, "a fraction between 0 and 1")


def _check_rows(record: EvaluationRecord) -> None:
    """Raise `InvalidArgument` for the first sample whose columns contradict each other."""
    wrong, clean = record.predictions != record.labels, record.critical == 0
    # The label may be among the k likeliest classes without being the prediction.
    agree = clean == wrong if record.top_k == 1 else ~clean | wrong
    rules = [("critical", agree, "0 if and only if the prediction is not the label")]
    for name in COUNTS:
        if getattr(record, name) is not None:
            rules.append((name, getattr(record, name) >= 0, "a number of at least 0"))
    if record.distance is not None:
        limit = np.append(record.grid, np.inf)[record.critical]
        # An adversarial example within the strength before would make that one critical.
        before = record.grid[np.maximum(record.critical, 1) - 1]
        inside = within(record.distance, limit) & ~below(record.distance, before)
        expected = (
            "a distance above the strength before the critical one and up to the critical one, or "
            "nan if it is not known"
        )
        unknown = np.isnan(record.distance)
        rules.append(("distance", unknown | (record.found & inside), expected))
    if record.found_by is not None:
        expected = "'clean' if critical is 0, None if the sample is robust, else a stage"
        rules.append(("found_by", _names_a_stage(record, record.found_by), expected))
    if record.attacked_predictions is not None:
        attacked = record.attacked_predictions
        astray = np.where(record.found, attacked != record.labels, attacked == record.predictions)
        expected = "another class than the label where 1 <= critical <= n, else the prediction"
        rules.append(("attacked_predictions", astray, expected))
    for name, holds, expected in rules:
        if not holds.all():
            row = int(holds.argmin())
            got = f"{getattr(record, name)[row]} for {record.ids[row]}"
            raise InvalidArgument(name, got, expected)


def _names_a_stage(record: EvaluationRecord, names: Sequence[str | None]) -> NDArray[np.bool_]:
    """(N,) whether each name fits the critical index of its row."""
    fitting = []
    for name, critical in zip(names, record.critical.tolist(), strict=True):
        if critical in (0, len(record.grid)):
            fitting.append(name == (None if critical else CLEAN))
        else:
            stage = name.partition("/")[0] if isinstance(name, str) else ""
            fitting.append(stage not in ("", CLEAN))
    return np.array(fitting)


def _check_adversarial_examples(record: EvaluationRecord) -> None:
    if record.adversarial_examples is None:
        return
    images = record.adversarial_examples
    if images.ndim != 4 or images.dtype != np.float32 or 0 in images.shape[1:]:
        got = f"{images.dtype} of shape {images.shape}"
        raise InvalidArgument("adversarial_examples", got, "(M, C, H, W) float32")
    if len(images) != record.found.sum():
        expected = f"{record.found.sum()}, one for each sample with 1 <= critical <= n"
        raise InvalidArgument("adversarial_examples", len(images), expected)


def _check_severities(record: EvaluationRecord) -> None:
    """Refuse a record of a corruption without the result at each severity, or that contradicts."""
    if record.wrong_at is None:
        if is_corruption(record.norm):
            raise InvalidArgument("wrong_at", None, f"the result of {record.norm} at each severity")
        return
    if not is_corruption(record.norm):
        raise InvalidArgument("wrong_at", "a column", f"none under {record.norm}")
    severities = np.arange(len(record.grid))
    wrong = record.wrong_at[:, None] >> severities & 1 == 1
    first = np.where(wrong.any(1), wrong.argmax(1), len(severities))
    known = (record.wrong_at >= 0) & (record.wrong_at < 2 ** len(severities))
    if not (known & (first == record.critical)).all():
        row = int((known & (first == record.critical)).argmin())
        got = f"{record.wrong_at[row]} for {record.ids[row]}"
        raise InvalidArgument("wrong_at", got, "severities of which the critical one is the first")
