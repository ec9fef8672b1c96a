"""A dataset: three disjoint splits of labeled images, each image with an id."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rampart.counting import counted
from rampart.data.pictures import Facts
from rampart.data.spelling import look_alike, require_utf8
from rampart.deferred import torch
from rampart.errors import DataError, InvalidArgument
from rampart.images_and_labels import to_bytes, type_of

if TYPE_CHECKING:
    from torch import Tensor

#: Position in the split to the image, (C, H, W) uint8.
Pixels = Callable[[int], "Tensor"]
Item = tuple["Tensor", int, int]
Labels = NDArray[np.int64]

#: Advice on labels that are not one class.
ONE_LABEL = "several labels per image and soft labels are not supported"
SPLIT_NAMES = ("train", "validation", "test")


@dataclass(frozen=True)
class InMemory:
    """Pixels of decoded images.

    Attributes:
        images: (N, C, H, W) uint8.
    """

    images: Tensor

    def __call__(self, index: int) -> Tensor:
        """Return image `index`, (C, H, W) uint8."""
        return self.images[index]


@dataclass(frozen=True)
class _Selected:
    """Pixels of some images of another source."""

    pixels: Pixels
    positions: Sequence[int]

    def __call__(self, index: int) -> Tensor:
        return self.pixels(self.positions[index])


@dataclass(frozen=True)
class _Joined:
    """Pixels of several splits, one after another."""

    splits: tuple[Split, ...]

    def __call__(self, index: int) -> Tensor:
        for split in self.splits:
            if index < len(split):
                return split.pixels(index)
            index -= len(split)
        raise IndexError(index)


@dataclass(frozen=True, eq=False)
class Split:
    """Labeled images; item `i` is `(image uint8 (C, H, W), label, i)`.

    Attributes:
        ids: N names, such as the path of the file below the folder of the dataset.
        labels: (N,) int64, positions in `class_names`.
        class_names: in the order of the outputs of the model.
        pixels: decodes one image.
        facts: about each image, if its reader looked into it.
    """

    ids: Sequence[str]
    labels: Labels
    class_names: Sequence[str]
    pixels: Pixels
    facts: Sequence[Facts] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if len(self.ids) == 0:
            raise DataError("a split has no images: add at least one.")
        require_utf8([*self.ids, *self.class_names])
        if self.labels.ndim != 1 or self.labels.dtype.kind not in "iu":
            got = f"{self.labels.dtype} of shape {self.labels.shape}"
            raise InvalidArgument("labels", got, "one whole number per image", ONE_LABEL)
        if self.labels.min() < 0 or self.labels.max() >= len(self.class_names):
            raise DataError(
                f"labels run from {self.labels.min()} to {self.labels.max()}, but there are "
                f"{counted(len(self.class_names), 'class')}, counted from 0: use a labeled split."
            )

    @classmethod
    def of_tensors(
        cls, images: Tensor, labels: Tensor, class_names: Sequence[str] | None = None
    ) -> Split:
        """Return the split of images in memory; ids are their positions.

        Args:
            images: (N, C, H, W), uint8, or floating point in [0, 1], which is rounded to 8 bits as
                in an image file.
            labels: (N,), integers from 0.
            class_names: of the K classes; by default their numbers, up to the largest label.

        Raises:
            InvalidArgument: a wrong shape, pixels outside [0, 1], or labels that are not integers.
            DataError: there are no images, or a label is not a class.
        """
        if images.ndim != 4 or labels.shape != images.shape[:1]:
            got = f"{tuple(images.shape)} with labels {tuple(labels.shape)}"
            raise InvalidArgument("images", got, "(N, C, H, W) with labels (N,)")
        if images.is_floating_point():
            if images.numel() and not (images.min() >= 0 and images.max() <= 1):
                got = f"pixels from {float(images.min()):.4g} to {float(images.max()):.4g}"
                raise InvalidArgument("images", got, "pixels in [0, 1], or uint8")
            images = to_bytes(images)
        if labels.is_floating_point():
            raise InvalidArgument("labels", type_of(labels), "integers from 0")
        numbers = labels.cpu().numpy().astype(np.int64)
        names = class_names or [str(k) for k in range(int(numbers.max(initial=0)) + 1)]
        pixels = InMemory(images.to("cpu", torch.uint8))
        return cls([str(i) for i in range(len(images))], numbers, names, pixels)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Item:
        return self.pixels(index), int(self.labels[index]), index

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image; this decodes the first one."""
        channels, height, width = self.pixels(0).shape
        return channels, height, width

    @property
    def in_memory(self) -> bool:
        """Whether the images are decoded in memory."""
        pixels = self.pixels
        while isinstance(pixels, _Selected):
            pixels = pixels.pixels
        if isinstance(pixels, _Joined):
            return all(split.in_memory for split in pixels.splits)
        return isinstance(pixels, InMemory)

    def subset(self, positions: Sequence[int] | NDArray[np.int64]) -> Split:
        """Return the split of the images at these positions."""
        chosen = [int(i) for i in positions]
        return replace(
            self,
            ids=[self.ids[i] for i in chosen],
            labels=self.labels[chosen],
            pixels=_Selected(self.pixels, chosen),
            facts=self.facts and [self.facts[i] for i in chosen],
        )

    def content(self) -> str | None:
        """Return the SHA-256 over the images in their order; None if no reader looked into them.

        It covers their files, or their pixels where there are no files.
        """
        if self.facts is None:
            return None
        return hashlib.sha256(b"".join(one.digest for one in self.facts)).hexdigest()

    def fingerprint(self) -> str:
        """Return the SHA-256 over ids and labels in their order, without the pixels."""
        digest = hashlib.sha256()
        for identity, label in zip(self.ids, self.labels.tolist(), strict=True):
            digest.update(f"{identity}\x1f{self.class_names[label]}\x1e".encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class Splits:
    """The three splits of a dataset; no id lies in two of them.

    Attributes:
        train: images for the optimizer.
        validation: images for decisions.
        test: images for the reported results only.
        notes: sentences on how the splits were made.
        warnings: sentences on faults of the data that the user should mend.
        true_labels: (N,) int64, those of the training images before label noise was added (see
            `rampart.data.label_noise`); None without label noise.
        guidance: (N, K), probabilities of the classes for the training images, from outside the
            model (see `rampart.objectives.noisy_labels`); None without guidance.
    """

    train: Split
    validation: Split
    test: Split
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    true_labels: Labels | None = field(default=None, kw_only=True, compare=False)
    guidance: Tensor | None = field(default=None, kw_only=True, compare=False)

    def __post_init__(self) -> None:
        for name in ("validation", "test"):
            check_same_classes({"train": self.train, name: self[name]}, name)
            check_trained_classes(self.train, self[name], name)
        check_disjoint(self)

    @classmethod
    def of(
        cls, parts: Mapping[str, Split], notes: Sequence[str] = (), warnings: Sequence[str] = ()
    ) -> Splits:
        """Return the splits from {"train": ..., "validation": ..., "test": ...}."""
        train, validation, test = (parts[name] for name in SPLIT_NAMES)
        return cls(train, validation, test, tuple(notes), tuple(warnings))

    def __getitem__(self, name: str) -> Split:
        if name not in SPLIT_NAMES:
            raise InvalidArgument("split", name, "train, validation or test")
        split: Split = getattr(self, name)
        return split

    @property
    def class_names(self) -> Sequence[str]:
        """The classes, in the order of the model's outputs."""
        return self.train.class_names

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image."""
        return self.train.image_shape

    def contents(self) -> dict[str, str]:
        """Return the content of each split, by its name; without those that are unknown."""
        return _known({name: self[name].content() for name in SPLIT_NAMES})

    def fingerprint(self) -> str:
        """Return one SHA-256 for all three splits."""
        parts = [self[name].fingerprint() for name in SPLIT_NAMES]
        return hashlib.sha256("".join(parts).encode()).hexdigest()


@dataclass(frozen=True)
class OneSplit:
    """A single split for an evaluation, which stands for each of the three.

    Attributes:
        split: the images.
        notes: as in `Splits`.
        warnings: as in `Splits`.
    """

    split: Split
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Split:
        return self.split

    @property
    def class_names(self) -> Sequence[str]:
        """The classes, in the order of the model's outputs."""
        return self.split.class_names

    def contents(self) -> dict[str, str]:
        """Return the content of the split as that of "images", if it is known."""
        return _known({"images": self.split.content()})

    def fingerprint(self) -> str:
        """Return the fingerprint of the split."""
        return self.split.fingerprint()


def _known(contents: Mapping[str, str | None]) -> dict[str, str]:
    return {name: content for name, content in contents.items() if content is not None}


def changed_contents(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the names of the splits whose images have changed, under the same names and labels."""
    return [name for name, content in now.items() if before.get(name, content) != content]


def joined(parts: Iterable[Split]) -> Split:
    """Return the images of several splits with the same classes, one split after another."""
    splits = list(parts)
    return Split(
        [identity for split in splits for identity in split.ids],
        np.concatenate([split.labels for split in splits]),
        splits[0].class_names,
        _Joined(tuple(splits)),
        facts=_join_facts(splits),
    )


def _join_facts(splits: Sequence[Split]) -> list[Facts] | None:
    """Return the facts about all images, if they are known for every split."""
    facts = [split.facts for split in splits if split.facts is not None]
    return [one for part in facts for one in part] if len(facts) == len(splits) else None


def check_same_classes(parts: Mapping[str, Split], name: str) -> None:
    """Raise `DataError` if a split has other classes than the training split, or the first one."""
    first_name = "train" if "train" in parts else next(iter(parts))
    first, other = parts[first_name].class_names, parts[name].class_names
    if list(first) == list(other):
        return
    missing, added = sorted(set(first) - set(other)), sorted(set(other) - set(first))
    differences = [f"'{c}' is missing in {name}" for c in missing[:3]]
    differences += [f"'{c}' is in {name} only" for c in added[:3]]
    alike = look_alike([*missing, *added])
    spelled = (
        f"; {alike[0]!a} and {alike[1]!a} differ only in case, spaces or the form of letters"
        if alike
        else ""
    )
    raise DataError(
        f"the splits have different classes: {first_name} has {len(first)} and {name} has "
        f"{len(other)} ({', '.join(differences) or 'in another order'}){spelled}; use the same "
        "classes in each."
    )


def check_trained_classes(train: Split, other: Split, name: str) -> None:
    """Raise `DataError` if a split has images of a class that has no training image."""
    unknown = sorted(set(other.labels.tolist()) - set(train.labels.tolist()))
    if unknown:
        number = int(np.isin(other.labels, unknown).sum())
        raise DataError(
            f"{name} has {counted(number, 'image')} of a class without a training image, such as "
            f"'{other.class_names[unknown[0]]}'; add training images of it, or remove the others."
        )


def check_disjoint(splits: Splits) -> None:
    """Raise `DataError` if an image's id occurs twice, in one split or in two."""
    counts = Counter(i for name in SPLIT_NAMES for i in splits[name].ids)
    for identity, count in counts.items():
        if count > 1:
            raise DataError(f"image '{identity}' occurs twice; remove one of the two.")
