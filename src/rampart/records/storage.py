"""A record on disk. Its folder holds

    samples.parquet  one row per sample; record.json describes the columns
    curve.csv        eps, accuracy, low, high
    summary.json     the usual figures, as fractions (see `rampart.records.summary.summary`)
    record.json      format, version, norm, grid, columns, metadata, checksums of the other files
                     and its own; written last

Any Parquet, CSV and JSON reader can read these files, without Rampart or torch.
"""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rampart.checksums import read_checked, require_checksum, with_checksum
from rampart.errors import InvalidArgument, RunError
from rampart.files import checksum, write_atomic
from rampart.metrics.curve import Floats
from rampart.records.columnar import (
    BOOLEAN,
    FLOAT,
    INTEGER,
    TEXT,
    Column,
    Images,
    read_columns,
    write_columns,
)
from rampart.records.record import EvaluationRecord
from rampart.records.summary import curve_points, summary
from rampart.runs.contents import evaluations_in, spell
from rampart.runs.evaluation_folder import EvaluationFolder
from rampart.runs.run_folder import RunFolder

FORMAT = "rampart-evaluation"
VERSION = 3
#: Key of the header: the file of which it states the SHA-256.
CHECKSUMS = {
    "samples_sha256": "samples.parquet",
    "curve_sha256": "curve.csv",
    "summary_sha256": "summary.json",
}
_DO = "restore it, or evaluate again"
KEYS = {"norm", "grid", "n", "columns", "adversarial_shape", "samples_sha256", "metadata"}

#: Column in the file: attribute of the record, type, meaning.
COLUMNS: dict[str, tuple[str, str, str]] = {
    "id": ("ids", TEXT, "name of the sample, unique"),
    "label": ("labels", INTEGER, "true class, from 0"),
    "prediction": (
        "predictions",
        INTEGER,
        "predicted class without perturbation, from 0; -1: logits that are not all finite",
    ),
    "critical_index": (
        "critical",
        INTEGER,
        "grid index of the smallest strength at which the sample is misclassified; 0: without "
        "perturbation; length of the grid: robust at every strength",
    ),
    "critical_eps": (
        "",
        FLOAT,
        "that strength, as a fraction of the pixel range; null: robust at every strength",
    ),
    "distance": (
        "distance",
        FLOAT,
        "distance, in the norm, of the nearest adversarial example; null if there is none, or if "
        "it lies on the edge of the ball of the critical strength, which it would only repeat",
    ),
    "found_by": (
        "found_by",
        TEXT,
        "stage of the attack that found it, with /RUN appended after its first run, counted from "
        "0; 'clean': misclassified without perturbation; null: robust at every strength",
    ),
    "forwards": ("forwards", INTEGER, "forward passes spent on the sample"),
    "backwards": ("backwards", INTEGER, "backward passes spent on the sample"),
    "pruned": (
        "pruned",
        INTEGER,
        "runs of the attack that were stopped early and not repeated in full",
    ),
    "rechecked": ("rechecked", BOOLEAN, "whether pruned runs were repeated in full"),
    "attacked_prediction": (
        "attacked_predictions",
        INTEGER,
        "predicted class at the adversarial example, or the corrupted image, that set the critical "
        "strength; -1: logits that are not all finite; without one, the prediction",
    ),
    "wrong_at": (
        "wrong_at",
        INTEGER,
        "of a corruption: severities at which the sample is misclassified, the sum of 2^severity",
    ),
}
REQUIRED = ("id", "label", "prediction", "critical_index", "critical_eps")
ADVERSARIAL_EXAMPLE = (
    "the nearest adversarial example: float32, little-endian, pixels in [0, 1], channel by channel "
    "and row by row, of the shape adversarial_shape; null if there is none"
)


