"""Layers import downwards only; the lower ones load without torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "rampart"

#: Row by row from the bottom. Packages in one inner tuple may know each other.
ROWS = [
    [("errors", "units", "registry", "version", "plugins", "files", "tolerance")],
    [("schedules",), ("metrics",), ("records", "runs", "metrics")],
    [("threat", "losses", "runtime", "restoring"), ("reports",)],
    [("models",), ("data",)],
    [("attacks",)],
    [("objectives",), ("strategies",)],
    [("training",), ("evaluation",)],
    [("recipes",), ("integrations",)],
    [("experiments",)],
    [("cli", "__main__")],
]
#: Files that belong to no layer: the package's front door, and data files.
OUTSIDE = {"__init__", "assets"}


def row_of(part: str) -> int:
    for number, row in enumerate(ROWS):
        if any(part in group for group in row):
            return number
    raise AssertionError(f"{part} stands in no row: add it to ROWS")


def may_import(importer: str, imported: str) -> bool:
    if importer == imported or imported in OUTSIDE:
        return True
    if row_of(imported) != row_of(importer):
        return row_of(imported) < row_of(importer)
    return any({importer, imported} <= set(group) for group in ROWS[row_of(importer)])


def imports(tree: ast.AST) -> list[str]:
    """All modules of Rampart that a file imports, also inside functions."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return [name for name in names if name.split(".")[0] == "rampart"]


def part_of(file: Path) -> str:
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


FILES = sorted(f for f in SOURCE.rglob("*.py") if part_of(f) not in OUTSIDE)


def test_there_is_something_to_check():
    assert len(FILES) > 40
    assert sum(len(imports(ast.parse(f.read_text()))) for f in FILES) > 100


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(SOURCE)))
def test_imports_point_downwards(file):
    for name in imports(ast.parse(file.read_text())):
        parts = name.split(".")
        assert len(parts) > 1, f"{file} imports the package's root; import the defining module"
        assert may_import(part_of(file), parts[1]), f"{file}: {part_of(file)} may not know {name}"


def test_the_rule_can_fail():
    assert not may_import("attacks", "training")
    assert not may_import("training", "evaluation")
    assert not may_import("schedules", "threat")
    assert may_import("recipes", "training")
    tree = ast.parse("def f():\n    from rampart.cli.main import app")
    assert imports(tree) == ["rampart.cli.main"]


#: Rows 0 and 1, and what draws: previews, comparisons and `--help` start at once.
LIGHT = [
    f
    for f in FILES
    if (row_of(part_of(f)) <= 1 or part_of(f) == "reports") and f.name != "__init__.py"
]


def test_light_layers_load_without_torch():
    modules = ["rampart." + ".".join(f.relative_to(SOURCE).with_suffix("").parts) for f in LIGHT]
    assert len(modules) > 10
    script = (
        f"import {', '.join(modules)}, rampart.cli.main, sys; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_reports_know_rows_0_and_1_only():
    for file in FILES:
        if part_of(file) == "reports":
            for name in imports(ast.parse(file.read_text())):
                part = name.split(".")[1]
                assert part == "reports" or row_of(part) <= 1, f"{file} imports {name}"
