"""The partial results of an evaluation: finished samples on disk, from which it resumes.

The folder holds

    identity.json              what the results depend on; compared when an evaluation resumes
    parts/                     Parquet files of finished samples, from all processes
    adversarial_examples.npy   all adversarial examples, while the record is being written

A part is written atomically and never changed. A kill at any moment loses only samples in progress,
and the evaluation may resume with another batch size or number of processes.
"""

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from rampart.counting import counted
from rampart.errors import InvalidArgument, RunError
from rampart.evaluation.results import COLUMNS, Results
from rampart.files import intended_name, move, read_text, remove, write_atomic
from rampart.metrics.curve import Integers
from rampart.records.columnar import (
    BOOLEAN,
    FLOAT,
    INTEGER,
    Images,
    read_columns,
    read_notes,
    write_columns,
)
from rampart.registry import flatten

FORMAT = "rampart-partial-results-3"
#: Name of a part: phase, number, process, and a random suffix that makes it unique.
PART = re.compile(r"(\d{4})-(\d{8})-(\d+)-[0-9a-f]{12}\.parquet")
ADVERSARIAL_EXAMPLES = "adversarial_examples.npy"
TYPES = {
    name: {np.int64: INTEGER, np.float64: FLOAT, np.bool_: BOOLEAN}[kind]
    for name, kind in COLUMNS.items()
}


class PartialResults:
    """Finished samples on disk, for any number of processes.

    Args:
        folder: the folder, on a disk that all processes share.
        identity: plain JSON values that the results depend on, such as threat, attack suite, grid,
            seed, fingerprints of model and data. Batch size and number of processes are no part of
            it; they may change when the evaluation resumes.
        rank: rank of this process.

    Raises:
        RunError: the folder holds the partial results of another evaluation, or is damaged.
    """

    def __init__(self, folder: str | Path, identity: Mapping[str, Any], rank: int = 0) -> None:
        self.folder, self.rank = Path(folder), rank
        self._parts = self.folder / "parts"
        self._identify(json.loads(json.dumps(identity)))
        self._count = max((number for _, number, _ in self._list_parts()), default=-1) + 1

    def append(self, results: Results, phase: int = 0) -> None:
        """Write finished samples as one part; return when they are on disk.

        Args:
            results: any number of samples.
            phase: phase of the evaluation; a row of a later phase replaces the earlier one.

        Raises:
            RunError: the file cannot be written, or the folder was removed.
        """
        if not len(results):
            return
        if not (self.folder / "identity.json").is_file():
            raise RunError(
                f"{self.folder} was removed or moved during the evaluation: run the same command "
                "again."
            )
        name = f"{phase:04d}-{self._count:08d}-{self.rank}-{uuid.uuid4().hex[:12]}.parquet"
        write_results(self._parts / name, results)
        self._count += 1

    def read(self, phase: int | None = None, adversarial_examples: bool = True) -> Results:
        """Return the finished samples of all processes, each once, in the order of the samples.

        It ignores other files and damaged parts.

        Args:
            phase: read this phase only; None returns the latest row of every sample.
            adversarial_examples: whether to read them, which takes most of the memory.
        """
        return Results.concatenate(self._read_parts(phase, adversarial_examples)).latest()

    def adversarial_examples(self, results: Results) -> NDArray[np.float32] | None:
        """Return the adversarial examples of these results, (M, C, H, W) in the order of the rows.

        They are mapped from a file that is filled part by part, so that memory use stays small.
        `remove` deletes the file.

        Args:
            results: results from the parts, each sample once, in the order of the samples.

        Raises:
            RunError: an image is missing in the parts, or the file cannot be written.
        """
        found = results.select(results.found)
        images, missing = None, np.ones(len(found), bool)
        for _, _, file in self._list_parts() if len(found) else ():
            with suppress(RunError):
                part = read_results(file)
                rows, at = _same_rows(part.select(part.found), found)
                if part.adversarial_examples is not None and len(rows):
                    images = self._scratch(images, len(found), part.adversarial_examples.shape[1:])
                    images[at], missing[at] = part.adversarial_examples[rows], False
        if missing.any():
            sample = found.indices[missing][0]
            raise RunError(
                f"{self._parts} lacks the adversarial examples of "
                f"{counted(missing.sum(), 'sample')}, such as number {sample}: run the evaluation "
                "again, which attacks them once more."
            )
        return images

    def remove(self) -> None:
        """Delete the partial results, but no other files in the folder."""
        for file in self._parts.glob("*"):
            # This includes temporary files that a kill left behind.
            if PART.fullmatch(intended_name(file)):
                remove(file)
        remove(self.folder / ADVERSARIAL_EXAMPLES)
        # The identity is last: after an interrupted removal the folder can still be opened.
        for file in sorted(self.folder.glob("*"), reverse=True):
            if intended_name(file) == "identity.json":
                remove(file)
        for folder in (self._parts, self.folder):
            with suppress(OSError):
                folder.rmdir()

    def keep(self, folder: Path) -> None:
        """Move them to a folder, from which a later evaluation of more images goes on."""
        remove(self.folder / ADVERSARIAL_EXAMPLES)
        remove(folder)
        move(self.folder, folder)

    def _scratch(
        self, images: NDArray[np.float32] | None, count: int, shape: tuple[int, ...]
    ) -> NDArray[np.float32]:
        """Return the mapped file for `count` images; `images` if it is already open."""
        if images is not None:
            return images
        try:
            return open_memmap(
                self.folder / ADVERSARIAL_EXAMPLES, "w+", np.float32, (count, *shape)
            )
        except OSError as error:
            raise RunError(
                f"{self.folder / ADVERSARIAL_EXAMPLES} cannot be written: {error}"
            ) from error

    def _identify(self, identity: dict[str, Any]) -> None:
        """Write the identity file, or check that it is that of this evaluation."""
        file = self.folder / "identity.json"
        if not file.exists():
            if any(self._list_parts()):
                raise RunError(
                    f"{self.folder} holds partial results without an identity.json: remove it."
                )
            write_atomic(file, json.dumps({"format": FORMAT, **identity}, indent=1) + "\n")
        try:
            found = json.loads(read_text(file))
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"{file} is damaged ({error}): restart with --overwrite.") from None
        if not isinstance(found, dict):
            raise RunError(f"{file} is not from an evaluation: restart with --overwrite.")
        _require_same(file, flatten(found), flatten({"format": FORMAT, **identity}))

    def _list_parts(self) -> list[tuple[int, int, Path]]:
        """Return (phase, number, file) of every part; later ones replace earlier ones."""
        parts = []
        for file in self._parts.glob("*.parquet"):
            if match := PART.fullmatch(file.name):
                parts.append((int(match[1]), int(match[2]), file))
        return sorted(parts)

    def _read_parts(self, phase: int | None, adversarial_examples: bool) -> Iterator[Results]:
        for of_phase, _, file in self._list_parts():
            if phase is None or of_phase == phase:
                with suppress(RunError):
                    yield read_results(file, adversarial_examples)


