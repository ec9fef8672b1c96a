"""The criticality of layers as a table and as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rampart.checksums import LISTING, list_checksums
from rampart.files import write_atomic
from rampart.reports.csv_rows import csv_text
from rampart.reports.pictures import save_picture, set_headline, styled
from rampart.reports.style import LOOK, wrap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TABLE, PICTURE = "criticality.csv", "criticality.png"
_CHOSEN, _OTHER = "#D55E00", "#0072B2"
#: Most characters of a layer's name in a line, and most layers that have a name.
_LINE, _NAMED = 30, 60

Rows = Sequence[Mapping[str, Any]]


def write_criticality(rows: Rows, chosen: str, folder: Path) -> None:
    """Write the table, from the least critical layer on, its checksum, and the picture.

    Args:
        rows: the layers in the order of the network, each with `module`, `weights`, `increase` of
            the cross-entropy and `accuracy_drop`, a fraction.
        chosen: name of the layer that is fine-tuned.
        folder: for both files.

    Raises:
        RunError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ordered = sorted(rows, key=lambda row: float(row["increase"]))
    table = [{"rank": rank, **row} for rank, row in enumerate(ordered, start=1)]
    write_atomic(folder / TABLE, csv_text(table))
    write_atomic(folder / LISTING, list_checksums(folder, [TABLE]))
    with styled(LOOK):
        save_picture(draw_criticality(rows, chosen), folder / PICTURE)


def draw_criticality(rows: Rows, chosen: str) -> "Figure":
    """Draw a bar for each layer, the first of the network on top; arguments as above."""
    from matplotlib.figure import Figure

    names = [wrap(str(row["module"]), _LINE) for row in rows]
    figure = Figure(figsize=(6.4, 1.3 + 0.22 * min(len(rows), _NAMED)), layout="constrained")
    axes = figure.subplots()
    colors = [_CHOSEN if row["module"] == chosen else _OTHER for row in rows]
    axes.barh(range(len(rows)), [row["increase"] for row in rows], color=colors)
    every = -(-len(rows) // _NAMED)
    axes.set_yticks(range(0, len(rows), every), names[::every])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("increase of the robust loss by the worst change of the layer's weights")
    set_headline(figure, f"Least critical: {chosen}")
    return figure