def save_record(record: EvaluationRecord, folder: str | Path) -> None:
    """Write a record into a folder, each file atomically, record.json last.

    Raises:
        RunError: the folder cannot be written.
        InvalidArgument: metadata that JSON cannot represent.
    """
    place = EvaluationFolder(Path(folder))
    columns, images = _columns(record), _images(record)
    header = _header(record, columns, images)
    texts = {place.curve: _curve_csv(record), place.summary: _json(summary(record))}
    # Metadata that JSON cannot represent must fail before anything is written.
    _json(header)
    write_columns(place.samples, columns, images)
    for path, text in texts.items():
        write_atomic(path, text)
    header |= {key: checksum(place.path / name) for key, name in CHECKSUMS.items()}
    write_atomic(place.record, _json(with_checksum(header)))


def checksums_in(folder: str | Path) -> dict[str, str]:
    """Return the SHA-256 of the files of a record, by name, as its record.json states them.

    Raises:
        RunError: record.json is missing, damaged or changed.
    """
    header = _read_header(EvaluationFolder(Path(folder)).record)
    return {name: header[key] for key, name in CHECKSUMS.items() if header.get(key)}


def load_metadata(folder: str | Path) -> dict[str, Any]:
    """Return the metadata of a record, without reading its samples.

    Raises:
        RunError: record.json is missing, damaged or changed.
    """
    metadata: dict[str, Any] = _read_header(EvaluationFolder(Path(folder)).record)["metadata"]
    return metadata


def load_record(folder: str | Path, *, adversarial_examples: bool = False) -> EvaluationRecord:
    """Read a record.

    Args:
        folder: the folder that `save_record` wrote.
        adversarial_examples: read the adversarial examples too; they may be large.

    Raises:
        RunError: a file is missing, damaged, changed, inconsistent, or of another format or
            version; or the adversarial examples were not saved.
    """
    try:
        values, derived = _read(EvaluationFolder(Path(folder)), adversarial_examples)
        record = EvaluationRecord(**values)
        _check_derived(record, derived)
    except (InvalidArgument, ValueError, TypeError, OverflowError) as error:
        raise RunError(f"the record in {folder} is inconsistent: {error}") from error
    if adversarial_examples and record.adversarial_examples is None and record.found.any():
        raise RunError(
            f"{folder} holds no adversarial examples: evaluate with "
            "evaluation.adversarial_examples=true to save them."
        )
    return record


@dataclass(frozen=True, eq=False)
class _Derived:
    """Redundant columns, which must agree with the values of the record.

    Attributes:
        strengths: (N,) critical strengths; nan for samples that are robust at every strength.
        with_example: (N,) whether a row has an adversarial example; None if these were not read.
    """

    strengths: Floats
    with_example: NDArray[np.bool_] | None


def _read(folder: EvaluationFolder, adversarial_examples: bool) -> tuple[dict[str, Any], _Derived]:
    """The values of a record by name, and the columns to compare with them."""
    header, samples = _read_header(folder.record), folder.samples
    require_checksum(samples, header["samples_sha256"], folder.record.name, _DO)
    shape = _adversarial_shape(folder.record, header)
    types = {name: COLUMNS[name][1] for name in header["columns"] if name != "adversarial_example"}
    images = {"adversarial_example": shape} if adversarial_examples and shape else {}
    found = read_columns(samples, types, images, rows=header["n"])
    strengths, examples = found.pop("critical_eps"), found.pop("adversarial_example", None)
    if None in found["id"]:
        raise RunError(f"{samples} is damaged: a sample has no id.")
    values = {
        **{COLUMNS[name][0]: column for name, column in found.items()},
        "norm": header["norm"],
        "grid": np.array(header["grid"], dtype=np.float64),
        "metadata": header["metadata"],
        "adversarial_examples": examples.values if examples else None,
    }
    return values, _Derived(strengths, examples.present if examples else None)


def _check_derived(record: EvaluationRecord, derived: _Derived) -> None:
    """Refuse a critical strength, or a set of adversarial examples, that contradicts the index."""
    expected, written = np.append(record.grid, np.nan)[record.critical], derived.strengths
    differ = ~((expected == written) | (np.isnan(expected) & np.isnan(written)))
    if differ.any():
        row = int(differ.argmax())
        where = f"{expected[row]} for sample {record.ids[row]}"
        raise InvalidArgument("critical_eps", written[row], where)
    if derived.with_example is not None and not np.array_equal(derived.with_example, record.found):
        expected_rows = "one for each sample with 1 <= critical <= n"
        raise InvalidArgument("adversarial_example", "other rows", expected_rows)


