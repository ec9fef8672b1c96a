"""Every command; run as a command, this file writes their reference."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from tests.contracts.tables import rewrite

from rampart.cli.examples import EXAMPLES
from rampart.cli.main import app

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "reference" / "commands.md"
START, END = "<!-- commands -->\n", "<!-- end of commands -->"


def commands() -> dict[str, Any]:
    """Return the commands by their full name, without `rampart`."""
    found = {**typer.main.get_command(app).commands}  # type: ignore[attr-defined]
    for name, group in list(found.items()):
        if hasattr(group, "commands"):
            del found[name]
            found |= {f"{name} {verb}": one for verb, one in group.commands.items()}
    return found


def reference() -> str:
    """Return the reference of all commands in Markdown."""
    return "\n".join(line for name, one in commands().items() for line in of_command(name, one))


def of_command(name: str, command: Any) -> Iterator[str]:
    """Yield the lines about a command: its usage, help, arguments and options."""
    context = command.make_context(f"rampart {name}", [], resilient_parsing=True)
    usage = " ".join(command.get_usage(context).split())
    yield f"\n## rampart {name}\n\n```text\n{usage}\n```\n"
    yield paragraphs(command.help)
    rows = [one.get_help_record(context) for one in command.get_params(context)]
    yield "| argument or option | meaning |\n|---|---|"
    for record in rows:
        if record and not record[0].endswith("--help"):
            yield f"| `{cell(record[0])}` | {cell(record[1])} |"
    if name in EXAMPLES:
        yield "\n```sh\n" + "\n".join(EXAMPLES[name]) + "\n```"


def paragraphs(text: str) -> str:
    """Return a help text in Markdown."""
    return "\n".join(f"{part}\n" for part in text.replace("\b\n", "").strip().split("\n\n"))


def cell(text: str) -> str:
    """Return a text for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    rewrite(GUIDE, reference(), START, END)
