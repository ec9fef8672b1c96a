"""Write the reports of runs and evaluations where their files are written."""

import warnings
from collections.abc import Callable
from pathlib import Path

from rampart.errors import RampartError, RampartWarning
from rampart.runs.evaluation_folder import EvaluationFolder
from rampart.runs.run_folder import RunFolder


def write_pages(folder: EvaluationFolder, run: RunFolder | None) -> None:
    """Write the report of an evaluation, and that of its run if the run's folder holds it."""
    # Templates are slow to import.
    from rampart.reports.page.write import write_evaluation_page, write_run_page

    _attempt(write_evaluation_page, folder.path)
    if run is not None and folder.path.parent == run.evaluations:
        _attempt(write_run_page, run.path)


def write_page_of(run: RunFolder) -> None:
    """Write the report of a run."""
    from rampart.reports.page.write import write_run_page

    _attempt(write_run_page, run.path)


def _attempt(write: Callable[[Path], Path], path: Path) -> None:
    """Write a page; what it shows counts without it, so a failure is a warning."""
    try:
        write(path)
    except RampartError as error:
        warnings.warn(f"no report was written: {error}", RampartWarning, stacklevel=3)
