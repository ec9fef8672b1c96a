"""Decoding an image file: read, convert, and resize to a square.

The pixels equal those of timm's evaluation transform with `crop_pct=1`, `interpolation="bicubic"`
and `crop_mode="center"` (or "squash"), which `config.json` of a saved model names.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar, get_args

import numpy as np
from PIL import Image, UnidentifiedImageError

from rampart.choices import Resize
from rampart.data.deep_png import has_16_bits, to_8_bits
from rampart.data.naming import not_a_file
from rampart.data.pictures import Facts, facts_of_file, on_white, upright
from rampart.data.splits import InMemory, Split
from rampart.deferred import torch
from rampart.errors import DataError, InvalidArgument
from rampart.progress.work import watched

if TYPE_CHECKING:
    from torch import Tensor

S = TypeVar("S")
T = TypeVar("T")

#: Largest number of megapixels of a picture, also of one about to be cropped. Decoding takes
#: up to 12 bytes a pixel, and many pictures are decoded at once.
MEGAPIXELS = 80


class Encoded(Protocol):
    """An encoded image, wherever it is stored."""

    def read(self) -> bytes:
        """Return the encoded bytes."""
        ...


@dataclass(frozen=True)
class ImageFile:
    """An encoded image: a file, or a part of a tar.

    Attributes:
        path: the file.
        offset: start of the image in the file, in bytes.
        size: length in bytes; -1 for the rest of the file.
    """

    path: Path
    offset: int = 0
    size: int = -1

    def read(self) -> bytes:
        """Return the encoded bytes."""
        if not self.path.is_file():
            # Reading from a pipe or a device may never end.
            raise OSError(not_a_file(self.path))
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


@dataclass(frozen=True)
class Decode:
    """Turns a picture into (C, image_size, image_size) uint8.

    Attributes:
        image_size: side of the square, in pixels; at least 1.
        in_chans: 3 (RGB) or 1 (gray).
        resize: "crop" resizes the shorter side and crops the center; "squash" resizes both sides,
            which changes the aspect ratio.
    """

    image_size: int
    in_chans: int = 3
    resize: Resize = "crop"

    def __post_init__(self) -> None:
        if self.image_size < 1:
            raise InvalidArgument("image_size", self.image_size, "at least 1 pixel")
        if self.in_chans not in (1, 3):
            raise InvalidArgument("in_chans", self.in_chans, "3 (color) or 1 (gray)")
        if self.resize not in get_args(Resize):
            raise InvalidArgument("resize", self.resize, " or ".join(get_args(Resize)))

    def __call__(self, picture: Image.Image) -> Tensor:
        """Return the pixels of a picture; errors as `convert`."""
        _require_size(picture.size, "has", "make it smaller")
        return pixels_of(self._square(convert(picture, self.in_chans)))

    def _square(self, picture: Image.Image) -> Image.Image:
        """Resize and crop in two steps; one step would round the borders of the crop differently.

        The longer side is rounded down, and the crop begins at a whole pixel of the resized
        picture, as in torchvision's Resize and CenterCrop.
        """
        size = self.image_size
        width, height = (self._side(side, min(picture.size)) for side in picture.size)
        do = "crop its longer side, or use data.resize=squash"
        _require_size((width, height), "is so long that before its center is cropped it has", do)
        if picture.size != (width, height):
            picture = picture.resize((width, height), Image.Resampling.BICUBIC)
        left, top = round((width - size) / 2), round((height - size) / 2)
        return picture.crop((left, top, left + size, top + size))

    def _side(self, side: int, shorter: int) -> int:
        """Return a side of the resized picture, of which the center is cropped."""
        return self.image_size if self.resize == "squash" else self.image_size * side // shorter


def convert(picture: Image.Image, in_chans: int) -> Image.Image:
    """Return a picture with 3 channels (RGB) or 1 (gray), upright and on white.

    A PNG with 16 bits per channel is rescaled to 8.

    Raises:
        ValueError: another picture has more than 8 bits per channel, which would be clipped.
    """
    if has_16_bits(picture):
        picture = to_8_bits(picture)
    if picture.mode.startswith(("I", "F")):
        raise ValueError(f"mode {picture.mode} has more than 8 bits per channel: convert it first")
    picture = on_white(upright(picture))
    mode = "RGB" if in_chans == 3 else "L"
    # PIL would copy a picture that has the mode already.
    return picture if picture.mode == mode else picture.convert(mode)


def pixels_of(picture: Image.Image) -> Tensor:
    """Return the (C, H, W) uint8 pixels of a picture in RGB or gray."""
    pixels = np.array(picture)
    return torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).permute(2, 0, 1).contiguous()


@dataclass(frozen=True)
class Decoded:
    """Pixels of encoded images, decoded at every access.

    Attributes:
        files: N images.
        ids: N names for error messages.
        decode: turns a picture into pixels.
    """

    files: Sequence[Encoded]
    ids: Sequence[str]
    decode: Decode

    def __call__(self, index: int) -> Tensor:
        """Return image `index`, (C, H, W) uint8; raise `DataError` if it is unreadable."""
        try:
            with Image.open(io.BytesIO(self.files[index].read())) as picture:
                return self.decode(picture)
        # Damage makes decoders raise errors of any kind: RuntimeError of AVIF, struct.error, ...
        except Exception as error:
            raise self._unreadable(index, error) from error

    def facts(self, index: int) -> Facts:
        """Return the facts about image `index`; raise `DataError` if its header is unreadable."""
        try:
            return facts_of_file(self.files[index].read())
        except Exception as error:
            raise self._unreadable(index, error) from error

    def _unreadable(self, index: int, error: BaseException) -> DataError:
        try:
            content = self.files[index].read()
        except Exception:
            # The reason is in the first error.
            content = None
        return unreadable(self.ids[index], error, content)


def unreadable(name: str, error: BaseException, content: bytes | None = None) -> DataError:
    """Return the error for an image that cannot be decoded; `content` is that of its file."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, UnidentifiedImageError):
        reason = "not an image" if content is None else _kind(content)
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        reason = f"it has more than {MEGAPIXELS} megapixels: make it smaller"
    return DataError(f"image '{name}' cannot be read ({reason}); repair it or remove it.")


