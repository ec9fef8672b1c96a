"""`rampart.evaluate`: how robust is this model on these images?"""

import warnings
from pathlib import Path
from typing import Any, Unpack

import torch

from rampart.api.result import EvaluationResult
from rampart.api.settings import (
    EvaluationSettings,
    Options,
    attack_section,
    place,
    with_object,
    without_usual_keep,
)
from rampart.api.subject import Classifier, device_for, left_as_found, subject_of
from rampart.attacks.base import Attack
from rampart.errors import RampartWarning
from rampart.recipes.accelerator import accelerate_state, make_accelerator
from rampart.recipes.config.loading import parse_config
from rampart.recipes.evaluation.measure import Progress, evaluate_subject, require_sound
from rampart.recipes.evaluation.output import evaluate_into
from rampart.recipes.evaluation.subject import Subject
from rampart.units import Norm

#: Sections in which `evaluate` looks a keyword up.
SECTIONS = ("evaluation", "data", "model")


def evaluate(
    model: str | Path | Classifier,
    data: Any,
    eps: str | float = "8/255",
    attack: str | Options | Attack = "standard",
    norm: Norm = "linf",
    *,
    device: str | torch.device | None = None,
    output: str | Path | None = None,
    overwrite: bool = False,
    on_progress: Progress | None = None,
    **settings: Unpack[EvaluationSettings],
) -> EvaluationResult:
    """Measure a classifier at every strength up to eps, and whether the numbers can be trusted.

    What the checks find wrong is shown as a `RampartWarning`, and stands in the record.

    Args:
        model: any callable from pixels in [0, 1], float32 (N, C, H, W), to logits (N, K), a module
            or not; with `mean` and `std`, from normalized images. A module is measured in eval mode
            and left in the mode that it was in. Or a reference as `rampart evaluate` takes it, such
            as "timm:resnet50.a1_in1k".
        data: a `Dataset` or `DataLoader` of (image, label), a pair of tensors (images, labels), or
            a `Split`; see `rampart.data.from_torch.split_of` for what is read how. Or a folder of
            images or a dataset's name, of which the test split is taken.
        eps: the largest strength, fraction of the pixel range such as "8/255".
        attack: its name, a mapping such as {"name": "apgd", "steps": 20}, or an attack itself, such
            as `Apgd(steps=20)` or `AutoAttack(version="short")`.
        norm: of the ball, "linf", "l2" or "l1".
        device: where to compute; a module is moved there. By default where its parameters are.
        output: folder for the record. An evaluation that was interrupted goes on there when it is
            started again. Without it, `EvaluationResult.save` writes the record.
        overwrite: replace a finished evaluation in `output`.
        on_progress: called with (images done, images in all).
        settings: keys of the configuration's `evaluation`, such as limit=500, mode="exact",
            batch_size=64 or strengths=["2/255", "8/255"]; `seed`; of `data` image_size (for
            pictures and folders), test_fraction, root, workers and cache; of `model` mean and std.

    Returns:
        The record: one critical strength for each image, with `curve()`, `expected()`, `plot()` and
        `save()`.

    Raises:
        UnknownName: no such keyword, attack or reference; the nearest are offered.
        InvalidArgument: a value out of range, or data that cannot be read.
        ModelError: the model fails on the images, or does not return logits for their classes.
        DataError: images or labels that contradict each other.
        RunError: `output` holds a finished evaluation.

    Example:
        >>> images, labels = torch.rand(20, 3, 8, 8), torch.arange(20) % 2
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
        >>> result = evaluate(model, (images, labels), "4/255", attack="apgd", trust=False)
        >>> result.curve().accuracy.shape
        (5,)
    """
    where = device_for(model, device)
    others = ("eps", "attack", "norm", *(evaluate.__kwdefaults__ or ()))
    tree = place(settings, EvaluationSettings.__optional_keys__, SECTIONS, others)
    for name, given in (("model", model), ("data", data)):
        tree[name] = with_object(tree.get(name, {}), given)
    tree["threat"] = {"norm": norm, "eps": eps}
    section = without_usual_keep(attack_section(attack, norm))
    tree["evaluation"] = {**tree.get("evaluation", {}), "attack": section}
    tree["training"] = {"device": "cpu" if where.type == "cpu" else "auto"}
    config = parse_config(tree)
    with left_as_found(model), accelerate_state():
        subject = subject_of(model, data, config, where)
        result = measure(subject, output, overwrite, on_progress)
    warn_of_verdicts(result)
    return result


def measure(
    subject: Subject, output: str | Path | None, overwrite: bool, on_progress: Progress | None
) -> EvaluationResult:
    """Evaluate a subject, into a folder where there is one."""
    accelerator = make_accelerator(subject.config)
    if output is not None:
        record = evaluate_into(subject, Path(output), accelerator, overwrite, on_progress)
    else:
        require_sound(subject)
        record = evaluate_subject(subject, accelerator, None, on_progress)
    return EvaluationResult.of(record)


def warn_of_verdicts(result: EvaluationResult, stacklevel: int = 3) -> None:
    """Warn of every check that failed or needs a look, at the caller of the front door."""
    for one in result.metadata.get("checks", {}).get("verdicts", ()):
        if one["status"] in ("fail", "warn"):
            message = f"{one['status']} {one['check']}: {one['message']}"
            warnings.warn(message, RampartWarning, stacklevel=stacklevel)
