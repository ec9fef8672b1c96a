"""Name to component: the schedules, attacks and objectives that a configuration can name.

A component is a frozen dataclass; its fields are its options. Registering it is all that it takes
to make it available in configurations, and on the command line where it is imported (`--import`).
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any, Generic, TypeVar

from rampart.errors import InvalidArgument, UnknownName

T = TypeVar("T")
C = TypeVar("C", bound=type)


class Registry(Generic[T]):
    """Components of one kind, by name."""

    _OWN = "One of your own is known after `rampart --import FILE.py ...`"

    def __init__(self, kind: str, elsewhere: Mapping[str, str] | None = None) -> None:
        """Begin an empty one.

        Args:
            kind: what its components are called in messages.
            elsewhere: names that others have for something, in small letters, and what it is here.
        """
        self.kind = kind
        self._elsewhere = dict(elsewhere or {})
        self._members: dict[str, type[T]] = {}

    def register(self, name: str) -> Callable[[C], C]:
        """Class decorator: make a frozen dataclass available as `name`."""

        def add(cls: C) -> C:
            if name in self._members:
                raise InvalidArgument(self.kind, name, "a name that is not taken yet")
            self._members[name] = cls
            return cls

        return add

    def names(self) -> list[str]:
        """All names, in the order of registration."""
        return list(self._members)

    def get(self, name: str) -> type[T]:
        """Return the class called `name`; raise `UnknownName` with the nearest names."""
        if name not in self._members:
            other = self._elsewhere.get(name.lower(), self._OWN)
            raise UnknownName(self.kind, name, self._members, other)
        return self._members[name]

    def takes(self, name: str, option: str) -> bool:
        """Return whether the component `name` has an option of this name."""
        cls: Any = self.get(name)
        return any(field.name == option and field.init for field in fields(cls))

    def name_of(self, component: T) -> str:
        """Return the name under which the class of `component` is registered."""
        for name, cls in self._members.items():
            if type(component) is cls:
                return name
        raise UnknownName(self.kind, type(component).__name__, self._members)

    def build(self, name: str, options: Mapping[str, Any] | None = None) -> T:
        """Build the component `name` from plain options, as read from a configuration.

        Raises:
            UnknownName: no such component, or it has no such option.
            InvalidArgument: an option of the wrong type or out of range.
        """
        from pydantic import TypeAdapter, ValidationError

        cls: Any = self.get(name)
        known = [f.name for f in fields(cls) if f.init]
        for option in options or {}:
            if option not in known:
                raise UnknownName(f"option of {self.kind} '{name}'", option, known or ["none"])
        try:
            return TypeAdapter(cls).validate_python(dict(options or {}))
        except ValidationError as error:
            first = error.errors()[0]
            cause = first.get("ctx", {}).get("error")
            if isinstance(cause, InvalidArgument | UnknownName):
                raise cause from None
            where = ".".join([self.kind, *map(str, first["loc"])])
            got = "nothing" if first["type"].startswith("missing") else first["input"]
            raise InvalidArgument(where, got, _expectation(first["msg"])) from None

    def dump(self, component: T) -> dict[str, Any]:
        """Return `{"name": ..., **options}`, from which `build` makes an equal component."""
        fields_of: Any = component
        return {"name": self.name_of(component), **asdict(fields_of)}


def _expectation(message: str) -> str:
    """Turn pydantic's "Input should be a valid number, ..." into what follows "expected"."""
    if message == "Field required":
        return "a value"
    return message.removeprefix("Input should be ").replace("Tuple should have", "a tuple of")


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested mapping of options as one with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
