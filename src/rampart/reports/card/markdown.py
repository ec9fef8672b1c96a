"""Markdown from a template: names and messages in it are shown as they are."""

import html
import re
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from rampart.errors import visible

_ASSETS = "assets/card"
#: Characters that begin a code, a link, a cell and the like; an underscore inside a word does not.
_SPECIAL = re.compile(r"[\\`*\[\]|~$]|(?<!\w)_|_(?!\w)")


def escape(value: object) -> Markup:
    """Return text that Markdown shows as it is, on one line; `Markup` stays."""
    if isinstance(value, Markup):
        return value
    text = html.escape(" ".join(visible(str(value), keep="\n\t").split()), quote=False)
    return Markup(_SPECIAL.sub(lambda found: f"\\{found[0]}", text))


def link(path: str) -> Markup:
    """Return a path as the target of a link."""
    return Markup(quote(path))


def render(template: str, **values: Any) -> str:
    """Return the text of a template with escaped values."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_asset),
        finalize=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["link"] = link
    return environment


def _asset(name: str) -> str:
    return files("rampart").joinpath(_ASSETS, name).read_text(encoding="utf-8")
