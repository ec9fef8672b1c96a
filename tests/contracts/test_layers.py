"""Layers import downwards only, no files in a circle, none too long; lower rows need no torch."""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from layers import (
    CONTRIBUTING,
    END,
    LIGHT,
    OUTSIDE,
    SOURCE,
    START,
    imports,
    may_import,
    name_of,
    part_of,
    table,
)
from tests.contracts.tables import with_table

#: A file of more lines has two ideas.
LONGEST = 350

FILES = sorted(f for f in SOURCE.rglob("*.py") if part_of(f) not in OUTSIDE)
MODULES = {name_of(file): file for file in FILES}
ROOTS = {name_of(file) for file in SOURCE.rglob("__init__.py")}
GRAPH = {
    name: imports(ast.parse(file.read_text(encoding="utf-8")), set(MODULES))
    for name, file in MODULES.items()
}


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Modules of which each imports the next and the last the first; empty where there are none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def relative(file: Path) -> str:
    return str(file.relative_to(SOURCE))


def test_there_is_something_to_check():
    assert len(FILES) > 40
    assert sum(map(len, GRAPH.values())) > 100
    assert "rampart.metrics.curve" in GRAPH["rampart.records.record"]


@pytest.mark.parametrize("name", GRAPH)
def test_imports_point_downwards(name):
    part = name.split(".")[1]
    for imported in GRAPH[name]:
        assert imported not in ROOTS, f"{name} imports the root {imported}: import the module"
        assert imported in MODULES, f"{name} imports {imported}, which is not there"
        assert may_import(part, imported.split(".")[1]), f"{part} may not know {imported}"


def test_no_circle_among_files():
    assert circle(GRAPH) == []


@pytest.mark.parametrize("file", FILES, ids=relative)
def test_a_file_holds_one_idea(file):
    lines = len(file.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST, f"{file} has {lines} lines: split it by what it knows"


@pytest.mark.parametrize("root", sorted(SOURCE.glob("*/**/__init__.py")), ids=relative)
def test_the_root_of_a_package_says_what_lives_there_and_exports_nothing(root):
    body = ast.parse(root.read_text(encoding="utf-8")).body
    assert all(isinstance(node, ast.Expr) for node in body)


def test_the_rules_can_fail():
    assert not may_import("attacks", "training")
    assert not may_import("training", "evaluation")
    assert not may_import("schedules", "threat")
    assert not may_import("reports", "threat")
    assert may_import("recipes", "training")
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})
    lazy = ast.parse("def f():\n    from rampart.cli.main import app\n    import rampart.units")
    assert imports(lazy, set(MODULES)) == {"rampart.cli.main", "rampart.units"}
    module = ast.parse("from rampart.reports import plots")
    assert imports(module, set(MODULES)) == {"rampart.reports.plots"}
    assert imports(ast.parse("from rampart.reports import x"), set(MODULES)) == {"rampart.reports"}


def test_the_table_of_the_document_is_that_of_the_rules():
    text = CONTRIBUTING.read_text(encoding="utf-8")
    assert table() in text, "run `python tests/contracts/layers.py`"
    assert with_table(text, table(), START, END) == text
    stale = text.replace("`metrics`", "`numbers`")
    assert with_table(stale, table(), START, END).count(table()) == 1


def test_light_layers_load_without_torch():
    modules = [name for name in MODULES if name.split(".")[1] in LIGHT]
    assert len(modules) > 40
    script = (
        f"import {', '.join(modules)}, rampart.cli.main, sys; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_reports_know_light_layers_only():
    for name, imported in GRAPH.items():
        if name.split(".")[1] == "reports":
            assert {other.split(".")[1] for other in imported} <= set(LIGHT), name


def test_no_two_test_files_have_the_same_name():
    """pytest imports a test file by its name alone, so the second one would not be collected."""
    names = Counter(file.name for file in (SOURCE.parents[1] / "tests").rglob("test_*.py"))
    assert names["test_layers.py"] == 1
    assert [name for name, count in names.items() if count > 1] == []