def _columns(record: EvaluationRecord) -> dict[str, Column]:
    strengths = np.append(record.grid, np.nan)[record.critical]
    found = {
        name: strengths if name == "critical_eps" else getattr(record, attribute)
        for name, (attribute, _, _) in COLUMNS.items()
    }
    return {name: values for name, values in found.items() if values is not None}


def _images(record: EvaluationRecord) -> dict[str, Images]:
    return (
        {}
        if record.adversarial_examples is None
        else {"adversarial_example": Images(record.found, record.adversarial_examples)}
    )


def _curve_csv(record: EvaluationRecord) -> str:
    points, text = curve_points(record), io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(points[0])
    writer.writerows(map(repr, point.values()) for point in points)
    return text.getvalue()


def _header(
    record: EvaluationRecord, columns: Mapping[str, Column], images: Mapping[str, Images]
) -> dict[str, Any]:
    described = {name: {"type": COLUMNS[name][1], "meaning": COLUMNS[name][2]} for name in columns}
    for name in images:
        described[name] = {"type": "fixed_size_binary", "meaning": ADVERSARIAL_EXAMPLE}
    return {
        "format": FORMAT,
        "version": VERSION,
        "norm": record.norm,
        "grid": record.grid.tolist(),
        "n": len(record),
        "columns": described,
        "adversarial_shape": list(images["adversarial_example"].shape) if images else None,
        **dict.fromkeys(CHECKSUMS, ""),
        "metadata": dict(record.metadata),
    }


def _json(content: Mapping[str, Any]) -> str:
    try:
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise InvalidArgument("metadata", error, "plain JSON values only") from error


def _no_record(folder: Path) -> RunError:
    """Return the error for a path without a record; it names those below it."""
    if folder.is_file():
        own = EvaluationFolder(folder.parent).is_finished()
        do = f"give its folder, {folder.parent}" if own else "give the folder of an evaluation"
        return RunError(f"{folder} is a file: {do}.")
    inside = evaluations_in(folder)
    what = f"{folder} holds no finished evaluation"
    if inside:
        return RunError(f"{what} itself: give one below it, {spell(inside)}.")
    if RunFolder(folder).exists():
        return RunError(f"{what}: run `rampart evaluate {quote(str(folder))}` first.")
    return RunError(f"{what}: give a folder that `rampart evaluate` wrote.")


def _read_header(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise _no_record(path.parent)
    header = read_checked(path, _DO)
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise RunError(f"{path} is not the record of an evaluation (format '{FORMAT}').")
    if header.get("version") != VERSION:
        raise RunError(
            f"{path} has version {header.get('version')} of the format, but this Rampart reads "
            f"version {VERSION}: use the Rampart that wrote it, or evaluate again."
        )
    if missing := KEYS - header.keys():
        raise RunError(f"{path} lacks {', '.join(sorted(missing))}: evaluate again.")
    kinds = {"metadata": dict, "columns": dict, "grid": list, "n": int}
    for key, kind in kinds.items():
        if not isinstance(header[key], kind):
            raise RunError(f"{path} is damaged: {key} is {header[key]!r}.")
    if missing := set(REQUIRED) - header["columns"].keys():
        raise RunError(f"{path} lacks the columns {', '.join(sorted(missing))}: evaluate again.")
    if unknown := header["columns"].keys() - COLUMNS.keys() - {"adversarial_example"}:
        raise RunError(f"{path} has unknown columns: {', '.join(sorted(unknown))}.")
    return header


def _adversarial_shape(path: Path, header: Mapping[str, Any]) -> tuple[int, int, int] | None:
    """C, H, W; None if no adversarial examples were saved."""
    shape = header["adversarial_shape"]
    if shape is None and "adversarial_example" not in header["columns"]:
        return None
    sizes = shape if isinstance(shape, list) else []
    if len(sizes) != 3 or not all(type(size) is int and size > 0 for size in sizes):
        raise RunError(f"{path} is damaged: adversarial_shape is {shape!r}.")
    return sizes[0], sizes[1], sizes[2]
