"""Figures as files: equal figures give equal bytes, and files are written atomically."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rampart.errors import InvalidArgument
from rampart.files import replacing
from rampart.reports.style import wrap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENDINGS = (".png", ".svg", ".pdf")
#: Letters of a title in an inch, and inches of each further line.
_LETTERS, _LINE = 11, 0.22
#: Text remains searchable text; fixed ids make equal pictures equal files.
_STYLE = {"svg.fonttype": "none", "svg.hashsalt": "rampart"}


def styled(style: Mapping[str, object]) -> AbstractContextManager[None]:
    """Return a context in which matplotlib draws with these rc parameters."""
    import matplotlib as mpl

    # The type stubs list every key literally.
    parameters: Any = {**_STYLE, **style}
    return mpl.rc_context(parameters)


def check_picture(path: Path, name: str = "path") -> None:
    """Raise `InvalidArgument` for an unsupported file ending."""
    if path.suffix.lower() not in ENDINGS:
        raise InvalidArgument(name, path, f"a file ending in {', '.join(ENDINGS)}")


def set_headline(figure: "Figure", title: str) -> None:
    """Write a title above a figure, on as many lines as it needs, with room for them.

    A long one has what stands in brackets on lines of its own.
    """
    width = int(_LETTERS * figure.get_figwidth())
    parts = title.replace(" (", "\n(", 1).split("\n") if len(title) > width else [title]
    text = "\n".join(wrap(part, width) for part in parts)
    figure.set_figheight(figure.get_figheight() + _LINE * text.count("\n"))
    figure.suptitle(text, x=0.01, ha="left")


def save_picture(figure: "Figure", path: str | Path, dpi: int = 160) -> None:
    """Write a figure.

    Raises:
        InvalidArgument: another file ending than .png, .svg or .pdf.
        RunError: the file cannot be written.
    """
    path = Path(path)
    check_picture(path)
    kind = path.suffix.lower().removeprefix(".")
    # A creation date would make equal pictures different files.
    date = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with replacing(path) as scratch:
        figure.savefig(scratch, format=kind, dpi=dpi, metadata=date.get(kind))
