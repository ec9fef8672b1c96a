"""`rampart.evaluate`: measure how robust a model is on given images."""

import warnings
from pathlib import Path
from typing import Any, Unpack

import torch

from rampart.api.inputs import Classifier, device_for, eval_mode, subject_of
from rampart.api.keywords import (
    EvaluationSettings,
    Options,
    attack_section,
    place,
    with_object,
    without_default_iterate,
)
from rampart.api.result import EvaluationResult
from rampart.attacks.base import Attack
from rampart.errors import RampartWarning
from rampart.recipes.accelerator import make_accelerator, preserve_accelerate_state
from rampart.recipes.config.loading import parse_config
from rampart.recipes.evaluation.measure import Progress, evaluate_subject, require_valid
from rampart.recipes.evaluation.output import evaluate_into
from rampart.recipes.evaluation.subject import Subject
from rampart.strengths import require_own_eps
from rampart.units import Norm, parse_norm

#: Sections in which `evaluate` looks up a keyword.
SECTIONS = ("evaluation", "data", "model")

#: Arguments that may be a mapping.
MAPPINGS = ("data", "attack")


def evaluate(
    model: str | Path | Classifier,
    data: Any,
    eps: str | float | None = None,
    attack: str | Options | Attack = "standard",
    norm: Norm = "linf",
    *,
    device: str | torch.device | None = None,
    output: str | Path | None = None,
    overwrite: bool = False,
    on_progress: Progress | None = None,
    **settings: Unpack[EvaluationSettings],
) -> EvaluationResult:
    """Measure the accuracy of a classifier at every strength up to eps, and check the result.

    A failed check or one with a warning is shown as a `RampartWarning`; the record contains all
    verdicts.

    Args:
        model: any callable from pixels in [0, 1], float32 (N, C, H, W), to logits (N, K), a module
            or not; with `mean` and `std`, from normalized images. A module is evaluated in eval
            mode, and its mode is restored. Or a reference as in `rampart evaluate`, such as
            "timm:resnet50.a1_in1k".
        data: a `Dataset` or `DataLoader` of (image, label), a pair of tensors (images, labels), or
            a `Split`; see `rampart.data.from_torch.split_of` for the accepted forms. Or a folder of
            images or a dataset's name, whose test split is used.
        eps: the largest strength, a fraction of the pixel range; "8/255" by default under Linf. The
            other norms have no default.
        attack: its name, a mapping such as {"name": "apgd", "steps": 20}, or an attack object, such
            as `Apgd(steps=20)` or `AutoAttack(version="short")`.
        norm: of the ball, "linf", "l2" or "l1".
        device: where to compute; a module is moved there. By default the device of its parameters.
        output: folder for the record; the same call again resumes an interrupted evaluation there.
            Without it, `EvaluationResult.save` writes the record.
        overwrite: replace a finished evaluation in `output`.
        on_progress: called with (images done, images in all).
        settings: keys of the configuration's `evaluation`, such as limit=500, mode="exact",
            batch_size=64 or strengths=["2/255", "8/255"]; `seed`; of `data` image_size (for PIL
            images and folders), test_fraction, root, workers and cache; of `model` mean and std.

    Returns:
        The record: one critical strength per image, with `curve()`, `expected()`, `plot()` and
        `save()`.

    Raises:
        UnknownName: an unknown keyword, attack or reference; the nearest ones are offered.
        InvalidArgument: a value out of range, or data that cannot be read.
        ModelError: the model fails on the images, or does not return logits for their classes.
        DataError: images or labels contradict each other.
        RunError: `output` holds a finished evaluation.

    Example:
        >>> images, labels = torch.rand(20, 3, 8, 8), torch.arange(20) % 2
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
        >>> result = evaluate(model, (images, labels), "4/255", attack="apgd", checks=False)
        >>> result.curve().accuracy.shape
        (9,)
    """
    where = device_for(model, device)
    others = ("eps", "attack", "norm", *(evaluate.__kwdefaults__ or ()))
    tree = place(settings, EvaluationSettings.__optional_keys__, SECTIONS, others, MAPPINGS)
    for name, given in (("model", model), ("data", data)):
        tree[name] = with_object(tree.get(name, {}), given)
    tree["threat"] = {"norm": norm, "eps": require_own_eps(eps, parse_norm(norm), "8/255")}
    section = without_default_iterate(attack_section(attack, norm))
    tree["evaluation"] = {**tree.get("evaluation", {}), "attack": section}
    tree["training"] = {"device": "cpu" if where.type == "cpu" else "auto"}
    config = parse_config(tree)
    with eval_mode(model), preserve_accelerate_state():
        subject = subject_of(model, data, config, where)
        result = measure(subject, output, overwrite, on_progress)
    warn_of_verdicts(result)
    return result


def measure(
    subject: Subject, output: str | Path | None, overwrite: bool, on_progress: Progress | None
) -> EvaluationResult:
    """Evaluate a subject, into a folder if one is given."""
    accelerator = make_accelerator(subject.config)
    if output is not None:
        record = evaluate_into(subject, Path(output), accelerator, overwrite, on_progress)
    else:
        require_valid(subject)
        record = evaluate_subject(subject, accelerator, None, on_progress)
    return EvaluationResult.of(record)


def warn_of_verdicts(result: EvaluationResult, stacklevel: int = 3) -> None:
    """Warn of faults of the data and of checks that do not pass, at the user's line of code."""
    for message in result.metadata.get("data", {}).get("warnings", ()):
        warnings.warn(message, RampartWarning, stacklevel=stacklevel)
    for one in result.metadata.get("checks", {}).get("verdicts", ()):
        if one["status"] in ("fail", "warn"):
            message = f"{one['status']} {one['check']}: {one['message']}"
            warnings.warn(message, RampartWarning, stacklevel=stacklevel)
