"""The full keys that a user may mean by a key without its section, such as `limit` or `steps`."""

from collections.abc import Sequence
from typing import Any, get_type_hints

from rampart.attacks.catalogue import ATTACKS
from rampart.errors import UnknownName, nearest
from rampart.objectives.catalogue import OBJECTIVES
from rampart.registry import Registry
from rampart.schedules.catalogue import SCHEDULES
from rampart.schema.elsewhere import ELSEWHERE
from rampart.schema.fields import RunFields
from rampart.schema.sections import Section
from rampart.value_types import takes_several

#: Sections that take the options of a component as keys, and their components.
_COMPONENTS: dict[str, Registry[Any]] = {
    "schedule": SCHEDULES,
    "objective": OBJECTIVES,
    "attack": ATTACKS,
    "evaluation.attack": ATTACKS,
}
#: The sections that an evaluation may change.
OF_EVALUATION = ("evaluation", "threat", "data")


def _takes(section: str, option: str) -> bool:
    """Return whether a component of a section has an option."""
    registry = _COMPONENTS[section]
    return any(registry.takes(name, option) for name in registry.names())


#: Keys of a section that a message lists.
LISTED = 15


class UnknownKey(UnknownName):
    """A key that no section has.

    Attributes:
        key: as it was given.
        means: full keys that end in the same word.
    """

    def __init__(self, key: str, means: Sequence[str], known: Sequence[str] = ()) -> None:
        self.key, self.means = key, list(means)
        rest = ""
        if len(known) > LISTED and not nearest(key, known):
            known = sorted(known)[:LISTED]
            rest = "docs/reference/configuration.md has the others"
        instead = f"did you mean {' or '.join(means)}? Write it in full" if means else ""
        super().__init__("key", key, known, rest, instead=instead)

    def within(self, *sections: str) -> "UnknownKey":
        """Return the error with the keys of these sections only, if any of them is meant."""
        inside = [key for key in self.means if key.partition(".")[0] in sections]
        return UnknownKey(self.key, inside) if inside else self


def full_keys(word: str) -> list[str]:
    """Return the keys that a word stands for: it is their last part, or another library's word.

    The options of components are keys too.
    """
    word = word.replace("-", "_")
    words = (word,) if _keys_of(word) else ELSEWHERE.get(word, ())
    return [key for one in words for key in _keys_of(one)]


def _keys_of(word: str) -> list[str]:
    if word == "name":
        return []
    keys = [word] if word in RunFields.model_fields else []
    keys += [key for key in _all_keys_and_sections() if key.rpartition(".")[2] == word]
    for section in _COMPONENTS:
        if _takes(section, word):
            keys.append(f"{section}.{word}")
    # `norm` is an option of every attack, but only `threat.norm` sets it.
    return [key for key in dict.fromkeys(keys) if not key.endswith("attack.norm")]


def _all_keys_and_sections() -> list[str]:
    return [*all_keys(RunFields), "evaluation.attack"]


def near_keys(word: str) -> list[str]:
    """Return the full keys of any section whose last word is most like a misspelled one.

    They have to be very much alike, because the user may have named another section.
    """
    keys = all_keys(RunFields)
    words = {key.rpartition(".")[2] for key in keys}
    return [key for one in nearest(word, words, 2, 0.8) for key in full_keys(one)][:3]


def all_keys(section: type[Section], prefix: str = "") -> list[str]:
    """Return the keys of a section with single values, each with its sections in front."""
    keys = []
    for name, field in section.model_fields.items():
        inner = section_of(field.annotation)
        keys += all_keys(inner, f"{prefix}{name}.") if inner else [f"{prefix}{name}"]
    return keys


def section_of(annotation: Any) -> type[Section] | None:
    """Return the section that a field holds; None for a single value."""
    holds = isinstance(annotation, type) and issubclass(annotation, Section)
    return annotation if holds else None


def takes_list(key: str) -> bool:
    """Return whether a key takes several values."""
    section, _, word = key.rpartition(".")
    if section in _COMPONENTS and word not in ("name", "interval"):
        registry = _COMPONENTS[section]
        hints = [get_type_hints(registry.get(name)) for name in registry.names()]
        return any(takes_several(one[word]) for one in hints if word in one)
    fields = RunFields.model_fields
    for part in section.split(".") if section else ():
        inner = section_of(fields[part].annotation) if part in fields else None
        fields = inner.model_fields if inner else {}
    return word in fields and takes_several(fields[word].annotation)


def is_key(key: str) -> bool:
    """Return whether a configuration has this key: a value, a section, or a component's option."""
    if key.startswith(("model.options.", "data.options.")):
        return True
    keys = _all_keys_and_sections()
    sections = {one.rpartition(".")[0] for one in keys}
    return key in {*keys, *sections, *full_keys(key.rpartition(".")[2])} - {""}
