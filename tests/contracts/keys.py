"""Every key of the configuration; as a command, this file writes the reference of all keys."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from tests.contracts.tables import rewrite

from rampart.attacks.catalogue import ATTACKS
from rampart.objectives.catalogue import OBJECTIVES
from rampart.registry import Registry
from rampart.schedules.catalogue import SCHEDULES
from rampart.schema.effects import effect_of
from rampart.schema.fields import RunFields
from rampart.schema.sections import Eps, Precision, Section
from rampart.strategies.catalogue import STRATEGIES
from rampart.training.callbacks.catalogue import CALLBACKS
from rampart.units import format_eps

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "reference" / "configuration.md"
START, END = "<!-- keys -->\n", "<!-- end of keys -->"
EFFECTS = {"training": "the model", "evaluation": "the figures", "nothing": "nothing"}
#: Components by the section that names them.
COMPONENTS: dict[str, Registry[Any]] = {
    "schedule": SCHEDULES,
    "objective": OBJECTIVES,
    "attack": ATTACKS,
    "strategies": STRATEGIES,
    "callbacks": CALLBACKS,
}
EVALUATION = "../evaluation/how-it-works.md"
#: Where a key is explained at length.
LINKS = {
    "model.name": ("models", "../models.md"),
    "model.weights": ("weight files", "../models.md#weight-files"),
    "data.name": ("your data", "../data.md"),
    "data.split_file": ("splits of others", "../data.md#splits"),
    "data.image_size": ("size of the images", "../models.md#size-of-the-images"),
    "evaluation.until": (
        "to a precision",
        f"{EVALUATION}#evaluation-to-a-precision",
    ),
    "evaluation.largest_error": (
        "the recheck",
        f"{EVALUATION}#what-the-recheck-excludes",
    ),
}


class Key(NamedTuple):
    """A row of the reference: a key, its type, default, effect and meaning."""

    name: str
    type: str
    default: str
    effect: str
    meaning: str

    def row(self) -> str:
        """Return the row in Markdown."""
        text, place = LINKS.get(self.name, ("", ""))
        meaning = self.meaning + (f" ([{text}]({place}))" if place else "")
        cells = (f"`{self.name}`", self.type, self.default, self.effect, meaning)
        return f"| {' | '.join(cells)} |"


def keys(section: type[Section] = RunFields, prefix: str = "", meaning: str = "") -> Iterator[Key]:
    """Yield the keys of a section and of the sections in it; `meaning` is that of its name."""
    for name, field in section.model_fields.items():
        key, inner, text = f"{prefix}{name}", field.annotation, field.description or ""
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from keys(inner, f"{key}.", text)
        else:
            text = meaning if meaning and name == "name" else text
            yield Key(key, type_of(field), default_of(field), EFFECTS[effect_of(key)], text)


def type_of(field: FieldInfo) -> str:
    """Return the type of a field in words, with its range."""
    low = [("at least", m.ge) for m in field.metadata if hasattr(m, "ge")]
    low += [("above", m.gt) for m in field.metadata if hasattr(m, "gt")]
    high = [("at most", m.le) for m in field.metadata if hasattr(m, "le")]
    high += [("below", m.lt) for m in field.metadata if hasattr(m, "lt")]
    # Pydantic takes the marks of `Annotated` apart; those of a strength say that it is one.
    whole = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    limits = ", ".join(f"{word} {value:g}" for word, value in low + high)
    return f"{words_of(whole)}{f', {limits}' if limits else ''}"


def words_of(annotation: Any) -> str:
    """Return a type in words."""
    names: dict[Any, str] = {
        int: "whole number",
        float: "number",
        str: "text",
        bool: "true or false",
        type(None): "",
    }
    if annotation in names:
        return names[annotation]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        marks = inner[1:]
        for special, word in ((Eps, "strength"), (Precision, "fraction")):
            if get_args(special)[1] in marks:
                return word
        return words_of(inner[0])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (Union, UnionType):
        return " or ".join(word for one in inner if (word := words_of(one)))
    if origin is tuple:
        parts = [word for one in inner if one is not ... and (word := words_of(one))]
        return f"list of {parts[0]}s" if parts else "list"
    if origin is dict or annotation is dict:
        return "mapping"
    return "component"


def default_of(field: FieldInfo) -> str:
    """Return the default of a field as it is written in a configuration."""
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if any(mark in field.metadata for mark in get_args(Eps)[1:]):
        return f"`{format_eps(default)}`"
    return written(default)


def written(value: Any) -> str:
    """Return a plain value as it is written in a configuration; a dash for none."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{value:g}`"
    if isinstance(value, tuple):
        return f"`{_listed(value)}`"
    return f"`{value}`"


