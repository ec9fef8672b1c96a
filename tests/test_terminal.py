"""Text for a terminal: as it is, except for what would control the terminal."""

import io
import re
from pathlib import Path

import pytest

import rampart
from rampart.errors import visible
from rampart.terminal import Terminal

NAMES = ["run[/y]", "a[bold]b", ":smile:", "[link=x]", "photos", "Grün", "写真"]
COMMANDS = ["\x1b[31mred", "a\nb", "a\rb", "a\x07", "\x9b1m", "a\u202eb", "\ud800"]


def printed(name, **options):
    out = io.StringIO()
    Terminal(file=out, width=20, **options).say(f"model in {name}")
    return out.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_names_are_printed_as_they_are(name):
    assert printed(name) == f"model in {name}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_control_characters_are_spelled(name):
    shown = printed(name)
    assert shown.endswith("\n")
    assert "\\" in shown
    assert not {one for one in shown[:-1] if ord(one) < 32 or ord(one) in (0x9B, 0x202E, 0xD800)}


def test_a_table_keeps_its_lines_only():
    assert visible("a\nb\x1b", keep="\n") == "a\nb\\x1b"


def test_no_text_reaches_a_terminal_elsewhere():
    """Names are printed by `say` and `show` of `Terminal`, not by rich's `print` or typer."""
    root = Path(rampart.__file__).parent
    calls = re.compile(r"console\.print\(\s*f?\"|console\.print\(\w+\)|typer\.echo\(f?\"")
    found = {
        str(file.relative_to(root)): found.group()
        for file in root.rglob("*.py")
        if (found := calls.search(file.read_text(encoding="utf-8")))
    }
    found.pop("cli/quickstart.py")  # constant text, wrapped at the width
    found.pop("cli/main.py")  # the version
    found.pop("cli/preview.py")  # its path is spelled by `visible`
    assert found == {}
