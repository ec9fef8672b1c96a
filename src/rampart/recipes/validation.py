"""The validation after an epoch, and what it may cost."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn

from rampart.attacks.base import Attack
from rampart.attacks.pgd import Pgd
from rampart.data.batches import Batch, ordered_batches
from rampart.data.splits import Splits
from rampart.data.subset import numbers_of, subset
from rampart.evaluation.accuracy import evaluate_accuracy, merge_accuracy
from rampart.evaluation.criterion import Criterion
from rampart.evaluation.critical import critical_strengths
from rampart.evaluation.results import Results
from rampart.metrics.expectation import expected_robustness
from rampart.progress.work import watched
from rampart.recipes.computing import decoding_workers
from rampart.recipes.config.run_config import RunConfig
from rampart.runtime import derive
from rampart.training.state import Validate

#: Training images for each validation image that is attacked. Both are attacked alike, so this is
#: about the share of an epoch's passes.
PER_ATTACKED = 20
#: The accuracy of fewer images says little.
LEAST = 50
#: Steps of the PGD that stands for an attack whose points leave the ball.
IN_BALL = 7


def make_validation(config: RunConfig, splits: Splits, accelerator: Accelerator) -> Validate:
    """Return the validation of an epoch: clean, and under the training attack at eps_g.

    Clean accuracy is that of all images. `training.validation_limit`, `validation_steps` and
    `validation_every` bound the cost of the attack. With `training.checkpoint=best` the validation
    also measures expected robustness on a coarse grid, on all images and in every epoch.
    """
    attack, eps, seed = validation_attack(config), config.threat.eps, config.seed
    grid, split = _coarse_grid(config), splits.validation
    chosen = _attacked(config, splits)

    def batches(name: str) -> Iterator[Batch]:
        rank, count = accelerator.process_index, accelerator.num_processes
        mine = ordered_batches(
            split,
            config.evaluation.batch_size,
            rank=rank,
            world_size=count,
            workers=decoding_workers(config),
        )
        return watched(mine, name, -(-len(split) // count), count=len)

    def validate(model: nn.Module, epoch: int) -> dict[str, float]:
        bare, due = accelerator.unwrap_model(model), is_due(config, epoch)
        if due:
            accuracy = evaluate_accuracy(
                bare, batches("validation"), attack, eps, seed, only=chosen
            )
        else:
            accuracy = evaluate_accuracy(bare, batches("validation"), seed=seed)
        whole = merge_accuracy(gather_object([accuracy]))
        figures, passes = whole.figures(), whole.passes
        if config.training.checkpoint == "best":
            part = critical_strengths(
                bare,
                batches("validation curve"),
                config.components.evaluation_attack,
                grid,
                seed,
                criterion=Criterion(config.evaluation.top_k, config.evaluation.target),
            )
            curve = Results.merge(gather_object([part]))
            figures["val_expected"] = expected_robustness(curve.critical, grid)
            passes += curve.forwards_total + curve.backwards_total
        return {**figures, "validation_passes": passes}

    return validate


def validation_attack(config: RunConfig) -> Attack:
    """Return the attack of the validation: that of the training, perhaps with other steps.

    An attack whose points leave the ball would measure another threat; PGD takes its place.
    """
    attack, steps = config.components.attack, config.training.validation_steps
    if attack.reach > 1:
        return Pgd(norm=attack.norm, loss=attack.loss, steps=steps or IN_BALL)
    if steps is None or not hasattr(attack, "steps"):
        return attack
    return replace(attack, steps=steps)  # type: ignore[call-arg]  # it has steps


def attacked_images(config: RunConfig, training: int, validation: int) -> int:
    """Return how many validation images are attacked after an epoch.

    Args:
        config: of the run.
        training: number of training images.
        validation: number of validation images.
    """
    limit = config.training.validation_limit
    if limit == "all":
        return validation
    return min(max(LEAST, training // PER_ATTACKED) if limit == "auto" else limit, validation)


def is_due(config: RunConfig, epoch: int) -> bool:
    """Return whether images are attacked after this epoch, counted from 1."""
    training = config.training
    return epoch % training.validation_every == 0 or epoch == training.epochs


def _attacked(config: RunConfig, splits: Splits) -> Tensor | None:
    """Return the numbers of the validation images that are attacked; None for all."""
    split = splits.validation
    count = attacked_images(config, len(splits.train), len(split))
    if count == len(split):
        return None
    chosen = subset(split, limit=count, stratified=True, seed=derive(config.seed, "validation"))
    return torch.from_numpy(numbers_of(chosen))


def _coarse_grid(config: RunConfig) -> list[float]:
    if config.threat.eps == 0:
        return [0.0]
    count = config.training.validation_strengths
    return [config.threat.eps * k / count for k in range(count + 1)]
