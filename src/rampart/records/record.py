"""What an evaluation leaves on disk: one row per sample, from which every figure is computed.

A record's folder holds

    samples.csv   id, label, prediction, critical_index, critical_eps (empty for a survivor)
    curve.csv     eps, accuracy, low, high
    summary.json  the usual figures, as shares (see `summary`)
    record.json   format, version, norm, grid, metadata, checksum of samples.csv; written last

so that it can be read with any CSV and JSON reader, without Rampart or torch.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rampart.errors import InvalidArgument, RunError
from rampart.metrics.comparison import LEVEL
from rampart.metrics.curve import Floats, Integers, accuracy_curve, check_critical, check_grid
from rampart.records.figures import curve_points, summary
from rampart.records.files import write_atomic
from rampart.units import Norm, parse_norm

FORMAT = "rampart-evaluation"
VERSION = 1
COLUMNS = ("id", "label", "prediction", "critical_index", "critical_eps")


@dataclass(frozen=True, eq=False)
class EvaluationRecord:
    """The critical strength of every sample, and how it was found.

    Attributes:
        norm: "linf" or "l2".
        grid: (n + 1,) strengths g_0 = 0 < ... < g_n = eps_g, fractions of the pixel range.
        ids: (N,) names of the samples, unique.
        labels: (N,) true classes.
        predictions: (N,) predicted classes without perturbation.
        critical: (N,) index of the smallest strength that breaks the sample: 0 where it is wrong
            without perturbation, n + 1 for a survivor.
        metadata: plain JSON values: attack, split, seed, model, data, versions, hardware,
            precision, forwards, backwards, seconds; level, that of the intervals.

    Raises:
        InvalidArgument: arrays that contradict each other.
    """

    norm: Norm
    grid: Floats
    ids: tuple[str, ...]
    labels: Integers
    predictions: Integers
    critical: Integers
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        grid = check_grid(self.grid)
        put = object.__setattr__
        put(self, "norm", parse_norm(self.norm))
        put(self, "grid", grid)
        put(self, "ids", tuple(map(str, self.ids)))
        put(self, "labels", _integers("labels", self.labels))
        put(self, "predictions", _integers("predictions", self.predictions))
        put(self, "critical", check_critical(self.critical, len(grid) - 1))
        _check_consistent(self)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def eps(self) -> float:
        """The largest strength of the grid, eps_g."""
        return float(self.grid[-1])

    @property
    def curve(self) -> Floats:
        """(n + 1,) accuracy at each strength of the grid."""
        return accuracy_curve(self.critical, len(self.grid) - 1)

    @property
    def level(self) -> float:
        """The level of its intervals: the metadata's, 0.95 where that says nothing."""
        return float(self.metadata.get("level", LEVEL))

    def save(self, folder: str | Path) -> None:
        """Write the record into a folder, each file whole or not at all.

        Raises:
            RunError: the folder cannot be written.
        """
        samples = _samples_csv(self)
        files = {
            "samples.csv": samples,
            "curve.csv": _curve_csv(self),
            "summary.json": _json(summary(self)),
            "record.json": _json(_header(self, samples)),
        }
        for name, text in files.items():
            write_atomic(Path(folder) / name, text)

    @classmethod
    def load(cls, folder: str | Path) -> "EvaluationRecord":
        """Read a record back.

        Raises:
            RunError: files missing, of another format or version, damaged, or contradictory.
        """
        folder = Path(folder)
        header = _read_header(folder / "record.json")
        samples = _read(folder / "samples.csv")
        if _checksum(samples) != header["samples_sha256"]:
            raise RunError(
                f"{folder / 'samples.csv'} is not the file that record.json was written for; "
                "restore it, or evaluate again."
            )
        try:
            return _from_text(header, samples)
        except (InvalidArgument, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{folder} holds no consistent record: {error}") from error


def _check_consistent(record: EvaluationRecord) -> None:
    n = len(record.critical)
    for name in ("ids", "labels", "predictions"):
        if len(getattr(record, name)) != n:
            raise InvalidArgument(name, f"{len(getattr(record, name))} values", f"{n} as critical")
    if len(set(record.ids)) != n:
        raise InvalidArgument("ids", "a name that occurs twice", "one name per sample")
    if any("\r" in name for name in record.ids):
        # Python's csv before 3.13 would write it unquoted, and read it as the end of a row.
        raise InvalidArgument("ids", "a name with a carriage return", "names without it")
    contradicting = (record.critical == 0) != (record.predictions != record.labels)
    if contradicting.any():
        got = f"{record.critical[contradicting][0]} for {record.ids[contradicting.argmax()]}"
        raise InvalidArgument("critical", got, "0 exactly where the prediction is not the label")


def _integers(name: str, values: Sequence[int] | Integers) -> Integers:
    array = np.asarray(values)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise InvalidArgument(name, f"{array.dtype} of shape {array.shape}", "(N,) integers")
    return array.astype(np.int64)


def _samples_csv(record: EvaluationRecord) -> str:
    strengths = [*map(repr, record.grid.tolist()), ""]
    rows = zip(
        record.ids,
        record.labels.tolist(),
        record.predictions.tolist(),
        record.critical.tolist(),
        (strengths[j] for j in record.critical),
        strict=True,
    )
    return _csv(COLUMNS, rows)


def _curve_csv(record: EvaluationRecord) -> str:
    points = curve_points(record)
    return _csv(tuple(points[0]), (map(repr, point.values()) for point in points))


def _csv(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def _header(record: EvaluationRecord, samples: str) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "norm": record.norm,
        "grid": record.grid.tolist(),
        "n": len(record),
        "samples_sha256": _checksum(samples),
        "metadata": dict(record.metadata),
    }


def _json(content: Mapping[str, Any]) -> str:
    try:
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise InvalidArgument("metadata", error, "plain JSON values only") from error


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _read(path: Path) -> str:
    try:
        # Not read_text: it would translate line ends, and the checksum is of the bytes.
        return path.read_bytes().decode()
    except FileNotFoundError:
        raise RunError(f"{path} is missing: no finished evaluation lies there.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"cannot read {path}: {error}.") from error


def _read_header(path: Path) -> dict[str, Any]:
    try:
        header = json.loads(_read(path))
    except json.JSONDecodeError as error:
        raise RunError(f"{path} is damaged (line {error.lineno}): {error.msg}.") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise RunError(f"{path} is not the record of an evaluation (format '{FORMAT}').")
    if header.get("version") != VERSION:
        raise RunError(
            f"{path} has version {header.get('version')} of the format, this Rampart reads "
            f"version {VERSION}: use the Rampart that wrote it, or evaluate again."
        )
    missing = {"norm", "grid", "n", "samples_sha256", "metadata"} - header.keys()
    if missing:
        raise RunError(f"{path} lacks {', '.join(sorted(missing))}: evaluate again.")
    return header


def _from_text(header: Mapping[str, Any], samples: str) -> EvaluationRecord:
    rows = list(csv.DictReader(io.StringIO(samples, newline="")))
    if len(rows) != header["n"]:
        raise InvalidArgument("samples", f"{len(rows)} rows", f"{header['n']} as in record.json")
    record = EvaluationRecord(
        norm=header["norm"],
        grid=np.asarray(header["grid"], dtype=np.float64),
        ids=tuple(row["id"] for row in rows),
        labels=np.array([int(row["label"]) for row in rows]),
        predictions=np.array([int(row["prediction"]) for row in rows]),
        critical=np.array([int(row["critical_index"]) for row in rows]),
        metadata=header["metadata"],
    )
    _check_strengths(record, [row["critical_eps"] for row in rows])
    return record


def _check_strengths(record: EvaluationRecord, written: Sequence[str]) -> None:
    """The strength stands beside its index for readers without Rampart: both must agree."""
    strengths = [*record.grid.tolist(), None]
    for name, index, text in zip(record.ids, record.critical, written, strict=True):
        if (float(text) if text else None) != strengths[index]:
            raise InvalidArgument("critical_eps", text, f"{strengths[index]} for sample {name}")
