"""The question to a reader, and the form of its answer."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from rampart.data.decode import Decode
from rampart.data.splits import Split
from rampart.errors import UnknownName

#: Splits by name, of "train", "validation" and "test" those that the data define; and notes.
Found = tuple[dict[str, Split], list[str]]


@dataclass(frozen=True)
class Request:
    """Data to read.

    Attributes:
        name: of the data, such as "photos", "labels.csv" or "torch/cifar10".
        decode: turns a picture into pixels.
        root: folder for the files of a public library, and parent of a relative path.
        options: further arguments, as each reader states.
        splits: the name in the data of each split; without any, usual names are recognized.
        download: fetch missing files of a public library; otherwise they count as missing.
    """

    name: str
    decode: Decode
    root: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    splits: Mapping[str, str] = field(default_factory=dict)
    download: bool = True

    @property
    def rest(self) -> str:
        """The name without the prefix of a library."""
        return self.name.partition("/")[2]

    def require_options(self, kind: str, known: Collection[str]) -> None:
        """Raise `UnknownName` for an option that this kind of data does not have."""
        for option in self.options:
            if option not in known:
                raise UnknownName(f"option of {kind}", option, known)
