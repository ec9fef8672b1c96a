"""The reference of keys, commands and names is complete, and equal to what the code says."""

import importlib
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import Field
from tests.contracts import commands, keys
from tests.contracts.tables import with_table

from rampart.schema.sections import AffectsNothing, Section

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


def without_meaning(section: type[Section], prefix: str = "") -> list[str]:
    """Return the keys of a section that lack a description."""
    return [key.name for key in keys.keys(section, prefix) if not key.meaning]


def public_names() -> list[str]:
    """Return the names of the reference of Python."""
    text = (REFERENCE / "api.md").read_text(encoding="utf-8")
    return re.findall(r"^::: ([\w.]+)$", text, re.MULTILINE)


def public_functions() -> list[Callable[..., Any]]:
    """Return the functions of the reference of Python."""
    named = [name.rpartition(".") for name in public_names()]
    found = [getattr(importlib.import_module(module), name) for module, _, name in named]
    return [one for one in found if inspect.isfunction(one)]


def test_every_key_has_a_description_a_type_and_an_effect():
    rows = list(keys.keys())
    assert len(rows) > 80
    assert without_meaning(keys.RunFields) == []
    assert [row.name for row in rows if not (row.type and row.default and row.effect)] == []


def test_a_key_without_a_description_is_found():
    class Inner(Section):
        told: AffectsNothing[int] = Field(0, description="how many")
        bare: AffectsNothing[int] = 0

    assert without_meaning(Inner, "inner.") == ["inner.bare"]


def test_every_option_of_a_component_has_a_description():
    found = [
        (f"{section} {name}", option)
        for section, kind in keys.COMPONENTS.items()
        for name in keys.names_of(kind)
        for option in keys.options(kind, name)
    ]
    assert len(found) > 60
    assert [(place, one.name) for place, one in found if not one.meaning] == []


def test_the_reference_of_the_configuration_is_that_of_the_code():
    text = keys.GUIDE.read_text(encoding="utf-8")
    advice = "run `python -m tests.contracts.keys`"
    assert text == with_table(text, keys.reference(), keys.START, keys.END), advice


def test_the_reference_of_the_commands_is_that_of_the_code():
    text = commands.GUIDE.read_text(encoding="utf-8")
    # The help lists what is registered, so a process in which no test has registered anything.
    program = "from tests.contracts import commands; print(commands.reference(), end='')"
    made = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=True,
    )
    advice = "run `python -m tests.contracts.commands`"
    assert text == with_table(text, made.stdout, commands.START, commands.END), advice


def test_the_reference_of_python_has_every_public_name():
    stub = (ROOT / "src" / "rampart" / "__init__.pyi").read_text(encoding="utf-8")
    public = {
        f"rampart.{module}.{name}"
        for module, name in re.findall(r"^from \.([\w.]+) import (\w+) as", stub, re.MULTILINE)
    }
    shown = public_names()
    assert len(public) > 50
    assert sorted(shown) == sorted(public - {"rampart.version.__version__"})


def test_every_path_of_a_function_may_be_text():
    functions = public_functions()
    assert len(functions) > 10
    arguments = [
        (f"{function.__name__}({name})", str(parameter.annotation))
        for function in functions
        for name, parameter in inspect.signature(function).parameters.items()
    ]
    paths = [(name, kind) for name, kind in arguments if re.search(r"\bPath\b", kind)]
    assert len(paths) > 5
    assert [name for name, kind in paths if not re.search(r"\bstr\b", kind)] == []
