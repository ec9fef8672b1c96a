"""Conversion of one item (image, label) of a torch dataset to pixels and an integer."""

import hashlib
from collections.abc import Sequence
from math import isfinite
from operator import index as as_integer
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from rampart.counting import counted
from rampart.data.decode import Decode, convert, pixels_of
from rampart.data.pictures import Facts, digest_of_bytes, facts_of_picture
from rampart.data.splits import ONE_LABEL
from rampart.errors import DataError, InvalidArgument, reason
from rampart.images_and_labels import to_bytes

#: Usual numbers of channels.
CHANNELS = (1, 3, 4)
#: Advice on several folders.
ONE_FOLDER = "give one folder that holds train/, val/ and test/; data.splits.test=NAME names others"


def pair_of(item: Any, name: str) -> tuple[Any, Any]:
    """Return image and label of an item or a batch; an error names the argument `name`."""
    if isinstance(item, tuple | list) and len(item) == 2:
        return item[0], item[1]
    got = f"items of type {type(item).__name__}"
    if isinstance(item, tuple | list):
        got = f"items of {len(item)} parts"
    advice = "wrap the dataset in one that returns such pairs"
    if isinstance(item, Tensor | np.ndarray):
        advice = "give two tensors (images, labels); torch.from_numpy converts an array"
    if isinstance(item, str | Path):
        advice = ONE_FOLDER
    raise InvalidArgument(name, got, "items (image, label)", advice)


def is_item(image: Any, label: Any) -> bool:
    """Whether a pair is one image with its label, and not a batch of them."""
    return _length(label) is None and (
        isinstance(image, Image.Image) or getattr(image, "ndim", None) == 3
    )


def check_batch(images: Any, labels: Any) -> None:
    """Refuse data other than images (N, C, H, W) with labels (N,)."""
    count = _length(labels)
    if not (isinstance(images, Tensor) and images.ndim == 4 and count == len(images)):
        those = f"a {type(labels).__name__}" if count is None else counted(count, "label")
        got = f"{tuple(getattr(images, 'shape', ()))} with {those}"
        raise InvalidArgument("images", got, "a tensor (N, C, H, W) with labels (N,)")


def _length(labels: Any) -> int | None:
    """Return the number of labels; None for a single one."""
    try:
        return len(labels)
    except TypeError:
        return None


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
        # Damage makes decoders raise errors of any kind.
        except Exception as error:
            raise DataError(f"image {position} cannot be read ({reason(error)}).") from error
    if not isinstance(image, Tensor) or image.ndim != 3:
        got = f"a {type(image).__name__}"
        if isinstance(image, Tensor):
            got = f"a tensor {tuple(image.shape)}"
        raise InvalidArgument(
            "image", got, "a picture of PIL or a tensor (C, H, W)", "apply torchvision's ToTensor"
        )
    image = image.detach()
    _check_form(image)
    if image.dtype == torch.uint8:
        return image.cpu()
    low, high = float(image.min()), float(image.max())
    if not (low >= 0 and high <= 1):
        advice = "remove Normalize, and give mean and std to the model"
        if not (isfinite(low) and isfinite(high)):
            advice = "repair the image or remove it"
        raise InvalidArgument(
            f"image {position}",
            f"pixels from {low:.4g} to {high:.4g}",
            "pixels in [0, 1], or uint8",
            advice,
        )
    return to_bytes(image.cpu())


def _check_form(image: Tensor) -> None:
    """Refuse tensors (C, H, W) that hold no plain pixels, or have the channels last."""
    if image.layout != torch.strided or image.device.type == "meta":
        got = "a tensor without values" if image.device.type == "meta" else "a sparse tensor"
        raise InvalidArgument("image", got, "a dense tensor with values", "use to_dense()")
    if image.dtype != torch.uint8 and not image.is_floating_point():
        raise InvalidArgument("image", image.dtype, "uint8, or floating point in [0, 1]")
    if not image.numel():
        raise InvalidArgument("image", tuple(image.shape), "at least one pixel")
    # An image of more channels is rarely so narrow.
    if image.shape[0] not in CHANNELS and image.shape[-1] in CHANNELS:
        raise InvalidArgument(
            "image",
            f"a tensor {tuple(image.shape)}",
            "(C, H, W), with the channels first",
            "use permute(2, 0, 1), or permute(0, 3, 1, 2) for a batch",
        )


def facts_of(image: Any) -> Facts:
    """Return the facts about an image of a dataset, as `image_of` accepts it."""
    if isinstance(image, Image.Image):
        return facts_of_picture(image)
    # numpy has no bf16.
    plain = image.detach().cpu().contiguous().view(torch.uint8)
    return Facts(digest_of_bytes(plain.numpy().tobytes()))


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
