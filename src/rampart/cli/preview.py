"""`rampart preview`: draw a schedule, in the terminal and as an image file, without training."""

import shutil
import sys
from pathlib import Path
from textwrap import fill
from typing import Annotated, Any, Literal

import typer

from rampart.errors import InvalidArgument, visible
from rampart.plain import read_value
from rampart.reports import schedules as drawing
from rampart.reports.pictures import check_picture
from rampart.schedules.base import Schedule
from rampart.schedules.catalogue import SCHEDULES
from rampart.schedules.preview import ASSUMED, PreviewRow
from rampart.schedules.preview import preview as preview_rows
from rampart.strengths import require_own_eps
from rampart.units import Horizon, parse_eps, parse_norm

ALL = "all"


def preview(
    name: Annotated[
        str, typer.Argument(help=f"The schedule: {ALL}, or one of {', '.join(SCHEDULES.names())}.")
    ] = ALL,
    options: Annotated[
        list[str] | None,
        typer.Argument(help="Options of the schedule, such as start=12 end=37 unit=epoch."),
    ] = None,
    eps: Annotated[
        str | None,
        typer.Option(help="Target strength eps_g; 4/255 by default in linf.", show_default=False),
    ] = None,
    norm: Annotated[str, typer.Option(help="Norm of the strength: linf, l2 or l1.")] = "linf",
    epochs: Annotated[int, typer.Option(help="Number of epochs.")] = 50,
    steps_per_epoch: Annotated[int, typer.Option(help="Optimizer steps per epoch.")] = 100,
    interval: Annotated[
        Literal["step", "epoch"], typer.Option(help="How often eps changes.")
    ] = "step",
    accuracy: Annotated[
        str | None,
        typer.Option(
            help="One accuracy per epoch, for schedules that depend on it: 0.2,0.5,0.8 for 3."
        ),
    ] = None,
    table: Annotated[bool, typer.Option("--table", help="Also print eps at each epoch.")] = False,
    output: Annotated[
        Path | None, typer.Option(help="Also write the plot to this .png, .svg or .pdf file.")
    ] = None,
) -> None:
    """Draw a schedule, or all of them, without training."""
    if output is not None:
        check_picture(output, "output")
    own_eps = require_own_eps(eps, parse_norm(norm), "4/255")
    eps_g = parse_eps(own_eps, parse_norm(norm))
    horizon = Horizon(epochs, steps_per_epoch)
    given = None if accuracy is None else _parse_accuracy(accuracy)
    schedules = _schedules(name, options or [])
    curves: dict[str, list[PreviewRow]] = {}
    for schedule in schedules:
        rows = preview_rows(
            schedule, eps_g, horizon, interval, accuracy=given, norm=parse_norm(norm)
        )
        curves[drawing.title(schedule)] = rows
        _print_schedule(schedule, rows, eps_g, horizon, table, given is None)
    if output is not None:
        assumed = given is None and any(map(_depends_on_accuracy, schedules))
        which = "" if len(schedules) == 1 else "schedules that depend on accuracy: "
        note = f"{which}{ASSUMED}" if assumed else ""
        drawing.picture(curves, output, eps_g, horizon, note)
        typer.echo(f"plot: {visible(str(output))}")


def _depends_on_accuracy(schedule: Schedule) -> bool:
    """Return whether the schedule depends on accuracy that is measured during the run."""
    return schedule.needs_validation or schedule.needs_accuracy


def _schedules(name: str, options: list[str]) -> list[Schedule]:
    if name != ALL:
        return [SCHEDULES.build(name, dict(_parse_option(option) for option in options))]
    if options:
        do = "name one schedule to set its options"
        raise InvalidArgument("options", " ".join(options), f"no options with '{ALL}'", do)
    return [SCHEDULES.build(each) for each in SCHEDULES.names()]


def _parse_option(option: str) -> tuple[str, Any]:
    name, equals, text = option.partition("=")
    if not (name and equals):
        raise InvalidArgument("option", option, "name=value, such as start=0.25")
    return name, read_value(name, text)


def _parse_accuracy(text: str) -> list[float]:
    values = [read_value("accuracy", part.strip()) for part in text.split(",")]
    if not all(isinstance(value, int | float) and 0 <= value <= 1 for value in values):
        expected = "fractions in [0, 1] separated by commas, such as 0.2,0.5"
        raise InvalidArgument("accuracy", text, expected)
    return [float(value) for value in values]


def _print_schedule(
    schedule: Schedule,
    rows: list[PreviewRow],
    eps_g: float,
    horizon: Horizon,
    table: bool,
    assumed: bool,
) -> None:
    """Print title, chart and warnings of one schedule."""
    width = min(100, shutil.get_terminal_size().columns)
    _echo(_filled(drawing.title(schedule), width, indent="  "))
    _echo(drawing.chart(rows, eps_g, horizon.epochs, width))
    if _depends_on_accuracy(schedule) and assumed:
        _echo(_filled(ASSUMED, width))
    for warning in schedule.warnings(horizon):
        _echo(_filled(f"warning: {warning}", width))
    if table:
        _echo(drawing.table(rows, eps_g))
    _echo("")


def _filled(text: str, width: int, indent: str = "") -> str:
    """Return a text in lines that a terminal of this width does not cut or break."""
    return fill(text, width, subsequent_indent=indent, break_on_hyphens=False)


def _echo(text: str) -> None:
    """Print; in ASCII if the terminal's encoding has no block characters."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        text = drawing.ascii_only(text)
    typer.echo(visible(text, keep="\n"))
