"""Records with their names in a report, read from the folders of evaluations and of runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rampart.errors import RunError
from rampart.records.record import EvaluationRecord
from rampart.records.storage import load_record
from rampart.records.summary import summary
from rampart.reports.comparison import read_run, with_afterwards
from rampart.reports.method_names import RunResult, name_methods
from rampart.runs.evaluation_folder import EvaluationFolder
from rampart.runs.history import History
from rampart.runs.passes import Passes
from rampart.runs.run_folder import RunFolder
from rampart.runs.shortfall import Shortfall, shortfall_of


class Measured(NamedTuple):
    """A record with its name in a report.

    Attributes:
        name: of its run or its model.
        record: of the evaluation.
        others: the folders of the run's other evaluations.
        unfinished: status and progress of a run that is not finished; "" otherwise.
        passes: those of the training of a run; None for another model.
    """

    name: str
    record: EvaluationRecord
    others: tuple[str, ...] = ()
    unfinished: str = ""
    passes: Passes | None = None


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
    names = [one.name for one in found]
    return [
        one if names.count(one.name) == 1 else one._replace(name=str(path))
        for path, one in zip(paths, found, strict=True)
    ]


def _read(path: Path) -> Measured:
    """The record of a folder, under its own name."""
    evaluation = EvaluationFolder(path)
    if evaluation.is_finished():
        return _of_evaluation(path)
    if RunFolder(path).exists():
        run = read_run(path)
        others = tuple(str(RunFolder(path).evaluations / name) for name in run.others)
        spent = _passes(RunFolder(path))
        return Measured(_name(run.record), run.record, others, run.lacks.unfinished, spent)
    if evaluation.has_begun():
        raise RunError(
            f"the evaluation {path} is not finished: run the same `rampart evaluate` command again "
            "to resume it."
        )
    return _of_evaluation(path)


def _of_evaluation(path: Path) -> Measured:
    """The record in the folder of an evaluation, which may lie inside its run's folder."""
    record, run = load_record(path), RunFolder(path.resolve().parent.parent)
    trained = "run" in record.metadata and run.exists()
    record = with_afterwards(record, run.facts()) if trained else record
    unfinished = shortfall_of(run).unfinished if trained else ""
    passes = _passes(run) if trained else None
    return Measured(_name(record), record, unfinished=unfinished, passes=passes)


def _passes(run: RunFolder) -> Passes | None:
    """The passes of a run; None without a whole history, which `unfinished` tells."""
    try:
        rows = History(run.history).readable_rows()
        return Passes.of(rows, run.facts()) if rows else None
    except (RunError, KeyError):
        return None


def _name(record: EvaluationRecord) -> str:
    model = record.metadata.get("model")
    called = model.get("name") if isinstance(model, Mapping) else model
    return Path(str(record.metadata.get("run_folder", called))).name


def group_by_method(measured: Sequence[Measured]) -> dict[str, list[Measured]]:
    """Return the records of runs by their method; those of other models are left out."""
    runs = [one for one in measured if "run" in one.record.metadata]
    results = [
        RunResult(
            one.name,
            one.record.metadata["run"],
            summary(one.record),
            lacks=Shortfall(one.unfinished),
        )
        for one in runs
    ]
    methods: dict[str, list[Measured]] = {}
    for method, one in zip(name_methods(results), runs, strict=True):
        methods.setdefault(method, []).append(one)
    return methods
