"""Write the pages for people where the files of runs and evaluations are written."""

import warnings
from collections.abc import Callable

from rampart.errors import RampartError, RampartWarning
from rampart.runs.evaluation_folder import EvaluationFolder
from rampart.runs.run_folder import RunFolder


def write_pages(folder: EvaluationFolder, run: RunFolder | None) -> None:
    """Write the report of an evaluation, and the pages of its run if the run's folder holds it."""
    # Templates are slow to import.
    from rampart.reports.page.write import write_evaluation_page

    _attempt("report", lambda: write_evaluation_page(folder.path))
    if run is not None and folder.path.parent == run.evaluations:
        write_pages_of(run)


def write_pages_of(run: RunFolder) -> None:
    """Write the report of a run and the card of its model."""
    from rampart.reports.page.write import write_run_page

    _attempt("report", lambda: write_run_page(run.path))
    write_card_of(run)


def write_card_of(run: RunFolder) -> None:
    """Write the card of a run's model."""
    from rampart.recipes.publishing.card import write_card

    _attempt("model card", lambda: write_card(run))


def _attempt(what: str, write: Callable[[], object]) -> None:
    """Write a page; what it shows counts without it, so a failure is a warning."""
    try:
        write()
    except RampartError as error:
        warnings.warn(f"no {what} was written: {error}", RampartWarning, stacklevel=3)
