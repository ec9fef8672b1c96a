"""The monitors of a run, with the images and settings that each one needs."""

from collections.abc import Sequence

from torch import nn

from rampart.attacks.base import Attack
from rampart.data.batches import ordered_batches
from rampart.data.splits import Split, Splits
from rampart.data.subset import subset
from rampart.evaluation.accuracy import accuracy_in_turn
from rampart.recipes.config.run_config import RunConfig
from rampart.runtime import derive
from rampart.skill import chance_of
from rampart.training.monitors.base import Monitor
from rampart.training.monitors.batch_norm import BatchNormMismatch
from rampart.training.monitors.divergence import Divergence
from rampart.training.monitors.overfitting import Overfitting
from rampart.training.monitors.transfer import BaselineAccuracy, Transfer

#: Largest number of images that an attack is checked on: validation images for a single-step
#: attack, training images for the mismatch of BatchNorm's modes.
CHECKED = 128
#: Attacks of a few steps are rarely found out, so fewer images and a share of the training passes
#: suffice.
FEW_CHECKED, FEW_SHARE = 32, 0.02
#: Largest fraction of the training passes that the mismatch of BatchNorm's modes may take.
SHARE = 0.03


def make_monitors(
    config: RunConfig, splits: Splits, baseline: BaselineAccuracy, micro_batch: int
) -> tuple[Monitor, ...]:
    """Return the monitors that apply to a run.

    Every process observes all images of a monitor itself, so none waits for another.

    Args:
        config: of the run.
        splits: of the run.
        baseline: the accuracy of the clean baseline after a number of epochs.
        micro_batch: images that pass through the model at once in training.
    """
    guards = [_guard(config, splits.validation)] if _is_guarded(config) else []
    if not config.training.monitors:
        return tuple(guards)
    monitors: list[Monitor] = [Divergence(len(splits.class_names)), *guards]
    if not config.attacks:
        return tuple(monitors)
    if config.normalizes_by_batch:
        monitors.append(_batch_norm_mismatch(config, splits.train, micro_batch))
    chance = chance_of(splits.train.labels)
    monitors.append(Transfer(chance, config.training.epochs, baseline, _advice(config)))
    return tuple(monitors)


def _is_guarded(config: RunConfig) -> bool:
    """Whether the attack is watched: it may mislead, and this is to be told or to be mended."""
    told = config.training.monitors and config.components.attack.is_single_step
    return config.attacks and (told or (config.takes_few_steps and config.more_steps > 0))


def _guard(config: RunConfig, validation: Split) -> Overfitting:
    """Return the monitor that compares the training attack with PGD-10."""
    single = config.components.attack.is_single_step
    limit = min(CHECKED if single else FEW_CHECKED, len(validation))
    fixed = subset(validation, limit=limit, stratified=True, seed=derive(config.seed, "guard"))
    batches = list(ordered_batches(fixed, config.evaluation.batch_size))

    def measure(model: nn.Module, attacks: Sequence[Attack], eps: float) -> tuple[list[float], int]:
        return accuracy_in_turn(model, batches, attacks, eps, config.seed, "guard")

    chance, share = chance_of(fixed.labels), None if single else FEW_SHARE
    return Overfitting(config.components.attack, measure, limit, chance, config.more_steps, share)


def _batch_norm_mismatch(config: RunConfig, train: Split, micro_batch: int) -> BatchNormMismatch:
    seed = derive(config.seed, "guard")
    # Whole micro-batches, because the statistics of smaller ones vary more.
    whole = max(1, min(CHECKED, len(train)) // micro_batch)
    micro_batches = ordered_batches(
        subset(train, limit=whole * micro_batch, seed=seed), micro_batch
    )
    return BatchNormMismatch(config.components.attack, tuple(micro_batches), seed, share=SHARE)


def _advice(config: RunConfig) -> str:
    """Return what to change if the attack delays adaptation."""
    schedule = config.components.schedule
    ramped = "end" in config.schedule.options or schedule.needs_accuracy
    changes = [
        "raise eps later or more slowly" if ramped else "use a ramp: schedule=adaptive",
        "try another optimizer.head_lr",
    ]
    if config.objective.name != "trades":
        changes.append("objective=trades")
    return ", ".join(changes[:-1]) + f" or {changes[-1]}"
