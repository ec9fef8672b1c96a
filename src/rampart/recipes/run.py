"""Train a configuration, evaluate a run: each leaves everything in the run's folder."""

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from rampart.data.batches import ordered_batches
from rampart.data.splits import Splits
from rampart.errors import RunError
from rampart.evaluation.critical import CriticalStrengths, critical_strengths, default_grid, merge
from rampart.folders import RunFolder
from rampart.models.backbones import build_model
from rampart.models.normalised import NormalisedModel
from rampart.models.saving import save_model
from rampart.recipes.build import make_accelerator, make_run, make_splits
from rampart.recipes.config import (
    RunConfig,
    differences,
    dump_config,
    flatten,
    load_config,
    save_config,
)
from rampart.records import EvaluationRecord
from rampart.training.interrupts import Interrupted
from rampart.training.loop import Run, fit, restore
from rampart.training.reporting import Reporter, Silent
from rampart.units import format_eps
from rampart.version import __version__

#: Keys that may change between the parts of a resumed run: they do not change its result.
FREE_KEYS = ("data.workers", "data.cache", "training.checkpoint_every", "training.trackers")


def train_run(
    config: RunConfig,
    output: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    announce: Callable[[Run, Splits], None] = lambda run, splits: None,
) -> RunFolder:
    """Train to the end and leave the finished model in the run's folder.

    Args:
        config: the whole configuration.
        output: the run's folder.
        resume: go on with the run in the folder; a finished one is left as it is.
        overwrite: replace the run in the folder.
        reporter: is told about steps and epochs.
        announce: called once with the parts of the run, before the first step.

    Raises:
        RunError: the folder cannot be used, or holds a run of another configuration.
        Interrupted: stopped by a signal, with a checkpoint.
        RampartError: whatever is wrong with the configuration, the data or the model.
    """
    folder, accelerator = RunFolder(output), make_accelerator(config, output)
    folder.require_free(resume, overwrite)
    if resume:
        require_same(load_config(folder.config), config, folder)
        if folder.status() == "complete":
            return folder
    splits = make_splits(config)
    run = make_run(config, folder, splits, accelerator, reporter or Silent())
    # No process may find a folder in which another one has begun to write.
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        _open(folder, config, overwrite)
    accelerator.wait_for_everyone()
    if resume and restore(run) and accelerator.is_main_process:
        run.history.truncate(run.progress.epoch)
    if config.training.trackers:
        accelerator.init_trackers(
            "rampart", {key: str(value) for key, value in flatten(dump_config(config)).items()}
        )
    announce(run, splits)
    _fit(run, folder, name=f"{config.schedule.name}, seed {config.seed}")
    if accelerator.is_main_process:
        _save_result(run, folder, splits, config)
        folder.set_status("complete", epochs=run.progress.epoch)
    # Not end_training(), which ends the processes' group as well: an evaluation may follow.
    for tracker in accelerator.trackers:
        tracker.finish()
    accelerator.wait_for_everyone()
    return folder


def require_same(old: RunConfig, new: RunConfig, folder: RunFolder) -> None:
    """Refuse to resume with a configuration under which the run would come out otherwise."""
    changed = [
        line for line in differences(old, new) if not line.startswith((*FREE_KEYS, "evaluation."))
    ]
    if changed:
        raise RunError(
            f"{folder.path} was started with another configuration ({'; '.join(changed)}): "
            f"resume with `rampart train {folder.config} --resume`, or choose another --output."
        )


