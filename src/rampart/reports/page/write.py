"""Render pages, and write them into their folders."""

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from rampart.errors import RunError
from rampart.reports.named_records import find_records
from rampart.reports.page.build import evaluation_page, run_page
from rampart.reports.page.charts import still
from rampart.reports.page.comparing import command_for, comparison_page
from rampart.reports.page.content import Page
from rampart.runs.evaluation_folder import EvaluationFolder
from rampart.runs.history import History
from rampart.runs.report_page import SEAL, is_page, write_page
from rampart.runs.run_folder import RunFolder
from rampart.version import __version__

#: Largest size of a page in bytes.
LIMIT = 3_000_000
_OWN, _VEGA = "assets/page", "assets/vega"
_LIBRARIES = ("vega.min.js", "vega-lite.min.js")
_SCRIPTS = ("expectation.js", "page.js")


def write_evaluation_page(
    folder: Path, target: Path | None = None, distributions: Sequence[str] = ()
) -> Path:
    """Write the page of an evaluation, by default into its folder; return its path.

    Raises:
        RunError: the folder holds no finished evaluation, or the page cannot be written.
    """
    return _write(evaluation_page(folder, distributions), target or EvaluationFolder(folder).page)


def write_run_page(
    path: Path, target: Path | None = None, distributions: Sequence[str] = ()
) -> Path:
    """Write the page of a run, by default into its folder; return its path; errors as above."""
    return _write(run_page(path, distributions), target or RunFolder(path).page)


def write_report(
    paths: Sequence[Path], target: Path | None = None, distributions: Sequence[str] = ()
) -> Path:
    """Write the page of an evaluation or a run into its folder, or a comparison of several.

    Args:
        paths: folders of evaluations or runs.
        target: the file; of a comparison report.html in the working folder by default.
        distributions: of the strength, besides the usual ones.

    Raises:
        RunError: a folder holds neither, or the page cannot be written.
    """
    if len(paths) > 1:
        command = command_for(paths, distributions)
        runs = [RunFolder(path) for path in paths if RunFolder(path).exists()]
        histories = [(run.path.name, History(run.history).readable_rows()) for run in runs]
        page = comparison_page(find_records(paths), distributions, histories, command=command)
        return write_built_page(page, target or Path("report.html"))
    (path,) = paths
    if EvaluationFolder(path).is_finished() or not RunFolder(path).exists():
        return write_evaluation_page(path, target, distributions)
    return write_run_page(path, target, distributions)


def write_built_page(page: Page, target: Path) -> Path:
    """Write a page that is built, such as a comparison; return its path; errors as above."""
    return _write(page, target)


def _write(page: Page, target: Path) -> Path:
    if target.exists() and not is_page(target):
        raise RunError(f"{target} exists and is not a report of Rampart: choose another --output.")
    write_page(target, render(page))
    return target


def render(page: Page) -> str:
    """Return the HTML of a page; names and messages in it are escaped.

    Raises:
        RunError: the page is larger than `LIMIT`.
    """
    scripts = [_script(f"{_VEGA}/{name}") for name in _LIBRARIES]
    scripts += [_script(f"{_OWN}/{name}") for name in _SCRIPTS]
    text = (
        _environment()
        .get_template("page.html.j2")
        .render(
            page=page,
            seal=Markup(SEAL),
            made_from=json.dumps(dict(page.made_from)),
            style=Markup(_asset(f"{_OWN}/page.css")),
            scripts=[Markup(text) for text, _ in scripts],
            hashes=" ".join(f"'sha256-{one}'" for _, one in scripts),
            data=_embedded(page.script_data()),
            version=__version__,
        )
    )
    size = len(text.encode())
    if size > LIMIT:
        raise RunError(f"the page has {size:,} bytes, more than {LIMIT:,}: report fewer records.")
    return text


@cache
def _environment() -> Environment:
    loader = FunctionLoader(lambda name: _asset(f"{_OWN}/{name}"))
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["still"] = still
    return environment


def _embedded(values: dict[str, Any]) -> Markup:
    """Return values as JSON that no HTML parser ends early."""
    text = json.dumps(values, separators=(",", ":"), allow_nan=False)
    for mark in "<>&":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return Markup(text)


@cache
def _script(path: str) -> tuple[str, str]:
    """Return a script and the hash by which the page's policy allows it."""
    text = _asset(path)
    return text, base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _asset(path: str) -> str:
    return files("rampart").joinpath(path).read_text(encoding="utf-8")
