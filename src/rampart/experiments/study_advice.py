"""Errors of a run, as a study says them: the study chooses folders and resumes by itself."""

import re
from pathlib import Path

#: Options of `rampart train` and `rampart evaluate`, which a run of a study does not have.
_OPTIONS = re.compile(r"--(?:resume|output|overwrite)\b")
#: What joins the parts of an advice, as in "restore it, or train again with --overwrite".
_JOINTS = re.compile(r", or |, then |, and |, |; ")


def in_study(message: str, folder: Path) -> str:
    """Return an error of a run with advice that holds inside a study.

    Args:
        message: a fact, a colon and an advice; it stays as it is if the advice names no option.
        folder: of the run.

    Example:
        >>> in_study("it is damaged: restore it, or train again with --overwrite.", Path("runs/a"))
        'it is damaged: restore it, or delete runs/a.'
    """
    if not _OPTIONS.search(message):
        return message
    fact, colon, advice = message.rstrip(".").rpartition(": ")
    if not colon or _OPTIONS.search(fact):
        fact, advice = _before_options(message)
    # A command in backticks is one part, whatever it holds.
    parts = _JOINTS.split(re.sub(r"`[^`]*`", _as_one, advice))
    kept = [part for part in parts if not _OPTIONS.search(part)]
    return f"{fact}: {', '.join([*kept, f'or delete {folder}' if kept else f'delete {folder}'])}."


def _as_one(command: re.Match[str]) -> str:
    return re.sub(r"[,;]", "", command.group())


def _before_options(message: str) -> tuple[str, str]:
    """Return what a message says before the clause of its first option, and the rest."""
    found = _OPTIONS.search(message)
    assert found is not None, "it names an option"
    before = message[: found.start()]
    end = max((m.start() for m in re.finditer(r"[:;.,(] ", before)), default=0)
    return before[:end].rstrip(), message[found.start() :]
