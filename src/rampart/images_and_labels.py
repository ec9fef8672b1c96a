"""Images and labels as every entry takes them: one check and one conversion.

A check needs the extreme values of a batch. They are read together, so that a GPU is waited for
once and not for each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rampart.deferred import torch
from rampart.errors import InvalidArgument

if TYPE_CHECKING:
    from torch import Tensor

#: Types of pixels; others have too few values, or torch cannot compare them.
PIXEL_TYPES = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True)
class Seen:
    """What a check has read from a batch.

    Attributes:
        classes: number of classes that the labels need: the largest label + 1.
        others: the values of the other numbers that it was asked to read.
    """

    classes: int = 0
    others: tuple[float, ...] = ()


def is_whole(numbers: Tensor) -> bool:
    """Whether a tensor holds integers of any size, and not bools."""
    return not (numbers.is_floating_point() or numbers.is_complex() or numbers.dtype == torch.bool)


def as_labels(numbers: Tensor, like: Tensor) -> Tensor:
    """Return integers of any size as int64 on the device of `like`; other numbers unchanged."""
    return numbers.to(like.device, torch.int64) if is_whole(numbers) else numbers


def check_images(images: Tensor) -> None:
    """Raise `InvalidArgument` unless the images are (N, C, H, W) with pixels in [0, 1]."""
    check_batch(images)


def check_batch(
    images: Tensor,
    labels: Tensor | None = None,
    name: str = "labels",
    others: Sequence[Tensor] = (),
) -> Seen:
    """Check images, and labels if they are integers, and read the device once.

    Args:
        images: (N, C, H, W), floating point, pixels in [0, 1].
        labels: integers of any shape, from 0. Numbers of another type are not labels.
        name: of the labels, for messages.
        others: scalars to read on this occasion.

    Raises:
        InvalidArgument: images of another form or range, or a negative label.
    """
    if images.ndim != 4 or type_of(images) not in PIXEL_TYPES:
        got = f"{type_of(images)} {tuple(images.shape)}"
        raise InvalidArgument("images", got, "floating-point (N, C, H, W)", "divide bytes by 255")
    labeled = labels is not None and is_whole(labels) and labels.numel() > 0
    extremes = [
        *(torch.aminmax(images) if images.numel() else images.new_tensor([0.0, 0.0])),
        *(torch.aminmax(labels) if labeled and labels is not None else (images.new_zeros(()),) * 2),
    ]
    kind = torch.promote_types(images.dtype, torch.float32)
    numbers = [number.detach().to(images.device, kind) for number in (*extremes, *others)]
    low, high, first, last, *rest = torch.stack(numbers).tolist()
    if not (low >= 0 and high <= 1):
        got = f"pixels from {low:.4g} to {high:.4g}"
        raise InvalidArgument(
            "images", got, "pixels in [0, 1]", "leave the normalization to the model"
        )
    if first < 0:
        raise InvalidArgument(
            name, int(first), "whole numbers from 0", "leave out the images without a label"
        )
    return Seen(int(last) + 1 if labeled else 0, tuple(rest))


def require_classes(needed: int, classes: int, name: str = "labels") -> None:
    """Raise `InvalidArgument` if the labels need more classes than the model has."""
    if needed > classes:
        expected = f"0 to {classes - 1}, because the model has {classes} classes"
        raise InvalidArgument(name, needed - 1, expected)


def fit_labels(labels: Tensor, logits: Tensor, name: str = "labels") -> Tensor:
    """Return the labels of a batch as int64; this reads the device.

    Args:
        labels: (N,), integers of any size.
        logits: (N, K), the model's.
        name: for messages.

    Raises:
        InvalidArgument: not one integer from 0 to K - 1 for each row.
    """
    if labels.shape != logits.shape[:1] or not is_whole(labels):
        got = f"{type_of(labels)} {tuple(labels.shape)}"
        raise InvalidArgument(name, got, f"whole numbers (N,) with N = {len(logits)}")
    labels = as_labels(labels, logits)
    if len(labels):
        first, last = torch.stack(torch.aminmax(labels)).tolist()
        if not 0 <= first <= last < logits.shape[1]:
            expected = (
                f"0 to {logits.shape[1] - 1}, because the model has {logits.shape[1]} classes"
            )
            raise InvalidArgument(name, first if first < 0 else last, expected)
    return labels


def to_bytes(images: Tensor) -> Tensor:
    """Return images of any shape with pixels in [0, 1] as uint8, rounded once."""
    # bf16 and fp16 would round the product once more.
    exact = images.to(torch.promote_types(images.dtype, torch.float32))
    return (exact * 255).round().to(torch.uint8)


def type_of(value: Tensor | torch.dtype) -> str:
    """Return the name of a type, or of that of a tensor, such as float32."""
    dtype = value.dtype if isinstance(value, torch.Tensor) else value
    return str(dtype).removeprefix("torch.")