def _require_size(size: tuple[int, int], has: str, do: str) -> None:
    """Refuse a picture that would need too much memory."""
    width, height = size
    if width * height > MEGAPIXELS * 1e6:
        megapixels = width * height / 1e6
        raise ValueError(
            f"it {has} {width} x {height} = {megapixels:.0f} megapixels, more than {MEGAPIXELS}: "
            f"{do}"
        )


def _kind(content: bytes) -> str:
    """Return what a file with the ending of an image is instead."""
    if not content:
        return "the file is empty"
    if content.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS: run git lfs pull"
    if content.lstrip()[:1] == b"<":
        return "a web page, XML or SVG"
    if content[4:8] == b"ftyp" and content[8:12] not in (b"avif", b"avis"):
        return "a HEIC photo or a video: convert it to JPEG"
    return "not an image"


def each(task: Callable[[S], T], arguments: Sequence[S], name: str = "") -> list[T]:
    """Run a task on every image in threads; PIL decodes without the global lock.

    Args:
        task: of one image.
        arguments: one for each image.
        name: of the work, for the display; "" for work that is a part of a larger one.
    """
    with ThreadPoolExecutor(max_workers=min(16, os.cpu_count() or 1)) as pool:
        try:
            done = pool.map(task, arguments)
            return list(watched(done, name, len(arguments)) if name else done)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def in_memory(split: Split) -> Split:
    """Return the split with all images decoded in memory."""
    if split.in_memory:
        return split
    first = split.pixels(0)
    images = torch.empty(len(split), *first.shape, dtype=torch.uint8)

    def fill(index: int) -> None:
        images[index] = split.pixels(index)

    each(fill, range(len(split)), "decoding")
    return replace(split, pixels=InMemory(images))
