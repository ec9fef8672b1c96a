"""Exceptions, whose messages say what was given, what was expected and what to do.

Every error that a user can cause is a `RampartError`; the command line prints its message on one
line and exits with status 2. Any other exception is a bug in Rampart.
"""

import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

#: A message lists all known names beside the nearest ones if there are at most so many.
FEW = 6
#: Smallest fraction of letters that two names have in common, for one to be a slip of the other.
ALIKE = 0.6
#: Categories of characters that are not shown: control, format, surrogates, ends of lines.
_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
#: Messages of errors for want of memory; most are plain `RuntimeError`s.
_MEMORY = re.compile("out of memory|can't allocate memory|Cannot allocate memory")
#: A longer value is shortened in a message.
LONG = 200


class RampartError(Exception):
    """Base of every error that Rampart raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle, as from a worker process to its parent, whatever the constructor takes."""
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[RampartError], args: tuple[Any, ...], state: dict[str, Any]) -> RampartError:
    error = cls.__new__(cls, *args)
    error.__dict__.update(state)
    return error


class RampartWarning(UserWarning):
    """Results to check before use, or a run that does not train as it should."""


class InvalidArgument(RampartError, ValueError):
    """A value that is out of range, has the wrong type, or contradicts another one.

    Attributes:
        name: of the argument.
        got: the value.
        expected: what was expected.
    """

    def __init__(self, name: str, got: object, expected: str, do: str = "") -> None:
        advice = f"; {do}" if do else ""
        self.name, self.got, self.expected = name, got, expected
        self._rest = f"={shown(got)}: expected {expected}{advice}."
        super().__init__(name + self._rest)

    def renamed(self, name: str) -> "InvalidArgument":
        """Return the same error for an argument that the user knows by another name."""
        error = InvalidArgument(name, self.got, self.expected)
        error._rest = self._rest
        error.args = (name + self._rest,)
        return error


class UnknownName(RampartError, ValueError):
    """A name that is not known; the message offers the nearest names, or another way.

    Attributes:
        kind: the word for what the name should have named.
        name: as it was given.
        place: the key of the configuration that has it, where that is known; else "".
    """

    place = ""

    def __init__(
        self,
        kind: str,
        name: str,
        known: Iterable[str],
        otherwise: str = "",
        *,
        instead: str = "",
    ) -> None:
        """Create the error.

        Args:
            kind: the word for what the name should have named.
            name: as it was given.
            known: all names, of which the nearest are offered.
            otherwise: advice if none of them is near.
            instead: advice in place of names.
        """
        self.kind, self.name = kind, name
        known = sorted(known)
        near = nearest(name, known)
        listed = ", ".join(known)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {listed}."
        # The user may mean another name than the nearest ones, and a short list is quickly read.
        few = f" Known: {listed}." if near and len(near) < len(known) <= FEW else ""
        more = f" {otherwise[:1].upper()}{otherwise[1:]}." if otherwise and not near else ""
        advice = f"{instead}." if instead else f"{hint}{few}{more}"
        super().__init__(f"unknown {kind} '{shown(name)}': {advice}")


class DataError(RampartError):
    """A dataset that is missing, unreadable or inconsistent."""


class ModelError(RampartError):
    """A model that cannot be built, or weights that do not fit it."""


class RunError(RampartError):
    """A run's folder that cannot be written, resumed or read."""


class Diverged(RunError):
    """The loss or the weights of a run are not finite."""


class MissingExtra(RampartError, ImportError):
    """A package that only some users need is not installed, or cannot be imported."""

    def __init__(self, package: str, extra: str, purpose: str, fault: str = "") -> None:
        install = f"'rampart-rft[{extra}]'"
        how = f", which cannot be imported ({fault})" if fault else ""
        do = f"pip install --force-reinstall {install}" if fault else f"pip install {install}"
        super().__init__(f"{purpose} needs the package '{package}'{how}: {do}.")


def shown(value: object) -> str:
    """Return a value for a message: on one line, and shortened in the middle if it is long."""
    try:
        text = str(value)
    except ValueError:
        # Python refuses to spell an integer of thousands of digits.
        return "a number of thousands of digits"
    text = visible(text)
    return text if len(text) <= LONG else f"{text[: LONG // 2]}...{text[-LONG // 4 :]}"


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether a library raised an error for want of memory, of the machine or of a GPU."""
    # Torch's class is known by its name, because commands that need no torch do not load it.
    named = any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__)
    return named or isinstance(error, MemoryError) or _MEMORY.search(str(error)) is not None


def visible(text: str, keep: str = "") -> str:
    """Return text for a terminal: characters that control it, or that nobody sees, are spelled.

    A name of a file or a class may hold commands of the terminal, line ends, or marks that turn
    the direction of writing: "\\x1b[31m" in place of a switch to red.

    Args:
        text: any text.
        keep: characters that are meant as they are, such as the line ends of a table.
    """
    return "".join(
        one if one in keep or unicodedata.category(one) not in _HIDDEN else repr(one)[1:-1]
        for one in text
    )


def nearest(name: str, known: Iterable[str], n: int = 3, alike: float = ALIKE) -> list[str]:
    """Return up to `n` of the `known` names that look most like `name`, best first.

    Only names with the fraction `alike` of their letters in common are returned. Upper and lower
    case are alike. A section in front of all names, such as `optimizer.`, is not compared: it would
    make them all alike.
    """
    known = list(known)
    section = name.rpartition(".")[0] + "."
    shared = len(section) if all(one.startswith(section) for one in known) else 0
    spelled = {one[shared:].lower(): one for one in known}
    # The search takes quadratic time, and no name is this long.
    word = name[shared:][:LONG].lower()
    near = get_close_matches(word, list(spelled), n=2 * n, cutoff=alike)
    return [spelled[one] for one in near if _similar_lengths(word, one)][:n]


def _similar_lengths(first: str, second: str) -> bool:
    """Whether the names are about as long, or begin alike, or one holds the other.

    `dropout` has all letters of `root`, and is no slip of it.
    """
    shorter, longer = sorted((first, second), key=len)
    return first[:3] == second[:3] or shorter in longer or len(shorter) >= ALIKE * len(longer)


def reason(error: BaseException) -> str:
    """Return an error as one line: its type and the first line of its message."""
    if "weights_only" in str(error):
        # torch advises to open the file without protection.
        return "the file holds other objects than tensors, which can run any code"
    lines = str(error).strip().splitlines()
    if lines and "TorchScript interpreter" in lines[0]:
        # The lines between show the code.
        lines = lines[-1:]
    kind = type(error).__name__
    return f"{kind}: {lines[0].strip()}" if lines else kind
