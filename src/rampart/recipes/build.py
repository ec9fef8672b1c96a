"""Build the objects that a configuration describes, and connect them to a run."""

import copy
from collections.abc import Callable

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.optim import Optimizer

from rampart.compiling import compile_in_place, require_compiler
from rampart.data.balance import balanced_weights
from rampart.data.batches import Workers, epoch_batches, steps_per_epoch
from rampart.data.splits import Split, Splits
from rampart.data.subset import numbers_of
from rampart.data.transforms import Augment
from rampart.errors import InvalidArgument
from rampart.models.normalized import NormalizedModel, batch_norms
from rampart.models.weights import parameter_groups
from rampart.recipes.clean_baseline import CleanBaseline
from rampart.recipes.computing import computing, decoding_workers
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.guidance import bound_objective
from rampart.recipes.initial_model import make_model
from rampart.recipes.monitors import make_monitors
from rampart.recipes.validation import make_validation
from rampart.runs.history import History
from rampart.runs.lock import RequireHeld, do_nothing
from rampart.runs.run_folder import RunFolder
from rampart.schedules.scheduler import EpsilonScheduler
from rampart.skill import chance_of
from rampart.strategies.base import longest_probe
from rampart.training.checkpoint import CheckpointStore
from rampart.training.lr_plateau import check_hooks
from rampart.training.optimizers import Groups, adamw, check_epochs, lr_schedule, sgd
from rampart.training.reporting import Reporter
from rampart.training.state import EpochBatches, Plan, Run
from rampart.training.warm_start import WarmStart
from rampart.units import Horizon

#: Makes the model as it is before training, with a fresh optimizer.
Start = Callable[[], tuple[NormalizedModel, Optimizer]]


def make_run(
    config: RunConfig,
    folder: RunFolder,
    splits: Splits,
    accelerator: Accelerator,
    reporter: Reporter,
    start: Start,
    require_held: RequireHeld = do_nothing,
) -> Run:
    """Return the parts of a run, connected.

    Args:
        config: of the run.
        folder: of the run.
        splits: the data.
        accelerator: of this process.
        reporter: receives steps, epochs and notes.
        start: makes the model as it is before training, and its optimizer.
        require_held: refuses a folder that was removed or replaced.

    Raises:
        InvalidArgument: settings that contradict each other or the data.
    """
    plan = make_plan(config, len(splits.train), accelerator.num_processes)
    if config.training.compile:
        require_compiler(accelerator.device, "training.compile")
    schedule = EpsilonScheduler(
        config.components.schedule,
        config.threat.eps,
        plan.horizon,
        config.schedule.interval,
        norm=config.threat.norm,
        chance=_chance(config, splits),
        probe=longest_probe(config.components.strategies.values(), plan.horizon.epochs),
    )
    callbacks = config.components.callbacks
    strategies = config.components.strategies
    for strategy in strategies.values():
        strategy.check(schedule)
    for callback in callbacks.values():
        callback.check(schedule)
    model, optimizer = start()
    micro_batch = plan.batch_size // (accelerator.num_processes * plan.gradient_accumulation_steps)
    if config.normalizes_by_batch:
        least = config.components.objective.least_images
        _require_enough_for_batch_norm(model, micro_batch, plan, least)
    prepared, optimizer = accelerator.prepare(model, optimizer)
    bare = accelerator.unwrap_model(prepared)
    # The loop enables mixed precision for training only; validation stays in float32.
    accelerator.unwrap_model(prepared, keep_fp32_wrapper=False)
    baseline = make_baseline(config, splits, plan, accelerator, start)
    hooks = {name: callback.begin(bare) for name, callback in callbacks.items()}
    if plan.rate_checks:
        check_hooks(hooks)
    return Run(
        plan=plan,
        accelerator=accelerator,
        tf32=computing(config).tf32,
        model=prepared,
        objective=bound_objective(config, splits, bare),
        attack=config.components.attack,
        schedule=schedule,
        optimizer=optimizer,
        lr_schedule=lr_schedule(
            optimizer,
            plan.horizon,
            config.optimizer.warmup,
            config.optimizer.lr_schedule,
            config.optimizer.milestones,
        ),
        batches=make_batches(config, splits.train, plan.batch_size, accelerator),
        augment=Augment(**config.data.augment.model_dump()),
        validate=make_validation(config, splits, accelerator),
        history=History(folder.history),
        checkpoints=CheckpointStore(folder.checkpoints),
        best=CheckpointStore(folder.best),
        reporter=reporter,
        monitors=make_monitors(config, splits, baseline, micro_batch),
        strategies=tuple(strategies.values()),
        hooks=hooks,
        require_held=require_held,
        warm_start=_make_warm_start(config, splits.train),
        class_weights=make_class_weights(config, splits),
    )


def _chance(config: RunConfig, splits: Splits) -> float:
    """Return the accuracy of guessing on the batches of the training."""
    labels = splits.train.labels
    if config.training.sampler == "balanced":
        return 1 / len(np.unique(labels))
    return chance_of(labels)


def make_class_weights(config: RunConfig, splits: Splits) -> Tensor | None:
    """Return the (K,) weights of the classes in the loss; None for equal weights."""
    if config.training.class_weights == "none":
        return None
    weights = balanced_weights(splits.train.labels, len(splits.class_names))
    return torch.from_numpy(weights).float()


