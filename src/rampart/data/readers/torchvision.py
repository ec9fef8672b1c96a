"""Datasets of torchvision, `torch/<name>`, with their published splits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from rampart.data.decode import Decode, Decoded, ImageFile, unreadable
from rampart.data.pictures import Facts, facts_of_picture
from rampart.data.readers.request import Found, Request
from rampart.data.readers.torch_names import TORCH_NAMES, TorchName
from rampart.data.splits import Split
from rampart.errors import InvalidArgument, UnknownName
from rampart.progress.tqdm_bars import tqdm_bars
from rampart.value_types import require_no_booleans

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Pictures:
    """Pixels of the pictures of a library's dataset.

    Attributes:
        picture: position to PIL picture.
        decode: turns a picture into pixels.
        name: of the dataset, for error messages.
    """

    picture: Callable[[int], Image.Image]
    decode: Decode
    name: str

    def __call__(self, index: int) -> Tensor:
        """Return image `index`, (C, H, W) uint8; raise `DataError` if it is unreadable."""
        try:
            return self.decode(self.picture(index))
        # Damage makes decoders raise errors of any kind.
        except Exception as error:
            raise unreadable(f"{self.name}[{index}]", error) from error

    def facts(self, index: int) -> Facts:
        """Return the facts about image `index`; raise `DataError` if it is unreadable."""
        try:
            return facts_of_picture(self.picture(index))
        except Exception as error:
            raise unreadable(f"{self.name}[{index}]", error) from error


def load_torch(request: Request) -> Found:
    """Return the published splits of a dataset of torchvision; errors as `load_library`."""
    import torchvision.datasets

    name = request.rest.lower()
    if name not in TORCH_NAMES:
        raise UnknownName("torchvision dataset", request.rest, TORCH_NAMES)
    if not request.root:
        raise InvalidArgument("root", "''", "a folder for the files of torchvision")
    if request.splits:
        raise InvalidArgument("splits", request.splits, "none for a dataset of torchvision")
    known = TORCH_NAMES[name]
    build = getattr(torchvision.datasets, known.cls)
    _require_options(build, known, request.options)
    return {
        split: _torch_split(build, split, chosen, request) for split, chosen in known.splits.items()
    }, []


def _require_options(
    build: Callable[..., Any], known: TorchName, options: Mapping[str, Any]
) -> None:
    """Refuse options that the dataset does not have, or that Rampart sets itself."""
    chosen = {"root", "download", "transform", "target_transform"}.union(*known.splits.values())
    parameters = signature(build).parameters
    free = [name for name in parameters if name not in chosen]
    any_name = any(one.kind is Parameter.VAR_KEYWORD for one in parameters.values())
    for option in options:
        if option in chosen or not (option in free or any_name):
            raise UnknownName(f"option of torchvision's {known.cls}", str(option), free or ["none"])
    require_no_booleans("data.options", options, build)


def _torch_split(
    build: Callable[..., Any], split: str, chosen: Mapping[str, Any], request: Request
) -> Split:
    arguments = {"root": request.root, **chosen, **request.options}
    decode = request.decode
    try:
        dataset = build(**arguments, download=False)
    except (RuntimeError, OSError):
        if not request.download:
            raise
        Path(request.root).mkdir(parents=True, exist_ok=True)
        with tqdm_bars(request.name):
            dataset = build(**arguments, download=True)
    labels = _torch_labels(dataset)
    classes = getattr(dataset, "classes", None) or getattr(dataset, "categories", None)
    names = [_class_name(c) for c in classes or range(int(labels.max()) + 1)]
    ids = [f"{split}/{i}" for i in range(len(labels))]
    files = _files_of(dataset)
    if len(files) == len(ids):
        return Split(ids, labels, names, Decoded(files, [str(file.path) for file in files], decode))
    return Split(ids, labels, names, Pictures(_First(dataset), decode, f"{request.name} {split}"))


def _class_name(name: Any) -> str:
    """Return the name of a class as text; of several synonyms, as in Imagenette, the first."""
    return str(name[0] if isinstance(name, tuple) else name)


def _files_of(dataset: Any) -> list[ImageFile]:
    """Return the files of the images of a torchvision dataset; [] if it has none or hides them."""
    for attribute in ("_image_files", "_images", "_samples", "samples"):
        if files := getattr(dataset, attribute, None):
            paths = [one[0] if isinstance(one, tuple) else one for one in files]
            return [ImageFile(Path(path)) for path in paths]
    if type(dataset).__name__ in ("Caltech101", "Caltech256"):
        return [
            _caltech_file(dataset, int(k), n) for k, n in zip(dataset.y, dataset.index, strict=True)
        ]
    return []


def _caltech_file(dataset: Any, label: int, number: int) -> ImageFile:
    """Return image `number` of a class; the datasets of Caltech hide the paths."""
    name = dataset.categories[label]
    if type(dataset).__name__ == "Caltech101":
        return ImageFile(
            Path(dataset.root, "101_ObjectCategories", name, f"image_{number:04d}.jpg")
        )
    file = f"{label + 1:03d}_{number:04d}.jpg"
    return ImageFile(Path(dataset.root, "256_ObjectCategories", name, file))


@dataclass(frozen=True)
class _First:
    """The picture of an item `(picture, label)`."""

    dataset: Any

    def __call__(self, index: int) -> Image.Image:
        return self.dataset[index][0]


def _torch_labels(dataset: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the labels of a torchvision dataset, whose attribute has several names."""
    for attribute in ("targets", "labels", "_labels", "y"):
        if hasattr(dataset, attribute):
            return np.asarray(getattr(dataset, attribute), dtype=np.int64)
    return np.asarray([label for _, label in dataset._samples], dtype=np.int64)
