"""`--json`: one JSON document on the standard output; everything else goes to standard error."""

import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, TextIO

import typer

#: The option of every verb that prints results. The name of its argument is `KEY`.
Json = typer.Option(False, "--json", help="Print JSON; the rest goes to standard error.")
KEY = "as_json"

_OUTPUT: ContextVar[TextIO] = ContextVar("output")


@contextmanager
def json_only(wanted: bool) -> Iterator[None]:
    """Keep the standard output of a block for `print_json`, if JSON is wanted."""
    if not wanted:
        yield
        return
    token = _OUTPUT.set(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _OUTPUT.reset(token)


def print_json(facts: object) -> None:
    """Print the document; of several processes only the first one prints.

    Args:
        facts: mappings, sequences, dataclasses, paths, numbers and None. A number that is not
            finite becomes null, because JSON has none.
    """
    if os.environ.get("RANK", "0") == "0":
        text = json.dumps(_plain(facts), indent=1, allow_nan=False)
        print(text, file=_OUTPUT.get(sys.stdout), flush=True)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    return [_plain(one) for one in value]
