"""Configuration to objects: the only place where every part meets every other."""

from collections.abc import Iterator
from pathlib import Path

from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import gather_object
from torch import nn

from rampart.data.batches import Batch, epoch_batches, ordered_batches, steps_per_epoch
from rampart.data.datasets import EMBEDDED, load_splits
from rampart.data.splits import Split, Splits
from rampart.data.transforms import Augment
from rampart.errors import InvalidArgument, MissingExtra
from rampart.evaluation.accuracy import evaluate_accuracy, merge_accuracy
from rampart.evaluation.critical import critical_strengths, merge
from rampart.folders import RunFolder
from rampart.history import History
from rampart.metrics.expectation import expected_robustness
from rampart.models.backbones import build_model, parameter_groups
from rampart.models.normalised import NormalisedModel
from rampart.models.sources import find_source
from rampart.recipes.config import RunConfig
from rampart.schedules.base import EpsilonScheduler
from rampart.training.checkpoint import CheckpointStore
from rampart.training.loop import EpochBatches, Plan, Run, Validate
from rampart.training.optimisers import adamw, cosine_schedule
from rampart.training.reporting import Reporter
from rampart.units import Horizon


def make_accelerator(config: RunConfig, folder: Path | None = None) -> Accelerator:
    """Return the accelerator for this process: device, precision, processes and trackers."""
    training = config.training
    precision = "no" if training.precision == "fp32" else training.precision
    _forget_other_precision(precision, training.device == "cpu")
    if "tensorboard" in training.trackers:
        _require_tensorboard()
    return Accelerator(
        mixed_precision=precision,
        cpu=training.device == "cpu",
        log_with=list(training.trackers) or None,
        project_dir=folder,
    )


def make_splits(config: RunConfig) -> Splits:
    """Return the three splits that the configuration names."""
    data = config.data
    source = find_source(config.model.name, config.model.weights)
    own_size = None if data.name in EMBEDDED else source.image_size
    return load_splits(
        data.name,
        image_size=data.image_size or own_size,
        in_chans=config.model.options.get("in_chans", source.in_chans),
        seed=data.seed,
        validation_share=data.validation_share,
        test_share=data.test_share,
        root=data.root,
        cache=data.cache,
        options=data.options,
    )


def make_model(config: RunConfig, splits: Splits) -> NormalisedModel:
    """Return the pretrained backbone with a fresh head for the classes of the data."""
    model = config.model
    channels, size, _ = splits.train[0][0].shape
    return build_model(
        model.name,
        num_classes=len(splits.class_names),
        pretrained=model.pretrained,
        weights=model.weights,
        options=model.options,
        mean=model.mean,
        std=model.std,
        in_chans=channels,
        image_size=size,
        seed=config.seed,
    )


def make_run(
    config: RunConfig,
    folder: RunFolder,
    splits: Splits,
    accelerator: Accelerator,
    reporter: Reporter,
) -> Run:
    """Put the parts of a run together.

    Raises:
        InvalidArgument: settings that contradict each other or the data.
    """
    plan = make_plan(config, len(splits.train), accelerator.num_processes)
    schedule = EpsilonScheduler(
        config.build_schedule(),
        config.threat.eps,
        plan.horizon,
        config.schedule.granularity,
        norm=config.threat.norm,
    )
    model = make_model(config, splits)
    backbone, head = parameter_groups(model)
    optimiser = adamw(
        backbone, head, **config.optimiser.model_dump(exclude={"warmup", "clip_norm"})
    )
    prepared, optimiser = accelerator.prepare(model, optimiser)
    return Run(
        plan=plan,
        accelerator=accelerator,
        model=prepared,
        objective=config.build_objective(),
        attack=config.build_attack(),
        schedule=schedule,
        optimiser=optimiser,
        lr_schedule=cosine_schedule(optimiser, plan.horizon, config.optimiser.warmup),
        batches=make_batches(config, splits.train, plan.batch_size, accelerator),
        augment=Augment(**config.data.augment.model_dump()),
        validate=make_validation(config, splits.validation, accelerator),
        history=History(folder.history),
        checkpoints=CheckpointStore(folder.checkpoints),
        best=CheckpointStore(folder.best),
        reporter=reporter,
    )


def make_plan(config: RunConfig, samples: int, processes: int) -> Plan:
    """Return the numbers that shape the run.

    Raises:
        InvalidArgument: a batch that cannot be cut into equal pieces.
    """
    training = config.training
    batch_size = min(training.batch_size, samples)
    parts = processes * training.accumulation
    if batch_size % parts:
        raise InvalidArgument(
            "training.batch_size",
            batch_size,
            f"a multiple of processes x accumulation, {processes} x {training.accumulation}",
            "" if batch_size == training.batch_size else f"there are {samples} training images",
        )
    return Plan(
        seed=config.seed,
        horizon=Horizon(training.epochs, steps_per_epoch(samples, batch_size)),
        batch_size=batch_size,
        accumulation=training.accumulation,
        clip_norm=config.optimiser.clip_norm,
        checkpoint_every=training.checkpoint_every,
        keep_best_on="val_expected" if training.keep == "best" else None,
    )


def make_batches(
    config: RunConfig, split: Split, batch_size: int, accelerator: Accelerator
) -> EpochBatches:
    """Return this process's share of the training batches, by epoch and first step."""
    return lambda epoch, start: epoch_batches(
        split,
        batch_size,
        seed=config.seed,
        epoch=epoch,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
        start=start,
        workers=config.data.workers,
    )


def make_validation(config: RunConfig, split: Split, accelerator: Accelerator) -> Validate:
    """Return the validation of an epoch: clean, and under the training attack at eps_g.

    Where the best epoch is kept, expected robustness over a coarse grid is measured as well.
    """
    attack, eps = config.build_attack(), config.threat.eps
    grid = _coarse_grid(config)

    def batches() -> Iterator[Batch]:
        return ordered_batches(
            split,
            config.evaluation.batch_size,
            rank=accelerator.process_index,
            world_size=accelerator.num_processes,
            workers=config.data.workers,
        )

    def validate(model: nn.Module) -> dict[str, float]:
        bare = accelerator.unwrap_model(model)
        accuracy = evaluate_accuracy(bare, batches(), attack, eps, config.seed)
        figures = merge_accuracy(gather_object([accuracy])).figures()
        if config.training.keep == "best":
            part = critical_strengths(
                bare, batches(), config.build_evaluation_attack(), grid, config.seed
            )
            whole = merge(gather_object([part]))
            figures["val_expected"] = expected_robustness(whole.critical, grid)
        return figures

    return validate


def _coarse_grid(config: RunConfig) -> list[float]:
    levels = config.training.validation_levels
    return [config.threat.eps * level / levels for level in range(levels + 1)]


def _forget_other_precision(precision: str, cpu: bool) -> None:
    """Accelerate keeps one state per process; a second run may want another precision."""
    if not AcceleratorState._shared_state:
        return
    state = AcceleratorState()
    if state.mixed_precision != precision or (cpu and state.device.type != "cpu"):
        AcceleratorState._reset_state(reset_partial_state=True)


def _require_tensorboard() -> None:
    from importlib.util import find_spec

    if find_spec("tensorboard") is None:
        raise MissingExtra("tensorboard", "tensorboard", "training.trackers=[tensorboard]")
