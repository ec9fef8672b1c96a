"""Images that occur more than once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rampart.counting import counted
from rampart.data.pictures import digest_of_bytes

if TYPE_CHECKING:
    from rampart.data.splits import Labels, Split

#: From this fraction of copies on, they are a fault of the data and not only worth a note.
_MANY = 0.01


@dataclass(frozen=True)
class Repeated:
    """Images of an evaluation that equal an earlier one.

    Attributes:
        count: number of these images; None if every image would have to be decoded to count them.
        notes: a sentence, if they are few.
        warnings: a sentence, if they are many.
    """

    count: int | None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def find_repeated(split: Split) -> Repeated:
    """Return the images of an evaluation that equal an earlier one: listed twice, or copies."""
    if not (split.in_memory or split.facts):
        return Repeated(None)
    first: dict[bytes, str] = {}
    pairs: list[tuple[str, str]] = []
    for digest, name in zip(_digests(split, split.in_memory), split.ids, strict=True):
        if digest in first:
            pairs.append((first[digest], name))
        first.setdefault(digest, name)
    if not pairs:
        return Repeated(0)
    sentence = (
        f"copies of other evaluated images: {len(pairs)} of {counted(len(split), 'image')} "
        f"({_example(pairs)}); each counts, and the intervals take it for an independent image, so "
        "they are too narrow; remove the copies."
    )
    many = len(pairs) >= _MANY * len(split)
    return Repeated(len(pairs), *(((), (sentence,)) if many else ((sentence,), ())))


def number_pictures(split: Split) -> Labels:
    """Return a number for each image, (N,) int64, which copies of one picture share."""
    return np.unique(np.array(_digests(split)), return_inverse=True)[1]


def count_copies(split: Split) -> int:
    """Return the number of images that are copies of an earlier one."""
    return len(split) - len(set(_digests(split)))


def warn_of_copies(parts: Mapping[str, Split]) -> list[str]:
    """Return warnings of pictures that occur in two splits, or under two labels.

    Splits that would have to be decoded for it are left out.
    """
    parts = {name: split for name, split in parts.items() if split.facts or split.in_memory}
    seen: dict[bytes, tuple[str, str, str]] = {}
    apart: list[tuple[str, str]] = []
    contradicting: list[tuple[str, str]] = []
    for name, split in parts.items():
        for position, digest in enumerate(
            _digests(split, all(p.in_memory for p in parts.values()))
        ):
            identity, label = split.ids[position], split.class_names[split.labels[position]]
            first, other_name, other_label = seen.setdefault(digest, (identity, name, label))
            if other_name != name:
                apart.append((first, identity))
            if other_label != label:
                contradicting.append((first, identity))
    warnings = []
    if apart:
        warnings.append(
            f"{_example(apart)} in another split ({counted(len(apart), 'such image')}): results on "
            "copies do not carry over to new images; remove one of the two."
        )
    if contradicting:
        warnings.append(
            f"{_example(contradicting)} with another label "
            f"({counted(len(contradicting), 'such image')}): at most one label is right; remove "
            "the other image."
        )
    return warnings


def _example(pairs: list[tuple[str, str]]) -> str:
    first, second = pairs[0]
    return f"{second} is a copy of {first}"


def _digests(split: Split, by_pixels: bool = False) -> list[bytes]:
    """Return a digest per image: of its file, or of its decoded pixels.

    Files with different bytes may hold equal pixels, but pixels depend on the size of the images.
    """
    if split.facts is not None and not by_pixels:
        return [facts.digest for facts in split.facts]
    return [digest_of_bytes(split.pixels(i).numpy().tobytes()) for i in range(len(split))]
