"""Records with their names in a report, read from the folders of evaluations and of runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rampart.errors import RunError
from rampart.records.record import EvaluationRecord
from rampart.records.storage import load_record
from rampart.reports.comparison import read_run
from rampart.runs.evaluation_folder import EvaluationFolder
from rampart.runs.run_folder import RunFolder


class Measured(NamedTuple):
    """A record with its name in the report, and the folders of the run's other evaluations."""

    name: str
    record: EvaluationRecord
    others: tuple[str, ...] = ()


def find_records(paths: Sequence[Path]) -> list[Measured]:
    """Read records from folders of evaluations, or of runs with their own evaluation.

    A record is named after its run or its model, or after its folder if two have the same name.

    Raises:
        RunError: a path holds neither, or occurs twice.
    """
    resolved = [path.resolve() for path in paths]
    twice = next((p for n, p in enumerate(paths) if resolved[n] in resolved[:n]), None)
    if twice is not None:
        raise RunError(f"{twice} occurs twice: give each record once.")
    found = [_read(path) for path in paths]
    names = [_name(record) for record, _ in found]
    return [
        Measured(name if names.count(name) == 1 else str(path), record, others)
        for name, path, (record, others) in zip(names, paths, found, strict=True)
    ]


def _read(path: Path) -> tuple[EvaluationRecord, tuple[str, ...]]:
    """The record of a folder; of a run, also the folders of its other evaluations."""
    evaluation = EvaluationFolder(path)
    if evaluation.is_finished():
        return load_record(path), ()
    if RunFolder(path).exists():
        run = read_run(path)
        return run.record, tuple(str(RunFolder(path).evaluations / name) for name in run.others)
    if evaluation.has_begun():
        raise RunError(
            f"the evaluation {path} is not finished: run the same `rampart evaluate` command again "
            "to resume it."
        )
    return load_record(path), ()


def _name(record: EvaluationRecord) -> str:
    model = record.metadata.get("model")
    called = model.get("name") if isinstance(model, Mapping) else model
    return Path(str(record.metadata.get("run_folder", called))).name
