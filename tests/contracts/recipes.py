"""The recipes side by side; as a command, this file rewrites their table in the guide."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml
from tests.contracts.tables import rewrite

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
GUIDE = ROOT / "docs" / "reproduce" / "recipes.md"
START, END = "<!-- recipes -->\n", "<!-- end of recipes -->"
NAMES = ("published", "benchmark", "ours")
#: Recipes of other methods.
METHODS = sorted((CONFIGS / "methods").glob("*.yaml"))
#: Files in which every value states where it comes from.
MARKED = sorted(
    [
        *(file for name in ("published", "benchmark") for file in (CONFIGS / name).glob("*.yaml")),
        *METHODS,
    ]
)
MARK = re.compile(r"(read|inferred): \S.*")
#: Keys by which studies compare methods; they are a matter of taste.
UNMARKED = ("references:", "differences:")


class Line(NamedTuple):
    """One value of a recipe.

    Attributes:
        key: of the configuration, such as "data.augment.flip".
        value: as it is written in the file.
        comment: after it.
    """

    key: str
    value: str
    comment: str


def lines_of(text: str) -> Iterator[Line]:
    """Yield the values of a recipe, which has one key on each line."""
    sections: list[tuple[int, str]] = []
    for line in text.splitlines():
        content, _, comment = line.partition("  #") if not line.startswith("#") else ("", "", "")
        key, _, value = content.strip().partition(":")
        if not key:
            continue
        indent = len(content) - len(content.lstrip())
        sections = [one for one in sections if one[0] < indent] + [(indent, key)]
        if value.strip():
            yield Line(".".join(name for _, name in sections), value.strip(), comment.strip())


def recipe(name: str) -> Path:
    """Return the file of a recipe."""
    return CONFIGS / name / "recipe.yaml"


def unmarked(text: str) -> list[str]:
    """Return the lines with a value that do not say where it comes from."""
    return [
        line
        for line in text.splitlines()
        if line.strip()
        and not line.lstrip().startswith("#")
        and not line.rstrip().endswith(":")
        and not line.startswith(UNMARKED)
        and not MARK.fullmatch(line.rpartition("  # ")[2])
    ]


def table() -> str:
    """Return the table of all keys of the recipes."""
    found = {
        name: {one.key: one for one in lines_of(recipe(name).read_text(encoding="utf-8"))}
        for name in NAMES
    }
    keys = dict.fromkeys(key for lines in found.values() for key in lines)
    order = sorted(keys, key=lambda key: list(_sections()).index(key.partition(".")[0]))
    rows = ["| key | publication | benchmark | ours |", "|---|---|---|---|"]
    for key in order:
        cells = [_cell(found[name].get(key)) for name in NAMES]
        rows.append(f"| `{key}` | {' | '.join(cells)} |")
    return "\n".join(["", *rows, ""])


def _sections() -> dict[str, object]:
    return dict(yaml.safe_load(recipe("ours").read_text(encoding="utf-8")))


def _cell(line: Line | None) -> str:
    """Return a value, in italics if it was inferred, with a reason of ours."""
    if line is None:
        return "–"
    value = f"`{line.value}`"
    if line.comment.startswith("inferred"):
        return f"*{value} (inferred)*"
    return value


if __name__ == "__main__":
    rewrite(GUIDE, table(), START, END)