class Buffer:
    """Collects finished samples and writes them to partial results from time to time.

    It writes at most every 2 seconds or every hundredth of the elapsed time, whichever is longer,
    so that a long evaluation has some hundred parts; earlier if the adversarial examples exceed
    `BYTES`. Leaving the `with` block writes the rest, also after an error.

    Args:
        partial_results: where to write.
        clock: returns monotonic seconds.
    """

    SECONDS, FRACTION, BYTES = 2.0, 0.01, 2**28

    def __init__(
        self, partial_results: PartialResults, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._partial_results, self._clock = partial_results, clock
        self._start = self._flushed = clock()
        self._waiting: list[Results] = []
        self._bytes, self._phase = 0, 0

    def add(self, results: Results, phase: int = 0) -> None:
        """Add finished samples of a phase, and write if it is time."""
        if phase != self._phase:
            self.flush()
        self._phase = phase
        self._waiting.append(results)
        self._bytes += (
            0 if results.adversarial_examples is None else results.adversarial_examples.nbytes
        )
        now = self._clock()
        pause = max(self.SECONDS, self.FRACTION * (now - self._start))
        if now - self._flushed >= pause or self._bytes >= self.BYTES:
            self.flush()

    def flush(self) -> None:
        """Write all waiting samples."""
        if self._waiting:
            self._partial_results.append(Results.concatenate(self._waiting), self._phase)
        self._waiting, self._bytes, self._flushed = [], 0, self._clock()

    def __enter__(self) -> "Buffer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.flush()


def write_results(path: Path, results: Results) -> None:
    """Write results as one Parquet file, with their adversarial examples.

    Raises:
        RunError: the file cannot be written.
    """
    columns = {name: getattr(results, name) for name in COLUMNS}
    notes, images = {"format": FORMAT}, {}
    if results.adversarial_examples is not None:
        images["adversarial_example"] = Images(results.found, results.adversarial_examples)
        notes["adversarial_shape"] = json.dumps(images["adversarial_example"].shape)
    write_columns(path, columns, images, notes)


def read_results(path: Path, adversarial_examples: bool = True) -> Results:
    """Read results from a file, with or without their adversarial examples.

    Raises:
        RunError: the file is missing, damaged, or of another format.
    """
    notes = read_notes(path)
    if notes.get("format") != FORMAT:
        raise RunError(f"{path} is not in the format {FORMAT}.")
    try:
        shape = json.loads(notes.get("adversarial_shape", "null")) if adversarial_examples else None
        found = read_columns(path, TYPES, {"adversarial_example": tuple(shape)} if shape else {})
        adversarial_example = found.pop("adversarial_example", None)
        results = Results(
            **found,
            adversarial_examples=None
            if adversarial_example is None
            else adversarial_example.values,
        )
        if adversarial_example is not None and not np.array_equal(
            adversarial_example.present, results.found
        ):
            raise InvalidArgument(
                "adversarial_example", "other rows", "one in each row with a stage"
            )
        return results
    except (ValueError, TypeError) as error:
        raise RunError(f"{path} holds inconsistent results: {error}") from error


def _same_rows(part: Results, whole: Results) -> tuple[Integers, Integers]:
    """Return the rows of a part that are also in the whole, and their positions there."""
    at = np.minimum(np.searchsorted(whole.indices, part.indices), len(whole) - 1)
    same = np.ones(len(part), bool)
    # Another phase may have found another adversarial example of the same sample.
    for name in ("indices", "critical", "distance", "stage", "run"):
        same &= getattr(part, name) == getattr(whole, name)[at]
    return np.flatnonzero(same), at[same]


def _require_same(file: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    for key in [*new, *old]:
        if old.get(key) != new.get(key) or (key in old) != (key in new):
            was, now = (json.dumps(side[key]) if key in side else "absent" for side in (old, new))
            raise RunError(
                f"{file.parent} holds an evaluation with another {key} ({was} there, {now} now): "
                "resume with the same settings, or restart with --overwrite."
            )
