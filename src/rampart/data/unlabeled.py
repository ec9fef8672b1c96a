"""Images without labels: files, folders, pictures of PIL and tensors."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from rampart.counting import counted
from rampart.data.decode import Decode, Decoded, ImageFile, each
from rampart.data.items import image_of, require_size
from rampart.data.naming import require_images
from rampart.data.readers.tree import read_tree
from rampart.data.spelling import require_utf8
from rampart.data.splits import Split
from rampart.errors import DataError, InvalidArgument
from rampart.images_and_labels import check_images

#: Readable kinds of images, for messages.
READABLE = "paths of images or folders, pictures of PIL, or a tensor (N, C, H, W)"


@dataclass(frozen=True)
class Item:
    """One image.

    Attributes:
        id: path of its file, or its position.
        read: returns its pixels (C, H, W), uint8 or floating point in [0, 1].
        optional: whether it is left out if it cannot be read, because nobody named it.
    """

    id: str
    read: Callable[[], Tensor]
    optional: bool = False


@dataclass(frozen=True)
class Unlabeled:
    """Images without labels.

    Attributes:
        items: one for each image, at least one.
        notes: sentences on what was left out.
    """

    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_utf8([item.id for item in self.items])

    def __len__(self) -> int:
        return len(self.items)

    def batches(self, size: int) -> Iterator["ReadBatch"]:
        """Yield all images in their order, `size` at a time; optional ones may be missing.

        Raises:
            DataError: an image that is not optional cannot be read, or has another size.
        """
        if size < 1:
            raise InvalidArgument("batch_size", size, "at least 1")
        first: Tensor | None = None
        for start in range(0, len(self), size):
            part = self.items[start : start + size]
            ids, images, unreadable = list[str](), list[Tensor](), list[str]()
            for position, (item, read) in enumerate(zip(part, each(_try, part), strict=True)):
                if isinstance(read, DataError):
                    unreadable.append(str(read))
                    continue
                first = read if first is None else first
                require_size(read, first, start + position)
                ids.append(item.id)
                images.append(read)
            yield ReadBatch(ids, torch.stack(images) if images else None, unreadable)


@dataclass(frozen=True)
class ReadBatch:
    """Some images.

    Attributes:
        ids: of the images.
        images: (N, C, H, W) float32, pixels in [0, 1]; None if none of them could be read.
        unreadable: a sentence for each image that could not be read.
    """

    ids: list[str]
    images: Tensor | None
    unreadable: list[str]

    def __len__(self) -> int:
        return len(self.ids) + len(self.unreadable)


def unlabeled(images: Any, decode: Decode) -> Unlabeled:
    """Return images without labels.

    A named file has to be an image. In a folder or a .tar, files without the ending of an image are
    left out and noted, and `Unlabeled.batches` leaves out those that cannot be read.

    Args:
        images: the path of an image, a folder or a .tar; a picture of PIL; a tensor (C, H, W) or
            (N, C, H, W), uint8 or floating point in [0, 1], which is not rounded; a `Split`, whose
            labels are not used; or a sequence of them.
        decode: turns a picture into pixels; tensors keep their size.

    Raises:
        DataError: a path does not exist, or there is no image.
        InvalidArgument: another kind of image, pixels outside [0, 1], or other channels.
    """
    items, notes = list[Item](), list[str]()
    for one in images if isinstance(images, list | tuple) else [images]:
        items += _items_of(one, decode, len(items), notes)
    if not items:
        raise DataError("there is no image: give at least one.")
    return Unlabeled(tuple(items), tuple(notes))


def _items_of(one: Any, decode: Decode, start: int, notes: list[str]) -> Iterable[Item]:
    """Return the images of one argument; `start` is the position of the first."""
    if isinstance(one, str | Path):
        return _in_path(Path(one).expanduser(), decode, notes)
    if isinstance(one, Split):
        return [Item(name, partial(one.pixels, i)) for i, name in enumerate(one.ids)]
    if isinstance(one, Image.Image):
        return [Item(str(start), partial(image_of, one, start, decode))]
    if isinstance(one, Tensor) and one.ndim in (3, 4):
        return _in_tensor(one if one.ndim == 4 else one[None], decode.in_chans, start)
    got = f"a tensor {tuple(one.shape)}" if isinstance(one, Tensor) else f"a {type(one).__name__}"
    do = "torch.from_numpy or PIL.Image.fromarray converts an array"
    raise InvalidArgument("images", got, READABLE, do if hasattr(one, "__array__") else "")


def _in_tensor(images: Tensor, channels: int, start: int) -> Iterable[Item]:
    if images.dtype != torch.uint8:
        check_images(images)
    if images.shape[1] != channels:
        expected = f"(N, C, H, W) with C = {channels}, the channels of the model"
        raise InvalidArgument("images", tuple(images.shape), expected)
    rows = images.detach().cpu()
    return [Item(str(start + i), partial(rows.__getitem__, i)) for i in range(len(rows))]


def _in_path(path: Path, decode: Decode, notes: list[str]) -> Iterable[Item]:
    if path.is_file() and path.suffix.lower() != ".tar":
        return [Item(str(path), partial(Decoded([ImageFile(path)], [str(path)], decode), 0))]
    require_images(path)
    tree = read_tree(path)
    found, left_out = list(tree.walk(f"{path}/")), tree.all_left_out()
    if not found:
        but = f", only other files ({left_out})" if left_out else ""
        raise DataError(f"'{path}' has no image{but}: give a folder of images.")
    if left_out:
        notes.append(f"left out of {path}, because they are not image files: {left_out}.")
    ids, files = zip(*found, strict=True)
    decoded = Decoded(files, ids, decode)
    return [Item(name, partial(decoded, i), optional=True) for i, name in enumerate(ids)]


def _try(item: Item) -> Tensor | DataError:
    """Return the pixels as float32 in [0, 1], or the error for an image that may be left out."""
    try:
        pixels = item.read()
    except DataError as error:
        if item.optional:
            return error
        raise
    return pixels.to(torch.float32) / 255 if pixels.dtype == torch.uint8 else pixels.float()


def explain_unreadable(sentences: list[str], total: int) -> str:
    """Return one sentence about the images that could not be read."""
    return f"left out {len(sentences)} of {counted(total, 'image')}: {sentences[0]}"
