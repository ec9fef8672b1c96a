"""Registries: the schedules, attacks, objectives and other components by name.

A component is a frozen dataclass; its fields are its options. Once registered, it is available in
configurations, and on the command line if its file is imported (`--import`).
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields
from functools import cache
from typing import Any, Generic, TypeVar, cast, get_type_hints

from rampart.errors import InvalidArgument, UnknownName
from rampart.value_types import expectation, fit

T = TypeVar("T")
C = TypeVar("C", bound=type)


class UnknownOption(UnknownName):
    """An option that a component does not have.

    Attributes:
        option: as it was given.
    """

    def __init__(
        self,
        component: str,
        option: str,
        known: Iterable[str],
        others: Iterable[str] = (),
        instead: str = "",
    ) -> None:
        """Create the error.

        Args:
            component: kind and name of the component.
            option: as it was given.
            known: the options of the component.
            others: components of this kind that have the option.
            instead: advice in place of options.
        """
        self.option, known, others = option, list(known) or ["none"], sorted(others)
        have = f"{', '.join(others)} {'has' if len(others) == 1 else 'have'} it"
        elsewhere = f"{have}. Known: {', '.join(sorted(known))}" if others else ""
        super().__init__(f"option of {component}", option, known, instead=instead or elsewhere)


@cache
def _types_of(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


@cache
def _validator_of(cls: Any) -> Any:
    """Return what builds a class from plain values; making it takes longer than one use of it."""
    from pydantic import TypeAdapter

    return TypeAdapter(cls)


class Registry(Generic[T]):
    """Components of one kind, by name."""

    _OWN = "To use one of your own, import it: `rampart --import FILE.py ...`"

    def __init__(self, kind: str, elsewhere: Mapping[str, str] | None = None) -> None:
        """Create an empty registry.

        Args:
            kind: the word for a component in messages.
            elsewhere: names in other libraries, in lower case, with advice on what to use here.
        """
        self.kind = kind
        self._elsewhere = dict(elsewhere or {})
        self._members: dict[str, type[T]] = {}
        self._fixed: dict[str, dict[str, Any]] = {}

    def register(self, name: str, **fixed: Any) -> Callable[[C], C]:
        """Class decorator: make a frozen dataclass available as `name`.

        Args:
            name: of the component in configurations.
            fixed: values of fields that the name implies, if one class has several names.
        """

        def add(cls: C) -> C:
            if name in self._members:
                raise InvalidArgument(self.kind, name, "a name that is not taken yet")
            self._members[name], self._fixed[name] = cls, fixed
            return cls

        return add

    def names(self) -> list[str]:
        """All names, in the order of registration."""
        return list(self._members)

    def get(self, name: str, key: str = "") -> type[T]:
        """Return the class called `name`; `key` is the configuration key that has the name.

        Raises:
            UnknownName: there is none; the error has the nearest names.
        """
        if name not in self._members:
            other = self._elsewhere.get(name.lower(), self._OWN)
            error = UnknownName(self.kind, name, self._members, other)
            error.place = key
            raise error
        return self._members[name]

    def takes(self, name: str, option: str) -> bool:
        """Return whether the component `name` has an option of this name."""
        return option in self.options(name)

    def options(self, name: str) -> list[str]:
        """Return the names of the options of the component `name`."""
        cls: Any = self.get(name)
        return [f.name for f in fields(cls) if f.init and f.name not in self._fixed[name]]

    def name_of(self, component: T) -> str:
        """Return the name under which `component` is registered."""
        for name, cls in self._members.items():
            fixed = self._fixed[name].items()
            if type(component) is cls and all(getattr(component, k) == v for k, v in fixed):
                return name
        raise UnknownName(self.kind, type(component).__name__, self._members)

    def build(self, name: str, options: Mapping[str, Any] | None = None, key: str = "") -> T:
        """Build the component `name` from plain options, as read from a configuration.

        Args:
            name: the registered name.
            options: values of its fields; the others keep their defaults.
            key: the configuration key for errors; by default the kind of component.

        Raises:
            UnknownName: the component or one of the options is unknown.
            InvalidArgument: an option of the wrong type or out of range.
        """
        from pydantic import ValidationError

        cls: Any = self.get(name, key)
        known = self.options(name)
        for option in options or {}:
            if option not in known:
                raise self.unknown_option(name, option, known)
        try:
            values = fit(_types_of(cls), options or {})
            built = _validator_of(cls).validate_python({**self._fixed[name], **values})
        except InvalidArgument as error:
            raise self._add_key(error, known, key or self.kind) from None
        except ValidationError as error:
            first = error.errors()[0]
            cause = first.get("ctx", {}).get("error")
            if isinstance(cause, InvalidArgument):
                raise self._add_key(cause, known, key or self.kind) from None
            if isinstance(cause, UnknownName):
                same = [option for option, value in values.items() if value == cause.name]
                cause.place = f"{key or self.kind}.{same[0]}" if same else ""
                raise cause from None
            where = ".".join([key or self.kind, *map(str, first["loc"])])
            got = "nothing" if first["type"].startswith("missing") else first["input"]
            raise InvalidArgument(where, got, expectation(first["msg"])) from None
        for option, value in values.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise InvalidArgument(f"{key or self.kind}.{option}", value, "a finite number")
        return cast(T, built)

    def unknown_option(self, name: str, option: str, known: Iterable[str]) -> UnknownOption:
        """Return the error for an option that the component `name` does not have."""
        others = [one for one in self._members if self.takes(one, option)]
        # `schedule: {two-hinge: {...}}`
        form = f"write {{name: {option}, OPTION: VALUE}}" if option in self._members else ""
        instead = f"it is the name of another {self.kind}: {form}" if form else ""
        return UnknownOption(f"{self.kind} '{name}'", option, known, others, instead)

    def _add_key(self, error: InvalidArgument, known: list[str], key: str) -> InvalidArgument:
        """Return an error about a field of a component under its full configuration key."""
        own = error.name.removeprefix(f"{self.kind}.")
        return error.renamed(f"{key}.{own}") if own.partition(".")[0] in known else error

    def dump(self, component: T) -> dict[str, Any]:
        """Return `{"name": ..., **options}`, from which `build` makes an equal component."""
        name, fields_of = self.name_of(component), cast(Any, component)
        values = asdict(fields_of)
        return {"name": name, **{k: v for k, v in values.items() if k not in self._fixed[name]}}


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested mapping of options as one with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
