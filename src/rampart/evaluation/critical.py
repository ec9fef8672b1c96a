"""Critical strengths: for each sample the smallest strength of a grid at which it breaks."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from rampart.attacks.base import Attack, Counted
from rampart.attacks.frozen import Model, frozen
from rampart.data.batches import Batch
from rampart.errors import InvalidArgument
from rampart.evaluation.inference import device_of, logits_of
from rampart.metrics.curve import Integers, check_grid
from rampart.runtime import Noise
from rampart.threat import distance
from rampart.units import Norm, format_eps

#: Number of equal parts of [0, eps_g] in the default grid for L2, which has no natural unit.
L2_PARTS = 8


@dataclass(frozen=True, eq=False)
class CriticalStrengths:
    """What attacking over a grid found.

    Attributes:
        samples: (N,) positions in the split.
        labels: (N,) true classes.
        predictions: (N,) predicted classes without perturbation.
        critical: (N,) index of the smallest strength that breaks the sample: 0 where it is wrong
            without perturbation, n + 1 for a survivor.
        forwards: passes of one sample through the model.
        backwards: passes of one sample back to the input.
        seconds: wall-clock time.
    """

    samples: Integers
    labels: Integers
    predictions: Integers
    critical: Integers
    forwards: int
    backwards: int
    seconds: float


def default_grid(eps: float, norm: Norm) -> tuple[float, ...]:
    """Return the strengths to evaluate at, from 0 to eps, which is always the last.

    Linf: k/255 as in the publication, the whole grey levels below eps and eps itself. L2: eight
    equal parts.
    """
    if eps <= 0:
        return (0.0,)
    if norm == "l2":
        return (*(eps * k / L2_PARTS for k in range(L2_PARTS)), eps)
    # 4/255 * 255 may lie a rounding error above 4.
    below = int(np.ceil(eps * 255 - 1e-9))
    return (*(k / 255 for k in range(below)), eps)


def critical_strengths(
    model: Model,
    batches: Iterable[Batch],
    attack: Attack,
    grid: ArrayLike,
    seed: int,
    on_progress: Callable[[int], None] | None = None,
) -> CriticalStrengths:
    """Attack every sample at each strength in turn until it breaks.

    Each strength starts from the clean image, with noise keyed by (seed, sample, level), so a
    result depends neither on the batch size nor on what else is in the batch. A sample counts as
    broken where the attack's image, checked to lie inside ball and box, is misclassified in
    single precision; larger strengths are not tried then.

    Args:
        model: pixels in [0, 1], (N, C, H, W), to logits; asked in eval mode, left as found.
        batches: this process's share; see `merge` for several processes.
        attack: how to attack; one with the option `keep` is strongest with keep="broken".
        grid: (n + 1,) strengths from 0 up.
        seed: of the noise.
        on_progress: called after each batch with the number of samples done so far.

    Raises:
        InvalidArgument: a grid that does not ascend from 0, or an attack that leaves its ball.
    """
    strengths = check_grid(grid).tolist()
    counted, device, start = Counted(model), device_of(model), time.perf_counter()
    parts: list[Tensor] = [torch.zeros(4, 0, dtype=torch.int64)]
    done = 0
    with frozen(model):
        for batch in batches:
            parts.append(_climb(counted, batch.to(device), attack, strengths, seed).cpu())
            done += len(batch)
            if on_progress:
                on_progress(done)
    samples, labels, predictions, critical = torch.cat(parts, dim=1).numpy()
    seconds = time.perf_counter() - start
    return CriticalStrengths(
        samples, labels, predictions, critical, counted.forwards, counted.backwards, seconds
    )


def merge(parts: Sequence[CriticalStrengths]) -> CriticalStrengths:
    """Return the results of all processes as one, in the order of the samples.

    Passes add up; the time is that of the slowest process.

    Raises:
        InvalidArgument: a sample that two processes evaluated.
    """
    order = np.argsort(np.concatenate([part.samples for part in parts]), kind="stable")

    def column(name: str) -> Integers:
        return np.concatenate([getattr(part, name) for part in parts])[order]

    samples = column("samples")
    twice = samples[1:][np.diff(samples) == 0]
    if len(twice):
        raise InvalidArgument("parts", f"sample {twice[0]} twice", "each sample in one part only")
    return CriticalStrengths(
        samples=samples,
        labels=column("labels"),
        predictions=column("predictions"),
        critical=column("critical"),
        forwards=sum(part.forwards for part in parts),
        backwards=sum(part.backwards for part in parts),
        seconds=max(part.seconds for part in parts),
    )


def _climb(
    model: Counted, batch: Batch, attack: Attack, strengths: Sequence[float], seed: int
) -> Tensor:
    """Return (4, N): samples, labels, predictions and critical indices of a batch."""
    images, labels = batch.pixels(), batch.labels
    predictions = logits_of(model, images).argmax(1)
    critical = torch.where(predictions == labels, len(strengths), 0)
    standing = torch.nonzero(predictions == labels)[:, 0]
    for level, eps in enumerate(strengths[1:], start=1):
        if not len(standing):
            break
        noise = Noise.of(seed, batch.samples[standing], "critical", level)
        broken = breaks(model, attack, images[standing], labels[standing], eps, noise)
        critical[standing[broken]] = level
        standing = standing[~broken]
    return torch.stack([batch.samples, labels, predictions, critical])


def breaks(
    model: Model, attack: Attack, images: Tensor, labels: Tensor, eps: float, noise: Noise
) -> Tensor:
    """Return (N,) whether the attack finds a misclassified image at one strength."""
    found = attack(model, images, labels, eps, noise)
    require_inside(found, images, eps, attack)
    return logits_of(model, found).argmax(1) != labels


def require_inside(found: Tensor, images: Tensor, eps: float, attack: Attack) -> None:
    """Raise `InvalidArgument` if an image left the eps ball or the pixel box, or is not a number.

    Up to rounding: x + eps - x may differ from eps by an ulp per pixel.
    """
    reach = distance(found, images, attack.norm)
    boxed = (found >= 0) & (found <= 1)
    if bool((reach <= eps * (1 + 1e-5) + 1e-6).all()) and bool(boxed.all()):
        return
    raise InvalidArgument(
        "attack",
        type(attack).__name__,
        f"images within {attack.norm} {format_eps(eps)} and [0, 1]",
        f"it went {float(reach.max()):.6g} far, to pixels in "
        f"[{float(found.min()):.6g}, {float(found.max()):.6g}]",
    )
