"""Which training images have an easy clean, a hard clean or a truly noisy label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rampart.deferred import torch
from rampart.errors import InvalidArgument

if TYPE_CHECKING:
    from torch import Tensor

#: The groups of training images.
EASY, HARD, NOISY = 0, 1, 2


class Separation:
    """The group of every training image, renewed after each epoch.

    Coarse, once: an image is easy clean if the guidance agrees with its label (`agrees`). Fine,
    after each epoch: another image is hard clean if the model's own probability of its label
    reaches the threshold of its class, and else truly noisy. The threshold is the mean of that
    probability over the easy clean images of the class, so it follows the model. Before the first
    epoch nothing is known of the model, and every image that is not easy clean counts as truly
    noisy.

    The groups change between epochs only. So they do not depend on the batch size, the order of the
    images or micro-batches.

    Args:
        guidance: (N, K), probabilities of the classes from outside the model, for every image.
        labels: (N,), given labels.

    Attributes:
        guidance, labels: the arguments.
        groups: (N,) int64, `EASY`, `HARD` or `NOISY`.
        own: (N,) own probability of the label, -1 before the image was seen.

    Raises:
        InvalidArgument: guidance of another length than the labels, or without some of their
            classes; or numbers that are not probabilities.
    """

    def __init__(self, guidance: Tensor, labels: Tensor) -> None:
        check_guidance(guidance, labels)
        self.guidance, self.labels = guidance.float(), labels
        self.easy = agrees(self.guidance, labels)
        self.groups = torch.where(self.easy, EASY, NOISY)
        self.own = torch.full((len(labels),), -1.0, device=labels.device)
        self._seen = self.own.clone()

    def record(self, indices: Tensor, own: Tensor) -> None:
        """Note the own probability of the label (N,); of several in an epoch the largest counts."""
        self._seen.scatter_reduce_(0, indices, own, "amax")

    def renew(self) -> None:
        """Separate the images anew, after an epoch."""
        self.own = torch.where(self._seen >= 0, self._seen, self.own)
        self._seen = torch.full_like(self._seen, -1.0)
        known = self.easy & (self.own >= 0)
        limits = class_means(self.own, self.labels, known, self.guidance.shape[1])
        hard = ~self.easy & (self.own >= limits[self.labels])
        self.groups = torch.where(self.easy, EASY, torch.where(hard, HARD, NOISY))

    def to(self, device: torch.device) -> None:
        """Move all tensors."""
        for name, value in vars(self).items():
            setattr(self, name, value.to(device))

    def state_dict(self) -> dict[str, Tensor]:
        """Return a copy of what an exact resume needs; later epochs do not change it."""
        state = {"groups": self.groups, "own": self.own, "seen": self._seen}
        return {name: value.clone() for name, value in state.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state_dict` returned."""
        for name, mine in (("groups", self.groups), ("own", self.own), ("seen", self._seen)):
            mine.copy_(state[name])


def agrees(guidance: Tensor, labels: Tensor) -> Tensor:
    """Return whether the guidance agrees with each label, (N,) bool.

    It does if the label is its likeliest class, or if its probability of the label is above the
    mean of this probability over all images with the label. This mean is the threshold of confident
    learning (Northcutt et al. 2021, arXiv 1911.00068, eq. 2). Unlike the likeliest class alone, it
    also tells labels apart with weak guidance, whose likeliest class is often wrong. A probability
    equal to the mean does not agree: guidance that says the same of every image of a class, such as
    0, tells none of them apart.

    Args:
        guidance: (N, K), probabilities.
        labels: (N,).
    """
    own = guidance.gather(1, labels[:, None])[:, 0]
    limits = class_means(own, labels, torch.ones_like(labels, dtype=torch.bool), guidance.shape[1])
    return (guidance.argmax(1) == labels) | (own > limits[labels])


def class_means(values: Tensor, labels: Tensor, chosen: Tensor, classes: int) -> Tensor:
    """Return the mean of the chosen values of each class, (K,).

    A class without any gets the mean over all classes; 1 if nothing is chosen.

    Args:
        values: (N,), in [0, 1] where chosen.
        labels: (N,), in 0..classes-1.
        chosen: (N,) bool.
        classes: K.
    """
    # In fp64 on the CPU the sum is the same on every device.
    place, weight = labels.cpu(), chosen.cpu().double()
    value = values.cpu().double() * weight
    sums = torch.zeros(classes, dtype=torch.float64).scatter_add_(0, place, value)
    counts = torch.zeros(classes, dtype=torch.float64).scatter_add_(0, place, weight)
    overall = value.sum() / weight.sum() if weight.sum() > 0 else torch.tensor(1.0).double()
    means = torch.where(counts > 0, sums / counts.clamp(min=1), overall)
    return means.float().to(values.device)


def check_guidance(guidance: Tensor, labels: Tensor) -> None:
    """Refuse guidance that does not fit the labels of the training images.

    Raises:
        InvalidArgument: see `Separation`.
    """
    shape = tuple(guidance.shape)
    if guidance.ndim != 2 or len(guidance) != len(labels):
        expected = f"one row of class probabilities for each of the {len(labels)} training images"
        raise InvalidArgument("guidance", f"shape {shape}", expected)
    if len(labels) and int(labels.max()) >= shape[1]:
        expected = f"a column for every class, as the labels reach {int(labels.max())}"
        raise InvalidArgument("guidance", f"{shape[1]} classes", expected)
    sums = guidance.double().sum(1)
    if not bool((guidance >= 0).all()) or not bool(((sums - 1).abs() < 1e-3).all()):
        expected = "probabilities: numbers from 0 to 1 whose sum is 1 in every row"
        got = f"numbers from {float(guidance.min()):.3g} to {float(guidance.max()):.3g}"
        raise InvalidArgument("guidance", got, expected, "a softmax turns logits into them")
