"""The metadata of an evaluation: how a record was made."""

import platform
from collections.abc import Sequence
from typing import Any

import numpy as np
import timm
import torch
from accelerate import Accelerator

from rampart.data.copies import find_repeated
from rampart.data.splits import Split
from rampart.evaluation.whole import Evaluation
from rampart.recipes.config.loading import dump_config, load_config
from rampart.recipes.evaluation.command import command_of
from rampart.recipes.evaluation.settings import record_keys
from rampart.recipes.evaluation.subject import Subject
from rampart.runs.afterwards import name_afterwards
from rampart.runs.run_folder import RunFolder
from rampart.version import __version__


def describe_evaluation(
    subject: Subject,
    split: Split,
    done: Evaluation,
    names: Sequence[str],
    accelerator: Accelerator,
) -> dict[str, Any]:
    """Return the metadata of a record of the images of a split, plain JSON values."""
    config, model, results = subject.config, subject.model, done.results
    splits, repeated = subject.splits, find_repeated(split)
    return {
        "attack": config.evaluation.attack.model_dump(),
        "attack_suite": list(names),
        "mode": config.evaluation.mode,
        "split": config.evaluation.split,
        "seed": config.seed,
        "top_k": config.evaluation.top_k,
        "target": config.evaluation.target,
        "confidence": config.evaluation.confidence,
        "model": {
            "name": model.name,
            "source": model.source,
            "fingerprint": model.fingerprint,
            "classes": list(splits.class_names),
            "matched_by": "position" if model.by_position else "name",
        },
        "data": {
            "name": config.data.name,
            "fingerprint": splits.fingerprint(),
            "content": splits.contents(),
            "shape": list(subject.split.image_shape),
            "copies": repeated.count,
            "notes": [*splits.notes, *repeated.notes],
            "warnings": [*splits.warnings, *repeated.warnings],
        },
        "settings": dump_config(config),
        "command": command_of(subject),
        **(_run_facts(subject.run) if subject.run else {}),
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
        "pruning": done.pruning.figures() if done.pruning else None,
        "forwards": results.forwards_total,
        "backwards": results.backwards_total,
        "seconds": done.seconds,
        "resumed": done.resumed,
    }


def identity_of(subject: Subject) -> dict[str, Any]:
    """Return everything that the result of an image depends on.

    Batch size, processes and device are no part of it, nor how many images are drawn or rechecked.
    """
    config = subject.config
    kept = set(record_keys()) - {"limit", "until", "stratified", "largest_error"}
    wanted = config.evaluation.model_dump(mode="json", include=kept)
    return {
        "model": {"name": subject.model.name, "fingerprint": subject.model.fingerprint},
        "mean": config.model.mean,
        "std": config.model.std,
        "input_size": subject.model.input_size,
        "data": subject.splits.fingerprint(),
        "content": subject.splits.contents(),
        "threat": config.threat.model_dump(mode="json"),
        "evaluation": wanted,
        "seed": config.seed,
        "rampart": __version__,
    }


def _run_facts(folder: RunFolder) -> dict[str, Any]:
    run = {**dump_config(load_config(folder)), **name_afterwards(folder.facts())}
    return {"run": run, "run_folder": str(folder.path)}


def _hardware(accelerator: Accelerator) -> str:
    if accelerator.device.type == "cuda":
        return torch.cuda.get_device_name(accelerator.device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
