"""Tables as Markdown and LaTeX for readers, and as CSV for programs."""

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from rampart.errors import UnknownName

Format = Literal["md", "csv", "latex"]


@dataclass(frozen=True)
class Sheet:
    """A table as text.

    Attributes:
        name: name of its files.
        title: the heading.
        labels: number of leading columns that hold names and not numbers.
        groups: heads above the columns: (text, number of columns); "" for none.
        heads: of the columns.
        lines: the cells.
        exact: heads and lines with all digits, for CSV.
    """

    name: str
    title: str
    labels: int
    groups: tuple[tuple[str, int], ...]
    heads: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    exact: tuple[tuple[object, ...], ...]


def markdown(sheet: Sheet) -> str:
    """Return a table in Markdown below its heading."""
    groups = [name for name, width in sheet.groups for _ in range(width)]
    pairs = zip(groups, sheet.heads, strict=True)
    heads = [f"{group}: {head}" if group else head for group, head in pairs]
    rule = [":--"] * sheet.labels + ["--:"] * (len(heads) - sheet.labels)
    lines = "".join(
        f"| {' | '.join(map(_plain, line))} |\n" for line in (heads, rule, *sheet.lines)
    )
    return f"## {sheet.title}\n\n{lines}"


def _plain(cell: str) -> str:
    return " ".join(cell.replace("|", "\\|").split())


def csv_text(sheet: Sheet) -> str:
    """Return a table as CSV with fractions."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(sheet.exact)
    return text.getvalue()


_ESCAPES = {
    **{one: f"\\{one}" for one in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "±": r"$\pm$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def latex(sheet: Sheet) -> str:
    """Return a table in LaTeX; the document loads booktabs."""
    columns = "l" * sheet.labels + "r" * (len(sheet.heads) - sheet.labels)
    above, rules, place = [], [], 1
    for name, width in sheet.groups:
        above.append(f"\\multicolumn{{{width}}}{{c}}{{{_escape(name)}}}")
        if name:
            rules.append(f"\\cmidrule(lr){{{place}-{place + width - 1}}}")
        place += width
    heads = [f"{' & '.join(above)} \\\\", "".join(rules)] if rules else []
    body = [f"{' & '.join(map(_escape, line))} \\\\" for line in sheet.lines]
    return "\n".join(
        [
            f"% {sheet.title}; needs \\usepackage{{booktabs}}",
            f"\\begin{{tabular}}{{{columns}}}",
            "\\toprule",
            *heads,
            f"{' & '.join(map(_escape, sheet.heads))} \\\\",
            "\\midrule",
            *body,
            "\\bottomrule",
            "\\end{tabular}",
            "",
        ]
    )


def _escape(text: str) -> str:
    return "".join(_ESCAPES.get(one, one) for one in text)


#: File ending and writer by format.
FORMATS: Mapping[Format, tuple[str, Callable[[Sheet], str]]] = {
    "md": (".md", markdown),
    "csv": (".csv", csv_text),
    "latex": (".tex", latex),
}


def format_named(name: str) -> Format:
    """Return the format of this name; raise `UnknownName` if there is none."""
    for form in FORMATS:
        if form == name:
            return form
    raise UnknownName("format", name, FORMATS)
