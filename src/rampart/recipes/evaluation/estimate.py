"""The cost of an evaluation before it starts: a range of passes and minutes, from a short timing.

Nearly all of the cost lies in images that withstand their attack. A few images are therefore
attacked for some steps at the smallest strength of the grid: the fraction that withstands it, with
its interval, bounds the number of such images. Noise is keyed, so no result depends on it.
"""

import time
from dataclasses import dataclass

import torch
from accelerate import Accelerator

from rampart.attacks.frozen import frozen
from rampart.attacks.pgd import Pgd
from rampart.counting import counted, in_millions, spell_range
from rampart.data.batches import Batch, ordered_batches
from rampart.data.subset import subset
from rampart.evaluation.criterion import Criterion
from rampart.evaluation.inference import ROWS, QueriedModel, logits_of
from rampart.images_and_labels import fit_labels
from rampart.metrics.intervals import proportion_interval
from rampart.progress.work import is_shown, tell
from rampart.recipes.evaluation.subject import Subject
from rampart.recipes.measurable import evaluation_grid
from rampart.recipes.passes import evaluation_passes
from rampart.runtime import Noise, scoped_seed
from rampart.threat import per_sample
from rampart.units import format_eps

#: An evaluation that takes less is not announced; the timing itself takes at most `BUDGET` or so.
WORTH, BUDGET = 60.0, 10.0
#: Steps of the short attack.
STEPS = 10
#: Passes in fast mode as a fraction of those in exact mode, for an image that withstands everything
#: and is not rechecked: 1/15 on a ResNet-20, 1/13 on a GroupNorm network (`benchmarks.curve`).
FAST = 1 / 16
#: Most passes at a strength at which an image falls at once.
FALL = 3
#: What the pictures, and rows that only fill a batch, may add.
MORE = 1.1


@dataclass(frozen=True)
class Timing:
    """What a few images tell.

    Attributes:
        images: number of images.
        withstand: how many of them withstand the short attack; None if it did not run.
        right: how many of them are classified correctly.
        seconds: of one pass of one image.
    """

    images: int
    withstand: int | None
    right: int
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """The cost of an evaluation, from its least to its most.

    Attributes:
        images: number of images.
        passes: the least and the most.
        seconds: likewise, on this machine.
        basis: the timing.
        each: passes of an image that withstands everything.
        at: strength of the short attack, spelled.
    """

    images: int
    passes: tuple[float, float]
    seconds: tuple[float, float]
    basis: Timing
    each: float
    at: str

    def __str__(self) -> str:
        """Return the cost and its basis in one sentence."""
        least, most = map(in_millions, self.passes)
        low, high = (seconds / 3600 for seconds in self.seconds)
        passes = most if least == most else f"{least} to {most}"
        found = self.basis
        seen = (
            f"{found.right} are classified correctly"
            if found.withstand is None
            else f"{found.withstand} withstand a short attack at {self.at}"
        )
        return (
            f"{counted(self.images, 'image')} will take {passes} passes, {spell_range(low, high)} "
            f"(estimated from {counted(found.images, 'image')}, of which {seen}; an image that "
            f"withstands the whole attack takes up to {in_millions(self.each)} passes)"
        )


def tell_cost(subject: Subject, accelerator: Accelerator, done: int) -> None:
    """Say what a long evaluation will cost, if anyone looks; `done` images need no attack."""
    if not is_shown() or subject.config.threat.eps == 0 or done >= len(subject.split):
        return
    found = estimate(subject, time_images(subject), done, accelerator.num_processes)
    if found.seconds[1] >= WORTH:
        tell(str(found))


def estimate(subject: Subject, timing: Timing, done: int = 0, processes: int = 1) -> Estimate:
    """Return the cost of the images that are not done, shared by some processes."""
    config, n = subject.config, len(subject.split) - done
    each = evaluation_passes(config, len(subject.splits.class_names))
    grid, right = evaluation_grid(config), proportion_interval(timing.right, timing.images).high
    low, high = 0.0, right
    if timing.withstand is not None:
        interval = proportion_interval(timing.withstand, timing.images)
        low, high = interval.low, interval.high
    saved = FAST if config.evaluation.mode == "fast" else 1.0
    falls = right * FALL * (len(grid) - 1)
    passes = (n * (1 + low * each * saved), n * (1 + high * each + falls) * MORE)
    least, most = (value * timing.seconds / processes for value in passes)
    return Estimate(n, passes, (least, most), timing, each, format_eps(grid[1], grid[-1]))


def time_images(subject: Subject) -> Timing:
    """Classify a few images, and attack them for some steps at the smallest strength."""
    config, split = subject.config, subject.split
    part = subset(split, limit=min(ROWS, len(split)), seed=config.seed)
    (batch,) = ordered_batches(part, len(part))
    batch = batch.to(subject.model.device)
    model = QueriedModel(subject.model.model)
    with frozen(model), scoped_seed(config.seed, "estimate"):
        # The first call prepares kernels.
        _right(subject, model, batch, batch.pixels())
        start = time.perf_counter()
        right = _right(subject, model, batch, batch.pixels())
        once = time.perf_counter() - start
        if not subject.model.differentiable:
            return Timing(len(batch), None, int(right.sum()), once / ROWS)
        steps = min(STEPS, max(1, int(BUDGET / (3 * once + 1e-9))))
        before, start = model.rows_forward + model.rows_backward, time.perf_counter()
        withstand = right & _right(subject, model, batch, _attacked(subject, model, batch, steps))
        rows = model.rows_forward + model.rows_backward - before
        seconds = (time.perf_counter() - start) / rows
    return Timing(len(batch), int(withstand.sum()), int(right.sum()), seconds)


def _attacked(subject: Subject, model: QueriedModel, batch: Batch, steps: int) -> torch.Tensor:
    config, images = subject.config, batch.pixels()
    attack = Pgd(norm=config.threat.norm, steps=steps, iterate="adversarial", mode="eval")
    noise = Noise.of(config.seed, batch.indices, "estimate")
    eps = per_sample(evaluation_grid(config)[1], images)
    return attack(model, images, batch.labels, eps, noise)


def _right(
    subject: Subject, model: QueriedModel, batch: Batch, images: torch.Tensor
) -> torch.Tensor:
    """Return whether each image is classified correctly, (N,) bool; waits for the device."""
    wanted = subject.config.evaluation
    logits = logits_of(model, images)
    return Criterion(wanted.top_k).right(logits, fit_labels(batch.labels, logits)).cpu()
