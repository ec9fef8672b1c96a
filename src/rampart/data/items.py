"""Conversion of one item (image, label) of a torch dataset to pixels and an integer."""

import hashlib
from collections.abc import Sequence
from operator import index as as_integer
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from rampart.counting import counted
from rampart.data.decode import UNREADABLE, Decode, convert, pixels_of
from rampart.data.pictures import Facts, digest_of_bytes, facts_of_picture
from rampart.data.splits import ONE_LABEL
from rampart.errors import DataError, InvalidArgument, reason


def pair_of(item: Any, name: str) -> tuple[Any, Any]:
    """Return image and label of an item or a batch; an error names the argument `name`."""
    if isinstance(item, tuple | list) and len(item) == 2:
        return item[0], item[1]
    got = f"items of type {type(item).__name__}"
    if isinstance(item, tuple | list):
        got = f"items of {len(item)} parts"
    raise InvalidArgument(
        name, got, "items (image, label)", "wrap the dataset in one that returns such pairs"
    )


def check_batch(images: Any, labels: Any) -> None:
    """Refuse data other than images (N, C, H, W) with labels (N,)."""
    if not (isinstance(images, Tensor) and images.ndim == 4 and len(labels) == len(images)):
        got = f"{tuple(getattr(images, 'shape', ()))} with {counted(len(labels), 'label')}"
        raise InvalidArgument("images", got, "a tensor (N, C, H, W) with labels (N,)")


def label_of(label: Any) -> int:
    """Return a label as an integer; raise `InvalidArgument` for anything else."""
    try:
        if isinstance(label, bool | np.bool_):
            raise TypeError
        return as_integer(label)
    except TypeError:
        raise InvalidArgument(
            "label",
            label,
            "an integer of at least 0",
            ONE_LABEL,
        ) from None


def image_of(image: Any, position: int, decode: Decode | None) -> Tensor:
    """Return the pixels (C, H, W) uint8 of an image of a dataset.

    Args:
        image: a picture of PIL, or a tensor (C, H, W), uint8 or floating point in [0, 1].
        position: for error messages.
        decode: turns a picture into pixels; by default the picture keeps its size.

    Raises:
        InvalidArgument: another kind of image, or pixels outside [0, 1].
        DataError: the picture cannot be read.
    """
    if isinstance(image, Image.Image):
        try:
            return decode(image) if decode else _own_size(image)
        except UNREADABLE as error:
            raise DataError(f"image {position} cannot be read ({reason(error)}).") from error
    if not isinstance(image, Tensor) or image.ndim != 3:
        got = f"a {type(image).__name__}"
        if isinstance(image, Tensor):
            got = f"a tensor {tuple(image.shape)}"
        raise InvalidArgument(
            "image", got, "a picture of PIL or a tensor (C, H, W)", "apply torchvision's ToTensor"
        )
    if image.dtype == torch.uint8:
        return image.detach().cpu()
    if not image.is_floating_point():
        raise InvalidArgument("image", image.dtype, "uint8, or floating point in [0, 1]")
    low, high = float(image.min()), float(image.max())
    if not (low >= 0 and high <= 1):
        raise InvalidArgument(
            "image",
            f"pixels from {low:.4g} to {high:.4g}",
            "pixels in [0, 1], or uint8",
            "remove Normalize, and give mean and std to the model",
        )
    # bf16 and fp16 would round the product once more.
    exact = image.detach().cpu().to(torch.promote_types(image.dtype, torch.float32))
    return (exact * 255).round().to(torch.uint8)


def facts_of(image: Any) -> Facts:
    """Return the facts about an image of a dataset, as `image_of` accepts it."""
    if isinstance(image, Image.Image):
        return facts_of_picture(image)
    return Facts(digest_of_bytes(image.detach().cpu().contiguous().numpy().tobytes()))


def _own_size(picture: Image.Image) -> Tensor:
    return pixels_of(convert(picture, 1 if picture.mode in ("1", "L") else 3))


def require_size(image: Tensor, first: Tensor, position: int) -> None:
    """Refuse an image of another size than the first one."""
    if image.shape != first.shape:
        raise DataError(
            f"image {position} has shape {tuple(image.shape)}, but the first one "
            f"{tuple(first.shape)}: resize them to one size, or give pictures of PIL and "
            "image_size."
        )


def digest_of(image: Tensor) -> str:
    """Return a digest of 8 hexadecimal digits of an image (C, H, W) uint8."""
    return hashlib.blake2b(image.contiguous().numpy().tobytes(), digest_size=4).hexdigest()


def numbered_names(labels: Sequence[int]) -> list[str]:
    """Return names for unnamed classes: their numbers, up to the largest label."""
    return [str(number) for number in range(max(labels) + 1)]