def evaluate_run(
    path: Path,
    overrides: tuple[str, ...] = (),
    *,
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[Path, EvaluationRecord]:
    """Measure the model of a finished run at every strength of the grid.

    Args:
        path: the run's folder.
        overrides: changes such as `threat.eps=8/255` or `evaluation.attack.steps=50`.
        overwrite: replace an earlier evaluation with the same settings.
        on_progress: called with (samples done, samples in all).

    Returns:
        The folder of the evaluation, and its record.

    Raises:
        RunError: no finished run, or the evaluation exists.
    """
    folder = RunFolder(path)
    if not folder.exists():
        raise RunError(f"{path} holds no run: give a folder that `rampart train` has made.")
    if not (folder.model / "config.json").is_file():
        raise RunError(
            f"{path} holds no finished model (its run is {folder.status()}): finish it with "
            f"`rampart train {folder.config} --output {path} --resume`."
        )
    config = load_config(folder.config, overrides)
    target = folder.evaluations / evaluation_name(config)
    if target.exists() and not overwrite:
        raise RunError(f"{target} exists: --overwrite replaces it.")
    splits = make_splits(config)
    channels, size, _ = splits.train[0][0].shape
    model = build_model(
        f"local-dir:{folder.model}",
        num_classes=len(splits.class_names),
        keep_head=True,
        in_chans=channels,
        image_size=size,
    )
    accelerator = make_accelerator(config)
    record = evaluate_model(model, splits, config, accelerator, on_progress)
    if accelerator.is_main_process:
        record.save(target)
        _draw(record, target, config)
    accelerator.wait_for_everyone()
    return target, record


def evaluate_model(
    model: NormalisedModel,
    splits: Splits,
    config: RunConfig,
    accelerator: Accelerator,
    on_progress: Callable[[int, int], None] | None = None,
) -> EvaluationRecord:
    """Return the record of critical strengths of a model on the split that is configured."""
    split = splits[config.evaluation.split]
    threat = config.threat
    grid = default_grid(threat.eps, threat.norm)
    part = critical_strengths(
        model.to(accelerator.device),
        ordered_batches(
            split,
            config.evaluation.batch_size,
            rank=accelerator.process_index,
            world_size=accelerator.num_processes,
            workers=config.data.workers,
        ),
        config.build_evaluation_attack(),
        grid,
        config.seed,
        lambda done: on_progress(done, len(split)) if on_progress else None,
    )
    whole = merge(gather_object([part]))
    return EvaluationRecord(
        norm=threat.norm,
        grid=np.asarray(grid),
        ids=tuple(split.ids),
        labels=whole.labels,
        predictions=whole.predictions,
        critical=whole.critical,
        metadata=_metadata(config, splits, whole, accelerator),
    )


def evaluation_name(config: RunConfig) -> str:
    """Return a folder name that tells split, threat and attack: `test-linf-4_255-apgd-10`."""
    attack = config.evaluation.attack
    steps = attack.options.get("steps")
    eps = format_eps(config.threat.eps).replace("/", "_")
    parts = [config.evaluation.split, config.threat.norm, eps, attack.name]
    return "-".join(parts + ([str(steps)] if steps is not None else []))


def _open(folder: RunFolder, config: RunConfig, overwrite: bool) -> None:
    if overwrite:
        folder.clear()
    folder.path.mkdir(parents=True, exist_ok=True)
    save_config(config, folder.config)
    folder.set_status("running")


def _fit(run: Run, folder: RunFolder, name: str) -> None:
    try:
        fit(run, name)
    except Interrupted as stop:
        if run.accelerator.is_main_process:
            folder.set_status("interrupted", step=run.step, reason=str(stop))
        raise
    except BaseException as error:
        if run.accelerator.is_main_process:
            folder.set_status("failed", step=run.step, reason=f"{type(error).__name__}: {error}")
        raise


def _save_result(run: Run, folder: RunFolder, splits: Splits, config: RunConfig) -> None:
    model = run.bare_model
    assert isinstance(model, NormalisedModel)
    if config.training.keep == "best":
        best = run.best.latest()
        assert best is not None, "every finished epoch is compared with the best one"
        model.load_state_dict(best.model)
    image_size = splits.train[0][0].shape[-1]
    save_model(model, folder.model, list(splits.class_names), image_size)


def _metadata(
    config: RunConfig, splits: Splits, whole: CriticalStrengths, accelerator: Accelerator
) -> dict[str, Any]:
    return {
        "attack": config.evaluation.attack.model_dump(),
        "split": config.evaluation.split,
        "seed": config.seed,
        "level": config.evaluation.level,
        "model": config.model.name,
        "data": {"name": config.data.name, "fingerprint": splits.fingerprint()},
        "run": dump_config(config),
        "versions": {
            "rampart": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "timm": timm.__version__,
            "numpy": np.__version__,
        },
        "hardware": _hardware(accelerator),
        "processes": accelerator.num_processes,
        "precision": "float32",
        "forwards": whole.forwards,
        "backwards": whole.backwards,
        "seconds": whole.seconds,
    }


def _hardware(accelerator: Accelerator) -> str:
    if accelerator.device.type == "cuda":
        return torch.cuda.get_device_name(accelerator.device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


def _draw(record: EvaluationRecord, folder: Path, config: RunConfig) -> None:
    """Imported here because rendering is slow to import and reports knows no torch."""
    from rampart.reports.figures import save_curve

    save_curve(record, folder / "curve.png", title=f"{config.model.name} · {config.schedule.name}")
