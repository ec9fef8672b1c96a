"""Critical strengths: for each sample the smallest strength of a grid at which it breaks."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count, pairwise
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from rampart.attacks.base import Attack
from rampart.attacks.frozen import Model, frozen
from rampart.choices import EvaluationMode
from rampart.data.batches import Batch
from rampart.errors import InvalidArgument, UnknownName
from rampart.evaluation.criterion import Criterion
from rampart.evaluation.engine.engine import Engine, Task, table
from rampart.evaluation.inference import QueriedModel, device_of, logits_of
from rampart.evaluation.results import Results
from rampart.metrics.curve import check_grid
from rampart.runtime import Noise, scoped_seed
from rampart.threat import distance
from rampart.tolerance import least_eps, within
from rampart.units import Norm, format_eps

#: Number of equal parts of [0, eps_g] in the default grid of norms without a natural unit.
PARTS = 8


def default_grid(eps: float, norm: Norm, resolution: int = 1) -> tuple[float, ...]:
    """Return the strengths to evaluate at, from 0 to eps, which is always the last.

    Linf: k/255 as in the publication, the whole gray levels below eps and eps itself. Other norms:
    eight equal parts.

    Args:
        eps: the last strength.
        norm: of the ball.
        resolution: into how many parts each step is divided further, towards the continuum.
    """
    if eps <= 0:
        return (0.0,)
    # 4/255 * 255 may lie a rounding error above 4.
    steps = int(np.ceil(eps * 255 - 1e-9)) if norm == "linf" else PARTS
    # Dividing gives the very number that k/255 is as text; multiplying by 1/255 may not.
    parts = 255 if norm == "linf" else PARTS / eps
    coarse = [*(k / parts for k in range(steps)), eps]
    return refine(coarse, resolution)


def refine(grid: Sequence[float], resolution: int) -> tuple[float, ...]:
    """Return the grid with each step divided into `resolution` equal parts."""
    parts = [
        low + (high - low) * part / resolution
        for low, high in pairwise(grid)
        for part in range(resolution)
    ]
    return (*parts, grid[-1])


def critical_strengths(
    model: Model,
    batches: Iterable[Batch],
    attack: Attack,
    grid: ArrayLike,
    seed: int,
    on_progress: Callable[[int], None] | None = None,
    **options: Any,
) -> Results:
    """Find the critical strength of every sample; see `stream` for arguments and errors.

    Args:
        model, batches, attack, grid, seed: see `stream`.
        on_progress: called with the number of samples done so far.
        options: those of `stream`.

    Returns:
        The results in the order of the samples.
    """
    parts, done = [Results.empty()], 0
    for part in stream(model, batches, attack, grid, seed, **options):
        parts.append(part)
        done += len(part)
        if on_progress:
            on_progress(done)
    return Results.concatenate(parts).sorted()


def stream(
    model: Model,
    batches: Iterable[Batch],
    attack: Attack,
    grid: ArrayLike,
    seed: int,
    *,
    mode: EvaluationMode = "exact",
    batch_size: int = 128,
    recheck: float = 0.0,
    adversarial_examples: bool = False,
    criterion: Criterion | None = None,
) -> Iterator[Results]:
    """Yield the critical strengths of samples as they are found, in no particular order.

    An attack that has stages is carried out by the engine: every sample descends from the last
    strength. Any other one is called at each strength in turn, from the smallest, until it breaks
    the sample. Noise is keyed by (seed, sample, stage, run), so a result depends neither on the
    batch size nor on what else is in the batch.

    Args:
        model: pixels in [0, 1], (N, C, H, W), to logits; asked in eval mode, left as found.
        batches: this process's part, read as rows become free.
        attack: what breaks a sample where it finds a misclassified image inside ball and box.
        grid: (n + 1,) strengths from 0 up.
        seed: of the noise.
        mode: "exact", or "fast" to give hopeless runs up (`rampart.evaluation.engine.pruning`).
        batch_size: rows of a batch.
        recheck: in fast mode, fraction of the samples that repeat in full what they gave up.
        adversarial_examples: whether the adversarial images are kept.
        criterion: when a sample is broken; by default, when it is misclassified.

    Raises:
        InvalidArgument: a grid that does not ascend from 0, no rows, an attack that leaves its
            ball or looks at the model in training mode, or a criterion that an attack without
            stages cannot have.
        UnknownName: another mode.
    """
    if mode not in get_args(EvaluationMode):
        raise UnknownName("mode", mode, get_args(EvaluationMode))
    if batch_size < 1:
        raise InvalidArgument("batch_size", batch_size, "at least 1")
    require_as_used(attack)
    strengths = tuple(check_grid(grid).tolist())
    device, queried, criterion = device_of(model), QueriedModel(model), criterion or Criterion()
    stages = criterion.stages(attack.stages())
    if not stages and criterion != Criterion():
        got = type(attack).__name__
        raise InvalidArgument(
            "attack", got, "an attack with stages for another criterion than an error"
        )
    task = Task(stages, attack.norm, strengths, seed, mode == "fast", recheck, criterion)

    def parts() -> Iterator[Results]:
        if not stages or len(strengths) == 1:
            for batch in batches:
                yield _attack_each_strength(
                    queried, batch.to(device), attack, task, adversarial_examples
                )
            return
        for samples in Engine(queried, task, batch_size, device).run(batches):
            yield table(samples, adversarial_examples)

    with frozen(model):
        yield from _isolate_randomness(parts(), seed)


def require_as_used(attack: Attack, name: str = "attack.mode") -> None:
    """Raise `InvalidArgument` unless the attack looks at the model in eval mode, as it is used."""
    # An attack of another library has no mode; it leaves the model in the one that it is in.
    mode = getattr(attack, "mode", "eval")
    if mode != "eval":
        raise InvalidArgument(name, mode, "eval: a model is measured as it is used")


def _isolate_randomness(parts: Iterator[Results], seed: int) -> Iterator[Results]:
    """Yield the parts; each is found with torch's default generators seeded, then put back.

    Only a stochastic model draws from them. It leaves no trace there, and is asked the same again.
    """
    for number in count():
        with scoped_seed(seed, "stochastic model", number):
            part = next(parts, None)
        if part is None:
            return
        yield part


def _attack_each_strength(
    model: QueriedModel, batch: Batch, attack: Attack, task: Task, adversarial_examples: bool
) -> Results:
    """Call the attack at each strength in turn, from the clean image, until it breaks.

    The passes of a call are written on its samples in equal parts, rounded down.
    """
    images, labels, strengths = batch.pixels(), batch.labels, task.grid
    logits = logits_of(model, images)
    predictions, right = logits.argmax(1), task.criterion.right(logits, labels)
    critical = torch.where(right, len(strengths), 0)
    found, passes = images.clone(), torch.zeros(2, len(images), dtype=torch.int64)
    passes[0] = 1
    robust = torch.nonzero(right)[:, 0]
    for grid_index, eps in enumerate(strengths[1:], start=1):
        if not len(robust):
            break
        noise = Noise.of(task.seed, batch.indices[robust], "critical", grid_index)
        before = model.passes
        points = attack(model, images[robust], labels[robust], eps, noise)
        require_inside(points, images[robust], eps, attack)
        is_adv = logits_of(model, points).argmax(1) != labels[robust]
        for row, (now, then) in enumerate(zip(model.passes, before, strict=True)):
            passes[row, robust.cpu()] += (now - then) // len(robust)
        critical[robust[is_adv]], found[robust[is_adv]] = grid_index, points[is_adv]
        robust = robust[~is_adv]
    is_adv = right & (critical < len(strengths))
    distances = torch.where(is_adv, distance(found, images, attack.norm).double(), torch.nan)
    # What is cut off at the pixel box may have ended in a smaller ball, which it breaks as well.
    grid = torch.tensor(strengths, dtype=torch.float64, device=distances.device)
    smallest = torch.searchsorted(grid, least_eps(distances))
    critical = torch.where(is_adv, critical.minimum(smallest.clamp_min(1)), critical)
    none = torch.where(is_adv, 0, -1).cpu().numpy()
    return Results(
        indices=batch.indices.cpu().numpy(),
        labels=labels.cpu().numpy(),
        predictions=predictions.cpu().numpy(),
        critical=critical.cpu().numpy(),
        distance=distances.cpu().numpy(),
        stage=none,
        run=none,
        forwards=passes[0].numpy(),
        backwards=passes[1].numpy(),
        pruned=np.zeros(len(labels), np.int64),
        rechecked=np.zeros(len(labels), np.bool_),
        before_recheck=critical.cpu().numpy(),
        adversarial_examples=found[is_adv].cpu().numpy()
        if adversarial_examples and bool(is_adv.any())
        else None,
    )


def require_inside(found: Tensor, images: Tensor, eps: float, attack: Attack) -> None:
    """Raise `InvalidArgument` if an image left the eps ball or the pixel box, or is nan."""
    distances = distance(found, images, attack.norm)
    boxed = (found >= 0) & (found <= 1)
    if bool(within(distances, eps).all()) and bool(boxed.all()):
        return
    raise InvalidArgument(
        "attack",
        type(attack).__name__,
        f"images within {attack.norm} {format_eps(eps)} and [0, 1]",
        f"it went {float(distances.max()):.6g} far, to pixels in "
        f"[{float(found.min()):.6g}, {float(found.max()):.6g}]",
    )