def _make_warm_start(config: RunConfig, train: Split) -> WarmStart | None:
    """Return the store of perturbations; None without `training.warm_start`."""
    if not (config.training.warm_start and config.attacks):
        return None
    return WarmStart(int(numbers_of(train).max()) + 1)


def make_baseline(
    config: RunConfig, splits: Splits, plan: Plan, accelerator: Accelerator, start: Start
) -> CleanBaseline:
    """Return the clean baseline, which trains a copy of the initial model without an attack."""
    weights = make_class_weights(config, splits)
    return CleanBaseline(config, splits, plan, accelerator, start, weights)


def make_start(
    config: RunConfig, splits: Splits, network: NormalizedModel | None = None
) -> tuple[NormalizedModel, Optimizer]:
    """Return the model as it is before training, and its optimizer.

    Args:
        config: of the run.
        splits: the data.
        network: a network to copy, in place of the configured backbone.
    """
    model = make_model(config, splits) if network is None else _copy_network(network, config)
    defenses = len(config.components.objective.variants)
    for strategy in config.components.strategies.values():
        strategy.prepare_for(model, config.seed, defenses)
    if config.training.gradient_checkpointing:
        _checkpoint_gradients(model, config)
    chosen = computing(config)
    if chosen.channels_last:
        model.to(memory_format=torch.channels_last)
    if config.training.compile:
        compile_in_place(model)
    return model, _make_optimizer(model, config, chosen.fused)


def _make_optimizer(model: NormalizedModel, config: RunConfig, fused: bool) -> Optimizer:
    chosen, parts = config.optimizer, parameter_groups(model)
    groups = Groups(
        backbone_lr=chosen.backbone_lr,
        head_lr=chosen.head_lr,
        backbone_weight_decay=chosen.backbone_weight_decay,
        head_weight_decay=chosen.head_weight_decay,
        no_weight_decay=model.no_weight_decay(),
    )
    match chosen.opt:
        case "adamw":
            return adamw(*parts, betas=chosen.betas, fused=fused, **groups)
        case "sgd":
            return sgd(*parts, momentum=chosen.momentum, fused=fused, **groups)


def _checkpoint_gradients(model: NormalizedModel, config: RunConfig) -> None:
    """Save the memory of activations; refuse BatchNorm that a second forward would update again."""
    if config.normalizes_by_batch and batch_norms(model):
        raise InvalidArgument(
            "training.gradient_checkpointing",
            True,
            "false with BatchNorm in train mode, whose statistics it would update twice in a step",
            "write model.batch_norm=frozen",
        )
    model.checkpoint_gradients()


def _copy_network(network: NormalizedModel, config: RunConfig) -> NormalizedModel:
    copied = copy.deepcopy(network)
    if config.model.batch_norm == "frozen":
        copied.freeze_statistics()
    return copied


def make_plan(config: RunConfig, samples: int, processes: int) -> Plan:
    """Return the numbers that define the run.

    Raises:
        InvalidArgument: a batch exceeds the data, or does not divide into equal micro-batches.
    """
    training, course, batch_size = config.training, config.optimizer, config.training.batch_size
    if batch_size > samples:
        raise InvalidArgument(
            "training.batch_size",
            batch_size,
            f"at most the {samples} training images",
            f"write training.batch_size={2 ** (samples.bit_length() - 1)} or less",
        )
    require_equal_parts(config, processes)
    return Plan(
        seed=config.seed,
        horizon=Horizon(training.epochs, steps_per_epoch(samples, batch_size)),
        batch_size=batch_size,
        gradient_accumulation_steps=training.gradient_accumulation_steps,
        clip_norm=course.clip_norm,
        ramp_lr_factor=course.ramp_lr_factor,
        checkpoint_every=training.checkpoint_every,
        fewer_steps=training.attack_steps == "proportional",
        fewest_steps=training.fewest_attack_steps,
        more_steps=config.more_steps,
        best_metric="val_expected" if training.checkpoint == "best" else None,
        rate_checks=check_epochs(course.milestones, training.epochs)
        if course.lr_schedule == "plateau"
        else (),
    )


def require_equal_parts(config: RunConfig, processes: int) -> None:
    """Refuse batches that do not divide into equal micro-batches.

    Raises:
        InvalidArgument: the batch size is not a multiple of their number.
    """
    batch_size = config.training.batch_size
    accumulation = config.training.gradient_accumulation_steps
    if batch_size % (processes * accumulation):
        raise InvalidArgument(
            "training.batch_size",
            batch_size,
            f"a multiple of processes x gradient_accumulation_steps, {processes} x {accumulation}",
        )


def _require_enough_for_batch_norm(
    model: NormalizedModel, micro_batch: int, plan: Plan, least: int
) -> None:
    """Refuse micro-batches in which BatchNorm gets one image, and so may have no variance."""
    if micro_batch < least and batch_norms(model):
        raise InvalidArgument(
            "training.batch_size",
            plan.batch_size,
            f"at least {least} images per process and micro-batch, so that BatchNorm normalizes "
            "two or more at once",
            "raise it, or write training.gradient_accumulation_steps=1",
        )


def make_batches(
    config: RunConfig, split: Split, batch_size: int, accelerator: Accelerator
) -> EpochBatches:
    """Return a function of (epoch, first step) that yields this process's part of each batch."""
    workers = Workers(decoding_workers(config))
    return lambda epoch, start: epoch_batches(
        split,
        batch_size,
        seed=config.seed,
        epoch=epoch,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
        start=start,
        workers=workers,
        sampler=config.training.sampler,
    )
