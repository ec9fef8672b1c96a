"""A comparison of runs: from their folders to a table, pictures and findings."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from shlex import quote
from typing import Any

from rampart.errors import RunError
from rampart.files import read_text, remove, write_atomic
from rampart.records.record import EvaluationRecord
from rampart.records.storage import load_record
from rampart.records.summary import summary
from rampart.reports.csv_rows import csv_text
from rampart.reports.evaluations import own_evaluation
from rampart.reports.findings import findings
from rampart.reports.plots import save_comparison, save_histories
from rampart.reports.tables import aggregate, comparison_rows, markdown
from rampart.runs.afterwards import REFINEMENT, name_afterwards
from rampart.runs.contents import evaluations_in, runs_in, spell
from rampart.runs.evaluation_folder import EvaluationFolder
from rampart.runs.history import History
from rampart.runs.run_folder import RunFolder
from rampart.runs.shortfall import Shortfall, shortfall_of

#: All of it as one page, which `rampart.reports.page` writes.
PAGE = "report.html"
#: The files of a comparison, in the order in which they are written.
FILES = (
    *("comparison.json", "comparison.csv", "comparison.md", "curves.png", "histories.png"),
    PAGE,
)


@dataclass(frozen=True)
class EvaluatedRun:
    """The parts of a run that a comparison reads.

    Attributes:
        name: of its folder.
        config: as in config.yaml, and what was done after training.
        history: rows of history.jsonl; none of a refined run.
        record: of the evaluation that is compared.
        others: names of its further evaluations.
        lacks: its end, or a part of its history.
    """

    name: str
    config: dict[str, Any]
    history: list[dict[str, Any]]
    record: EvaluationRecord
    others: tuple[str, ...] = ()
    lacks: Shortfall = field(default_factory=Shortfall)


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """Return the folders of the runs in `paths`: folders of runs, or folders that hold several.

    Runs without an evaluation are skipped in a folder of several. The order is stable.

    Raises:
        RunError: a path holds no run.
    """
    found: list[Path] = []
    for path in paths:
        inside = sorted(p.parent for p in path.glob("*/config.yaml"))
        evaluated = [run for run in inside if RunFolder(run).finished_evaluations()]
        runs = [path] if RunFolder(path).exists() else evaluated
        if not runs:
            raise _no_runs(path, inside)
        found += [run for run in runs if run not in found]
    return found


def _no_runs(path: Path, unevaluated: Sequence[Path]) -> RunError:
    """Return the error for a folder that a comparison cannot use; it says which command can."""
    if unevaluated:
        do = f"run `rampart evaluate {quote(str(unevaluated[0]))}` first"
        return RunError(f"{path} holds no evaluated run: {do}.")
    if runs := runs_in(path):
        table = f"the table of the study is {path / 'study.md'}; " if _is_study(path) else ""
        # Of a study the runs of one task: they lie in METHOD/seed-S.
        task = quote(str(runs[0].parent.parent))
        do = f"to compare the runs of one task write `rampart compare {task}/*`"
        return RunError(f"{path} holds runs only further down: {table}{do}.")
    evaluations = [path] if EvaluationFolder(path).is_finished() else evaluations_in(path)
    if evaluations:
        named = " ".join(quote(str(one)) for one in evaluations[:3])
        do = f"`rampart report {named}` reads and compares evaluations"
        return RunError(f"{path} holds evaluations, but no run: {do}.")
    return RunError(f"{path} holds no run: give folders that `rampart train` wrote.")


def _is_study(path: Path) -> bool:
    return (path / "study.md").is_file()


def read_run(path: Path, evaluation: str = "") -> EvaluatedRun:
    """Read a run and one of its evaluations, by default that of its own configuration.

    Args:
        path: folder of the run.
        evaluation: name of the evaluation; empty for that of the run's own configuration.

    Raises:
        RunError: no such evaluation.
    """
    folder = RunFolder(path)
    names = [found.path.name for found in folder.finished_evaluations()]
    if not names and folder.status() != "complete":
        raise RunError(
            f"the run {path} is {folder.status()}: {folder.how_to_resume()} to finish it."
        )
    if not names:
        raise RunError(
            f"{path} is not evaluated yet: run `rampart evaluate {quote(str(path))}` first."
        )
    if evaluation and evaluation not in names:
        raise RunError(f"{path} has no evaluation '{evaluation}': it has {spell(names)}.")
    if not folder.status_file.is_file():
        raise RunError(
            f"{path} lacks run.json, which names the data of the run: restore the file, or train "
            "again."
        )
    own = folder.evaluations / evaluation if evaluation else own_evaluation(path)
    if own is None:
        raise RunError(
            f"{path} has no evaluation with the settings of its own configuration: run `rampart "
            f"evaluate {quote(str(path))}`. To use another evaluation, give `rampart compare` the "
            f"option --evaluation {spell(names)}, or give `rampart report` its folder, such "
            f"as {folder.evaluations / names[0]}."
        )
    facts = folder.facts()
    # The epochs of a refinement come after the training, and are not beside those of others.
    history = [] if REFINEMENT in facts else History(folder.history).rows()
    others = tuple(name for name in names if name != own.name)
    lacks = shortfall_of(folder)
    record = with_afterwards(load_record(own), facts)
    config = {**folder.settings(), **name_afterwards(facts)}
    return EvaluatedRun(path.name, config, history, record, others, lacks)


def with_afterwards(record: EvaluationRecord, facts: Mapping[str, Any]) -> EvaluationRecord:
    """Return a record that says what was done to its run after training.

    Records of earlier versions do not say so, and would be seeds of the trained runs.

    Args:
        record: of an evaluation of a run.
        facts: run.json of the run.
    """
    run, after = record.metadata.get("run"), name_afterwards(facts)
    if not after or not isinstance(run, Mapping):
        return record
    return replace(record, metadata={**record.metadata, "run": {**run, **after}})


def require_own_comparison(folder: Path, runs: Sequence[str] | None = None) -> None:
    """Refuse a folder with files of others under the names that a comparison writes.

    Args:
        folder: of the comparison.
        runs: names of runs; a comparison of others is refused too. By default any is replaced.

    Raises:
        RunError: the folder holds such files.
    """
    first, *others = (folder / name for name in FILES)
    if not first.exists() and (taken := [file for file in others if file.exists()]):
        raise RunError(
            f"output folder {folder} holds {spell(taken, word='and')}, which no comparison wrote: "
            "move the file, or choose another folder with --output."
        )
    if runs is not None and first.exists() and (more := _compared(first) - set(runs)):
        raise RunError(
            f"output folder {folder} holds the comparison of other runs "
            f"({spell(sorted(more), word='and')}): choose another folder with --output."
        )


def _compared(file: Path) -> set[str]:
    """Return the names of the runs in comparison.json."""
    try:
        return {str(row["run"]) for row in json.loads(read_text(file))}
    except (ValueError, TypeError, KeyError):
        return {file.name}


def write_comparison(results: Sequence[EvaluatedRun], folder: Path) -> list[dict[str, Any]]:
    """Write the files of a comparison; return the rows. comparison.json is written first.

    Raises:
        RunError: runs under different norms, whose strengths do not fit into one picture.
    """
    norms = {run.record.norm: run.name for run in results}
    if len(norms) > 1:
        named = ", ".join(f"{name} under {norm}" for norm, name in norms.items())
        raise RunError(
            f"the runs were evaluated under different norms ({named}): compare those of one norm."
        )
    rows = comparison_rows(
        [(r.name, r.config, summary(r.record), r.history, r.lacks) for r in results]
    )
    folder.mkdir(parents=True, exist_ok=True)
    facts, table, text, curves, histories, _ = (folder / name for name in FILES)
    write_atomic(facts, json.dumps(rows, indent=1) + "\n")
    write_atomic(table, csv_text(rows))
    methods = aggregate(rows)
    tables = [markdown(rows)] + ([markdown(methods)] if len(methods) < len(rows) else [])
    write_atomic(text, "\n".join([*tables, findings(rows) + "\n"]))
    save_comparison(rows, curves)
    known = [(row["method"], run.history) for row, run in zip(rows, results, strict=True)]
    if any(rows for _, rows in known):
        save_histories(known, histories)
    else:
        # It would be that of an earlier comparison.
        remove(histories)
    return rows


def written(folder: Path) -> list[str]:
    """Return the names of the files of a comparison: without histories there is no picture."""
    return [name for name in FILES if (folder / name).is_file()]
