"""Train a configuration, evaluate a run: each leaves everything in the run's folder."""

import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from rampart.attacks.catalogue import ATTACKS
from rampart.data.batches import ordered_batches
from rampart.data.splits import Splits
from rampart.errors import RunError
from rampart.evaluation.critical import critical_strengths, default_grid
from rampart.evaluation.results import Results
from rampart.folders import RunFolder
from rampart.models.backbones import build_model
from rampart.models.normalised import NormalisedModel
from rampart.models.saving import save_model
from rampart.models.sources import find_source
from rampart.recipes.build import make_accelerator, make_run, make_splits
from rampart.recipes.config import (
    RunConfig,
    differences,
    dump_config,
    load_config,
    save_config,
)
from rampart.records import EvaluationRecord
from rampart.registry import flatten
from rampart.training.interrupts import Interrupted
from rampart.training.loop import fit
from rampart.training.reporting import Reporter, Silent
from rampart.training.resume import restore
from rampart.training.run import Run
from rampart.units import format_eps
from rampart.version import __version__

#: Keys that may change between the parts of a resumed run: they do not change its result.
FREE_KEYS = (
    "data.root",
    "data.workers",
    "data.cache",
    "training.checkpoint_every",
    "training.trackers",
    "evaluation.batch_size",
    "evaluation.level",
    "evaluation.split",
)
#: Keys that an evaluation may change: no other one makes sense for a model that is finished.
EVALUATION_KEYS = ("threat", "evaluation", "data", "training.device", *FREE_KEYS)


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
        RunError: the folder cannot be used, or holds a run of another configuration or data.
        Interrupted: stopped by a signal, with a checkpoint.
        RampartError: whatever is wrong with the configuration, the data or the model.
    """
    folder = RunFolder(output)
    accelerator = make_accelerator(config, folder.tracking)
    folder.require_free(resume, overwrite)
    if resume:
        require_same(load_config(folder.config), config, folder)
        if folder.status() == "complete":
            return folder
    splits = make_splits(config)
    if resume:
        require_same_data(folder, splits)
    run = make_run(config, folder, splits, accelerator, reporter or Silent())
    _open(run, folder, splits, config, overwrite)
    _go_on(run, resume)
    announce(run, splits)
    _train(run, folder, splits, config)
    return folder


def _open(run: Run, folder: RunFolder, splits: Splits, config: RunConfig, overwrite: bool) -> None:
    """Write what tells that a run is here; open the trackers."""
    # No process may find a folder in which another one has begun to write.
    run.accelerator.wait_for_everyone()
    if run.accelerator.is_main_process:
        if overwrite:
            folder.clear()
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.set_status("running", data=splits.fingerprint())
        save_config(config, folder.config)
    run.accelerator.wait_for_everyone()
    if config.training.trackers:
        plain = {key: str(value) for key, value in flatten(dump_config(config)).items()}
        run.accelerator.init_trackers("rampart", plain)


def _go_on(run: Run, resume: bool) -> None:
    """Restore the newest checkpoint, if there is one, and drop the history behind it."""
    if resume:
        restore(run)
    if resume and run.accelerator.is_main_process:
        run.history.truncate(run.progress.epoch)


def _train(run: Run, folder: RunFolder, splits: Splits, config: RunConfig) -> None:
    """Train, save the model, and say in run.json how it ended."""
    main = run.accelerator.is_main_process
    try:
        fit(run, f"{config.schedule.name}, seed {config.seed}")
        if main:
            _save_result(run, folder, splits, config)
    except Interrupted as stop:
        if main:
            folder.set_status("interrupted", step=run.step, reason=str(stop))
        raise
    except BaseException as error:
        if main:
            folder.set_status("failed", step=run.step, reason=f"{type(error).__name__}: {error}")
        raise
    if main:
        folder.set_status("complete", epochs=run.progress.epoch)
    # Not end_training(), which ends the processes' group as well: an evaluation may follow.
    for tracker in run.accelerator.trackers:
        tracker.finish()
    run.accelerator.wait_for_everyone()


def require_same(old: RunConfig, new: RunConfig, folder: RunFolder) -> None:
    """Refuse to resume with a configuration under which the run would come out otherwise."""
    # The attack of the evaluation also decides which epoch is the best, where that is kept.
    free = (*FREE_KEYS, *(("evaluation.attack",) if new.training.keep == "last" else ()))
    changed = [line for line in differences(old, new) if not _concerns(line, free)]
    if changed:
        raise RunError(
            f"{folder.path} was started with another configuration ({'; '.join(changed)}): "
            f"resume with `rampart train {folder.config} --output {folder.path} --resume`, or "
            "choose another --output."
        )


def _concerns(line: str, keys: tuple[str, ...]) -> bool:
    """Whether a line of `differences` is about one of the keys, or about one below it."""
    changed = line.partition(":")[0]
    return any(changed == key or changed.startswith(f"{key}.") for key in keys)


def require_same_data(folder: RunFolder, splits: Splits) -> None:
    """Refuse splits that are not those of the training: test images might be among them.

    Raises:
        RunError: files were added, removed or renamed, or the splits were drawn otherwise.
    """
    if folder.facts().get("data") != splits.fingerprint():
        raise RunError(
            f"the data are not those that {folder.path} was trained on (files were added, removed "
            "or renamed): a test image may have been trained on; restore the data, or train anew."
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
    _require_finished(folder)
    config = load_config(folder.config, overrides)
    own = load_config(folder.config)
    _require_evaluation_keys(own, config)
    target = folder.evaluations / evaluation_name(config)
    if target.exists() and not overwrite:
        raise RunError(f"{target} exists: --overwrite replaces it.")
    splits = make_splits(config, find_source(f"local-dir:{folder.model}"))
    require_same_data(folder, splits)
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
    record = replace(record, metadata={**record.metadata, "run": dump_config(own)})
    if accelerator.is_main_process:
        record.save(target)
        _draw(record, target, config)
    accelerator.wait_for_everyone()
    return target, record


def _require_finished(folder: RunFolder) -> None:
    if not folder.exists():
        raise RunError(f"{folder.path} holds no run: give a folder that `rampart train` has made.")
    if folder.status() != "complete":
        raise RunError(
            f"{folder.path} holds no finished model (its run is {folder.status()}): finish it with "
            f"`rampart train {folder.config} --output {folder.path} --resume`."
        )


def _require_evaluation_keys(own: RunConfig, wanted: RunConfig) -> None:
    lines = differences(own, wanted)
    refused = [line.partition(":")[0] for line in lines if not _concerns(line, EVALUATION_KEYS)]
    if refused:
        raise RunError(
            f"an evaluation cannot change {', '.join(refused)}, only threat.*, data.* and "
            "evaluation.*, such as evaluation.attack.steps."
        )


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
    whole = Results.merge(gather_object([part]))
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
    """Return a folder name that tells split, threat and attack: `test-linf-4_255-apgd-10`.

    Options of the attack that are not the default ones follow: `...-apgd-10-loss_dlr`.
    """
    attack = config.evaluation.attack
    usual = {**ATTACKS.dump(ATTACKS.build(attack.name)), "keep": "broken"}
    others = {k: v for k, v in attack.options.items() if k != "steps" and v != usual[k]}
    parts = [config.evaluation.split, config.threat.norm, format_eps(config.threat.eps)]
    parts += [attack.name, str(attack.options.get("steps", ""))]
    parts += [f"{key}_{value}" for key, value in others.items()]
    return "-".join(filter(None, parts)).replace("/", "_")


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
    config: RunConfig, splits: Splits, whole: Results, accelerator: Accelerator
) -> dict[str, Any]:
    return {
        "attack": config.evaluation.attack.model_dump(),
        "split": config.evaluation.split,
        "seed": config.seed,
        "level": config.evaluation.level,
        "model": config.model.name,
        "data": {"name": config.data.name, "fingerprint": splits.fingerprint()},
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
        "forwards": whole.forwards_total,
        "backwards": whole.backwards_total,
    }


def _hardware(accelerator: Accelerator) -> str:
    if accelerator.device.type == "cuda":
        return torch.cuda.get_device_name(accelerator.device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


def _draw(record: EvaluationRecord, folder: Path, config: RunConfig) -> None:
    """Imported here because rendering is slow to import and reports knows no torch."""
    from rampart.reports.figures import save_curve

    save_curve(
        record,
        folder / "curve.png",
        title=f"{Path(config.model.name).name} · {config.schedule.name}",
    )