def _listed(value: Any) -> Any:
    return list(map(_listed, value)) if isinstance(value, tuple) else value


class Option(NamedTuple):
    """An option of a component."""

    name: str
    default: str
    meaning: str


def names_of(kind: Registry[Any]) -> list[str]:
    """Return the names of Rampart's own components; another test may have registered one.

    They are ordered by module, because the order of registration follows the first import.
    """
    own = [one for one in kind.names() if kind.get(one).__module__.startswith("rampart.")]
    return sorted(own, key=lambda one: kind.get(one).__module__)


def options(kind: Registry[Any], name: str) -> list[Option]:
    """Return the options of a component, with the meanings that its docstrings give."""
    cls = kind.get(name)
    meanings: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        meanings |= attributes(base.__dict__.get("__doc__") or "")
    defaults = {one.name: one.default for one in dataclasses.fields(cls)}
    known = [one for one in kind.options(name) if (kind is not ATTACKS or one != "norm")]
    return [Option(one, written(defaults[one]), meanings.get(one, "")) for one in known]


def attributes(docstring: str) -> dict[str, str]:
    """Return the meanings under "Attributes:" of a docstring."""
    text = docstring.partition("Attributes:\n")[2]
    found: dict[str, str] = {}
    for name, meaning in re.findall(
        r"^ {8}(\w+): (.*(?:\n {12}.*)*)", text.partition("\n\n")[0], re.MULTILINE
    ):
        found[name] = " ".join(meaning.split())
    return found


def first_sentence(docstring: str) -> str:
    """Return the first line of a docstring."""
    return docstring.strip().partition("\n")[0]


def reference() -> str:
    """Return the reference of all keys in Markdown."""
    rows = list(keys())
    text = [""]
    for section in dict.fromkeys(row.name.partition(".")[0] for row in rows):
        inside = [row for row in rows if row.name.partition(".")[0] == section]
        text += [f"### {section}", ""]
        field = RunFields.model_fields[section].annotation
        if isinstance(field, type) and issubclass(field, Section):
            text += [first_sentence(field.__doc__ or ""), ""]
        text += ["| key | type | default | changes | meaning |", "|---|---|---|---|---|"]
        text += [*(row.row() for row in inside), ""]
        if section in COMPONENTS:
            text += [*of_components(section), ""]
    return "\n".join(text)


def of_components(section: str) -> Iterator[str]:
    """Yield the table of the components of a section and their options."""
    kind = COMPONENTS[section]
    members = {name: options(kind, name) for name in names_of(kind)}
    shared = [
        one for one in next(iter(members.values())) if all(one in m for m in members.values())
    ]
    yield f"| {kind.kind} | option | default | meaning |"
    yield "|---|---|---|---|"
    for one in shared:
        yield f"| *all* | `{one.name}` | {one.default} | {one.meaning} |"
    for names in _of_one_class(kind):
        title = ", ".join(f"**`{name}`**" for name in names)
        yield f"| {title} | | | {first_sentence(kind.get(names[0]).__doc__ or '')} |"
        for one in members[names[0]]:
            if one not in shared:
                yield f"| | `{one.name}` | {one.default} | {one.meaning} |"


def _of_one_class(kind: Registry[Any]) -> list[list[str]]:
    """Return the names of components, those of one class together."""
    classes: dict[type[Any], list[str]] = {}
    for name in names_of(kind):
        classes.setdefault(kind.get(name), []).append(name)
    return list(classes.values())


if __name__ == "__main__":
    rewrite(GUIDE, reference(), START, END)
