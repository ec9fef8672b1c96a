"""Whether the images are normalized once: what the first layer of a model gets.

A normalization maps black to -2.5 at the lowest and white to 3 at the highest, for the means and
deviations of the usual datasets. Two of them, such as `mean` and `std` on top of a model that
normalizes inside, give three times as much. Accuracy often shows little of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rampart.attacks.frozen import module_of
from rampart.evaluation.checks.checked_model import CheckedModel
from rampart.evaluation.checks.verdict import Verdict, passed, skipped

#: Lowest value of black and highest value of white after one normalization, with some room. The
#: lowest and highest of usual ones are -2.43 (CIFAR-10) and 2.84 (SVHN), and twice 0.5 gives -3.
BLACK, WHITE = -2.8, 3.2
#: A model of bytes maps the pixels to a range of 255.
BYTES = 200.0
#: Largest mean, in size, and largest deviation of the evaluated pixels after a normalization that
#: suits them. A dark dataset may need a range beyond `BLACK` and `WHITE`.
MEAN, DEVIATION = 1.0, 2.25
#: Images that the check asks about, and the largest residual of a straight line.
ASKED, STRAIGHT = 16, 1e-3


@dataclass(frozen=True)
class Entry:
    """What the first layer gets, as a straight line of the pixels of each channel.

    Attributes:
        black: smallest value of a black pixel over the channels.
        white: largest value of a white pixel.
        mean: largest mean of a channel over the images, in size.
        deviation: largest standard deviation.
    """

    black: float
    white: float
    mean: float
    deviation: float

    @property
    def excess(self) -> float:
        """Size of black or white as a multiple of its limit; above 1 for two normalizations."""
        return max(self.black / BLACK, self.white / WHITE)

    @property
    def twice(self) -> bool:
        """Whether one normalization cannot give this range, and it does not suit the images."""
        unsuited = abs(self.mean) > MEAN or self.deviation > DEVIATION
        return self.excess > 1 and unsuited and self.white - self.black < BYTES


def check_normalization(subject: CheckedModel) -> Verdict:
    """Check whether the images are normalized once; it costs `ASKED` forwards."""
    entry = _entry_of(subject)
    if entry is None:
        why = "the first layer takes no images, or is none of torch."
        return skipped("normalization", why)
    if not entry.twice:
        message = "the pixels are normalized once or not at all."
        return passed("normalization", entry.excess, 1.0, message)
    return Verdict(
        "normalization",
        "warn",
        entry.excess,
        1.0,
        f"the first layer gets pixels from {entry.black:.3g} to {entry.white:.3g} (of these images "
        f"mean {entry.mean:.2g}, std {entry.deviation:.2g}), as after two normalizations; one "
        "gives at most -2.5 to 3. If the model normalizes inside, leave out mean and std.",
    )


def _entry_of(subject: CheckedModel) -> Entry | None:
    images = subject.images[:ASKED]
    module = module_of(subject.model)
    if module is None:
        return None
    with _first_input(module) as seen:
        subject.ask(images)
    # A batch on a CPU holds further rows that fill it.
    first = seen[0][: len(images)] if seen else None
    if first is None or first.numel() != images.numel() or len(first) != len(images):
        return None
    return _fit(images, first.view_as(images))


def _fit(images: Tensor, entered: Tensor) -> Entry | None:
    """Fit a straight line to each channel; None if the input is another function of the pixels."""
    pixels, values = (part.transpose(0, 1).flatten(1).double() for part in (images, entered))
    mean, deviation = values.mean(1), values.std(1)
    centered = pixels - pixels.mean(1, keepdim=True)
    size = centered.square().sum(1)
    slope = (centered * values).sum(1) / size.clamp_min(1e-12)
    offset = mean - slope * pixels.mean(1)
    residual = (values - slope[:, None] * pixels - offset[:, None]).abs().amax()
    if bool((size == 0).any()) or not residual <= STRAIGHT * float(values.abs().amax()):
        return None
    low, high = torch.minimum(offset, offset + slope), torch.maximum(offset, offset + slope)
    worst = int(mean.abs().argmax())
    return Entry(float(low.amin()), float(high.amax()), float(mean[worst]), float(deviation.amax()))


@contextmanager
def _first_input(module: nn.Module) -> Iterator[list[Tensor]]:
    """Yield a list that gets the input of the first convolution or linear layer."""
    seen: list[Tensor] = []

    def look(_: nn.Module, arguments: tuple[object, ...]) -> None:
        if not seen and arguments and isinstance(arguments[0], Tensor):
            seen.append(arguments[0].detach().clone())

    hooks = [part.register_forward_pre_hook(look) for part in module.modules() if _is_layer(part)]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _is_layer(part: nn.Module) -> bool:
    """Whether a module has a matrix or a kernel of its own; a scripted one has no hooks."""
    own = part.parameters(recurse=False)
    return not isinstance(part, torch.jit.ScriptModule) and any(p.ndim > 1 for p in own)
