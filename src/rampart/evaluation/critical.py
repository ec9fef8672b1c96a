"""Critical strengths: the smallest strength of a grid at which a sample is misclassified."""

from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from rampart.attacks.base import Attack, require_eval_mode
from rampart.attacks.frozen import Model, frozen
from rampart.choices import EvaluationMode
from rampart.data.batches import Batch
from rampart.errors import InvalidArgument, UnknownName
from rampart.evaluation.criterion import Criterion
from rampart.evaluation.engine.engine import Engine, Task, collect_results
from rampart.evaluation.inference import QueriedModel, device_of, logits_of
from rampart.evaluation.results import Results
from rampart.images_and_labels import fit_labels
from rampart.logits import all_finite, is_correct, predict
from rampart.metrics.curve import check_grid
from rampart.runtime import Noise, scoped_seed
from rampart.threat import distance, per_sample
from rampart.tolerance import least_eps, within
from rampart.units import format_eps


def critical_strengths(
    model: Model,
    batches: Iterable[Batch],
    attack: Attack,
    grid: ArrayLike,
    seed: int,
    on_progress: Callable[[int], None] | None = None,
    **options: Any,
) -> Results:
    """Return the critical strength of every sample, in the order of the samples.

    Args:
        model: pixels to logits; see `stream` for it and the next four.
        batches: the samples, in any order.
        attack: finds the adversarial examples.
        grid: strengths from 0 on, ascending.
        seed: of the noise of the attack.
        on_progress: called with the number of samples done so far.
        options: further arguments of `stream`.

    Raises:
        RampartError: see `stream`.
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
    adversarial_examples: bool = False,
    criterion: Criterion | None = None,
) -> Iterator[Results]:
    """Yield critical strengths as samples finish, in no particular order.

    The engine runs attacks with stages: every sample descends from the largest strength. An attack
    without stages is called at each strength, from the smallest up, until it succeeds. Noise is
    keyed by (seed, sample, stage, run), so a result does not depend on the batch size or on the
    other samples of the batch.

    Args:
        model: pixels in [0, 1], (N, C, H, W), to logits; runs in eval mode and is restored.
        batches: the samples of this process, read as rows become free.
        attack: the attack.
        grid: (n + 1,) ascending strengths from 0.
        seed: seed of the noise.
        mode: "exact", or "fast" with pruning (`rampart.evaluation.engine.pruning`).
        batch_size: rows of a batch.
        adversarial_examples: whether to return the adversarial examples.
        criterion: what counts as success; misclassification by default.

    Raises:
        InvalidArgument: the grid does not ascend from 0, or holds gray levels such as 8 in place of
            8/255; the batch size is below 1; the attack leaves its ball or runs in train mode; or
            an attack without stages gets another criterion than misclassification.
        UnknownName: the mode is unknown.
    """
    if mode not in get_args(EvaluationMode):
        raise UnknownName("mode", mode, get_args(EvaluationMode))
    if batch_size < 1:
        raise InvalidArgument("batch_size", batch_size, "at least 1")
    require_eval_mode(attack)
    strengths = tuple(check_grid(grid, attack.norm).tolist())
    device, queried, criterion = device_of(model), QueriedModel.of(model), criterion or Criterion()
    stages = criterion.stages(attack.stages())
    if not stages and criterion != Criterion():
        got = type(attack).__name__
        raise InvalidArgument(
            "attack", got, "an attack with stages, because the criterion is not misclassification"
        )
    task = Task(stages, attack.norm, strengths, seed, mode == "fast", criterion)

    def parts() -> Iterator[Results]:
        if not stages or len(strengths) == 1:
            for batch in batches:
                yield _attack_each_strength(
                    queried, batch.to(device), attack, task, adversarial_examples
                )
            return
        for samples in Engine(queried, task, batch_size, device).run(batches):
            yield collect_results(samples, adversarial_examples)

    with frozen(model):
        yield from _isolate_randomness(parts(), seed)


def _isolate_randomness(parts: Iterator[Results], seed: int) -> Iterator[Results]:
    """Yield the parts, each computed with seeded default generators, which are then restored.

    Only a stochastic model draws from them. Its results become reproducible, and the generators of
    the caller do not change.
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
    """Call the attack at each strength, from the clean image, until it succeeds.

    The passes of a call are divided equally among its samples, rounded down.
    """
    images, strengths = batch.pixels(), task.grid
    logits = logits_of(model, images)
    labels = fit_labels(batch.labels, logits)
    predictions, right = predict(logits), task.criterion.right(logits, labels)
    critical, finite = torch.where(right, len(strengths), 0), all_finite(logits)
    attacked_predictions = predictions.clone()
    found, passes = images.clone(), torch.zeros(2, len(images), dtype=torch.int64)
    passes[0] = 1
    robust = torch.nonzero(right)[:, 0]
    for grid_index, eps in enumerate(strengths[1:], start=1):
        if not len(robust):
            break
        noise = Noise.of(task.seed, batch.indices[robust], "critical", grid_index)
        before = model.passes
        # As a tensor: the strengths of a grid are small on purpose.
        own = per_sample(eps, images[robust]) if isinstance(attack, Attack) else eps
        points = attack(model, images[robust], labels[robust], own, noise)
        require_inside(points, images[robust], eps, attack)
        attacked = logits_of(model, points)
        is_adv = ~is_correct(attacked, labels[robust])
        for row, (now, then) in enumerate(zip(model.passes, before, strict=True)):
            passes[row, robust.cpu()] += (now - then) // len(robust)
        critical[robust[is_adv]], found[robust[is_adv]] = grid_index, points[is_adv]
        finite[robust[is_adv]] = all_finite(attacked[is_adv])
        attacked_predictions[robust[is_adv]] = predict(attacked[is_adv])
        robust = robust[~is_adv]
    is_adv = right & (critical < len(strengths))
    distances = torch.where(is_adv, distance(found, images, attack.norm).double(), torch.nan)
    # A point clipped at the pixel box may lie in the ball of a smaller strength.
    grid = torch.tensor(strengths, dtype=torch.float64, device=distances.device)
    smallest = torch.searchsorted(grid, least_eps(distances))
    critical = torch.where(is_adv, critical.minimum(smallest.clamp_min(1)), critical)
    none = torch.where(is_adv, 0, -1).cpu().numpy()
    return Results(
        indices=batch.indices.cpu().numpy(),
        labels=labels.cpu().numpy(),
        predictions=predictions.cpu().numpy(),
        attacked_predictions=attacked_predictions.cpu().numpy(),
        finite=finite.cpu().numpy(),
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
    """Raise `InvalidArgument` if an image is outside the eps ball or the pixel box, or is NaN."""
    distances = distance(found, images, attack.norm)
    boxed = (found >= 0) & (found <= 1)
    if bool(within(distances, eps).all()) and bool(boxed.all()):
        return
    raise InvalidArgument(
        "attack",
        type(attack).__name__,
        f"images within {attack.norm} {format_eps(eps)} and [0, 1]",
        f"its images are up to {float(distances.max()):.6g} away, with pixels in "
        f"[{float(found.min()):.6g}, {float(found.max()):.6g}]; project them "
        "onto the ball and [0, 1]",
    )
