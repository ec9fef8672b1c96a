"""Step 2 of a refinement: the least critical layer learns from clean images, all else is fixed."""

import copy
from collections.abc import Mapping
from functools import partial
from typing import Any

from accelerate import Accelerator
from torch.optim import SGD, Optimizer

from rampart.data.splits import Splits
from rampart.models.normalized import NormalizedModel, batch_norms
from rampart.models.weights import head_modules, is_head
from rampart.recipes.build import make_run
from rampart.recipes.config.loading import dump_config, parse_config
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.refining.settings import Refinement
from rampart.runs.lock import RequireHeld
from rampart.runs.run_folder import RunFolder
from rampart.schema.learning import OptimizerConfig
from rampart.training.loop import fit
from rampart.training.reporting import Reporter, show_progress
from rampart.training.resume import restore

#: What the fine-tuning does otherwise than the training: no attack, and nothing beside it.
_CHANGES: Mapping[str, Any] = {
    "objective": "standard",
    "schedule": "standard",
    "strategies": [],
    "callbacks": [],
    "training": {
        "checkpoint": "last",
        "monitors": False,
        "on_overfitting": "warn",
        "linear_probe": False,
        "warm_start": False,
        "compile": False,
        "gradient_checkpointing": False,
        "trackers": [],
    },
    # The rate falls to a tenth half way; the optimizer is made by `_start`.
    "optimizer": OptimizerConfig(warmup=0.0, lr_schedule="multistep", milestones=(0.5,)).model_dump(
        mode="json"
    ),
    "model": {"batch_norm": "frozen"},
}


def fine_tune(
    model: NormalizedModel,
    layer: str,
    config: RunConfig,
    folder: RunFolder,
    splits: Splits,
    accelerator: Accelerator,
    settings: Refinement,
    reporter: Reporter,
    require_held: RequireHeld,
) -> NormalizedModel:
    """Return a copy of a model of which one layer was fine-tuned; a checkpoint is continued.

    BatchNorm normalizes by the statistics of the adversarial training, so that nothing but the
    layer changes. Data, batches and augmentation are those of the run.

    Args:
        model: after adversarial training.
        layer: name of a module of the backbone.
        config: of the run.
        folder: gets the history and the checkpoints.
        splits: of the run; test images are not used.
        accelerator: of this process.
        settings: of the refinement.
        reporter: receives steps and epochs.
        require_held: refuses a folder that was removed or replaced.

    Raises:
        Interrupted: stopped by a signal, with a checkpoint.
        RunError: the loss is not finite.
    """
    config = _without_attack(config, settings.epochs)
    start = partial(_start, model, layer, settings)
    run = make_run(config, folder, splits, accelerator, reporter, start, require_held)
    restore(run)
    run.history.truncate(run.progress.epoch)
    name = f"fine-tuning {layer} without an attack"
    with show_progress(reporter, name, run.plan.horizon, run.step):
        fit(run)
    tuned = run.bare_model
    assert isinstance(tuned, NormalizedModel)
    return tuned.eval()


def _without_attack(config: RunConfig, epochs: int) -> RunConfig:
    """Return the configuration of the fine-tuning; its validation still attacks."""
    tree = dump_config(config)
    for key, change in _CHANGES.items():
        tree[key] = {**tree[key], **change} if isinstance(change, Mapping) else change
    tree["training"]["epochs"] = epochs
    return parse_config(tree)


def _start(
    model: NormalizedModel, layer: str, settings: Refinement
) -> tuple[NormalizedModel, Optimizer]:
    """Return a copy of the model with one trainable layer, and SGD on this layer."""
    tuned = copy.deepcopy(model).requires_grad_(False)
    if batch_norms(tuned):
        tuned.freeze_statistics()
    weights = list(tuned.backbone.get_submodule(layer).parameters(recurse=False))
    for weight in weights:
        weight.requires_grad_(True)
    name = "head" if is_head(layer, head_modules(tuned.backbone)) else "backbone"
    groups = [{"name": name, "params": weights}]
    return tuned, SGD(
        groups, lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay
    )
