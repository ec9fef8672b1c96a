"""The layers of the source; as a command, this file rewrites their table in CONTRIBUTING.md."""

import ast
from pathlib import Path
from typing import NamedTuple

from tests.contracts.tables import rewrite

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "rampart"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
START, END = "<!-- layers -->\n", "<!-- end of layers -->"


class Group(NamedTuple):
    """Packages that may import each other, and what they hold."""

    names: tuple[str, ...]
    text: str


#: Row by row from the bottom. Groups of one row do not import each other.
ROWS = [
    [
        Group(
            (
                *("errors", "plain", "value_types", "units", "strengths", "counting", "skill"),
                *("choices", "tolerance", "registry", "alive", "files", "checksums", "extras"),
                *("plugins", "hub_access", "version", "terminal", "progress", "stop_signals"),
            ),
            "errors, values from YAML, strengths, counts, skill, tolerances, registries, processes "
            "that run, atomic writes, checksums, packages of extras, plugins, the hub, text for a "
            "terminal, progress of long work, signals",
        )
    ],
    [
        Group(("schema",), "the keys of a configuration, and whether they change results"),
        Group(("schedules",), "eps over a run; a schedule is a value"),
        Group(("metrics",), "figures from critical strengths, their intervals and tests"),
        Group(("runs",), "the folders of runs and evaluations, and the history"),
        Group(("published",), "figures that others published, with their sources"),
    ],
    [
        Group(("records",), "the record of an evaluation: value, storage, summary, pairs, profile"),
        Group(("corruptions",), "common corruptions of images, as functions of arrays"),
    ],
    [
        Group(
            (
                *("threat", "losses", "logits", "guarded", "batch_sizes", "input_gradients"),
                *("devices", "images_and_labels", "rows", "runtime", "restoring", "compiling"),
                "deferred",
            ),
            "the ball and its projection; losses; reading and guarding a model; gradients of the "
            "pixels; checks of a batch; sums per sample; keyed noise; restoring and compiling a "
            "model; torch, imported at its first use",
        ),
        Group(("reports",), "tables, sentences and pictures from the files of runs; no torch"),
    ],
    [
        Group(("models",), "timm backbones and other classifiers behind pixels in [0, 1]"),
        Group(("data",), "splits and batches"),
    ],
    [
        Group(
            ("attacks",),
            "attacks on callables from pixels to logits; the base class enforces ball and [0, 1]",
        )
    ],
    [
        Group(("objectives",), "per-sample losses from a model, a batch and its perturbed images"),
        Group(("strategies",), "which parameters are trained, and when"),
    ],
    [
        Group(("training",), "the loop and its checkpoints"),
        Group(
            ("evaluation",),
            "critical strengths: the engine, its partial results, recheck and rerun; checks of "
            "the results",
        ),
    ],
    [
        Group(("recipes",), "the configuration; the only place that combines all parts"),
        Group(("integrations",), "the parts in other training loops"),
    ],
    [
        Group(("experiments",), "many runs"),
        Group(("api",), "the Python entry points `finetune` and `evaluate`"),
    ],
    [Group(("cli", "__main__"), "one command per file; slow imports stand inside the commands")],
]
#: Parts without torch: previews, comparisons and `--help` start at once.
LIGHT = [name for row in ROWS[:3] for group in row for name in group.names] + ["reports"]
#: Files that belong to no layer: the package root, and data files.
OUTSIDE = {"__init__", "assets"}


def row_of(part: str) -> int:
    """Return the row of a package, or of a module beside the packages."""
    for number, row in enumerate(ROWS):
        if any(part in group.names for group in row):
            return number
    raise AssertionError(f"{part} stands in no row: add it to ROWS")


def may_import(importer: str, imported: str) -> bool:
    """Return whether one part may know another."""
    if importer == imported or imported in OUTSIDE:
        return True
    if row_of(imported) != row_of(importer):
        return row_of(imported) < row_of(importer)
    return any({importer, imported} <= set(group.names) for group in ROWS[row_of(importer)])


def part_of(file: Path) -> str:
    """Return the package that a file lies in, or its own name beside the packages."""
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


def name_of(file: Path) -> str:
    """Return the dotted name of a file, `rampart.metrics` for a package's root."""
    parts = ["rampart", *file.relative_to(SOURCE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST, modules: set[str]) -> set[str]:
    """Return the modules that code imports, also inside functions and for types only.

    Args:
        tree: the code.
        modules: dotted names of all modules; `from package import module` means the module.
    """
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in modules else node.module for name in names}
    return {name for name in found if name.split(".")[0] == "rampart"}


def table() -> str:
    """Return the rows as a table in Markdown, the top row first."""
    lines = ["| row | packages | contents |", "|---|---|---|"]
    for number, row in reversed(list(enumerate(ROWS))):
        for group in row:
            names = ", ".join(f"`{name}`" for name in group.names if name != "__main__")
            lines.append(f"| {number} | {names} | {group.text} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    rewrite(CONTRIBUTING, table(), START, END)
