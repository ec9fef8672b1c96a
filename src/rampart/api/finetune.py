"""`rampart.finetune`: train a robust classifier and measure it."""

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Unpack

from torch import nn

from rampart.api.evaluate import warn_of_verdicts
from rampart.api.finetuned_run import FinetunedRun, class_names_in
from rampart.api.keywords import (
    FinetuneSettings,
    Options,
    attack_section,
    component,
    place,
    with_object,
    without_default_iterate,
)
from rampart.api.result import EvaluationResult
from rampart.api.training_data import training_splits
from rampart.attacks.base import Attack
from rampart.data.splits import Splits
from rampart.errors import InvalidArgument, RampartWarning
from rampart.models.given import own_model
from rampart.models.normalized import NormalizedModel
from rampart.objectives.catalogue import OBJECTIVES
from rampart.plugins import GIVEN
from rampart.progress.display import display_on
from rampart.progress.work import showing
from rampart.recipes.accelerator import make_accelerator, preserve_accelerate_state
from rampart.recipes.config.loading import parse_config
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.evaluation.naming import evaluation_name
from rampart.recipes.evaluation.output import evaluate_into
from rampart.recipes.evaluation.subject import Subject, trained_model
from rampart.recipes.saved_model import load_saved_model
from rampart.recipes.train import train_run
from rampart.runs.evaluation_folder import EvaluationFolder
from rampart.runs.run_folder import RunFolder
from rampart.schedules.base import Schedule
from rampart.schedules.catalogue import SCHEDULES
from rampart.strategies.catalogue import STRATEGIES
from rampart.strengths import require_own_eps
from rampart.terminal import Terminal
from rampart.training.callbacks.catalogue import CALLBACKS
from rampart.training.reporting import ConsoleReporter, Reporter, Silent
from rampart.training.state import Run
from rampart.units import Norm, parse_norm

#: Sections in which `finetune` looks up a keyword; the first that has it counts.
SECTIONS = ("training", "model", "data", "optimizer")

#: Arguments that may be a mapping.
MAPPINGS = ("model", "data", "evaluation", "attack", "schedule", "objective")


def finetune(
    model: str | Path | Options | nn.Module,
    data: Any,
    eps: str | float | None = None,
    *,
    norm: Norm = "linf",
    schedule: str | Options | Schedule = "adaptive",
    attack: str | Options | Attack = "apgd",
    epochs: int = 50,
    batch_size: int = 32,
    output: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    evaluate: bool = True,
    progress: bool = True,
    **settings: Unpack[FinetuneSettings],
) -> FinetunedRun:
    """Fine-tune a pretrained classifier to withstand perturbations up to eps, and measure it.

    Alerts of the monitors and verdicts of the checks are shown as a `RampartWarning`.

    Args:
        model: a timm name such as "resnet50.a1_in1k", "hf-hub:OWNER/NAME", a model folder, a
            weights file, or a function that returns a module, "FILE.py:NAME"; a mapping with the
            keys of the configuration's `model`; or a module that returns one logit per class, from
            pixels in [0, 1] or, with `mean` and `std`, from normalized images. A module is copied;
            its copy is trained without a new head. If its last linear layer returns the logits,
            this layer is the head and learns at `head_lr`.
        data: a folder or .tar of images, or a dataset's name; a mapping with the keys of `data`; a
            dataset, loader or pair of tensors, as for `evaluate`, or a tuple of them (train,
            validation[, test]). Missing splits are drawn from the training images. Give training
            images without random augmentation, because training augments them (`augment`).
        eps: target strength, a fraction of the pixel range; "4/255" by default under Linf. The
            other norms have no default.
        norm: of the ball, "linf", "l2" or "l1".
        schedule: over eps: a name such as "two-hinge", a mapping with its options, or a schedule
            object, such as `TwoHinge.at_fractions(0.25, 0.75)`.
        attack: for training, in the same forms, such as `Apgd(steps=3)`.
        epochs: length of the run.
        batch_size: images per optimizer step, over all processes.
        output: the run's folder. By default `runs/MODEL-DATA`, with -2, -3 and so on appended if it
            exists: no run is replaced.
        resume: resume the run in `output`, with the same model, data and settings.
        overwrite: replace the run in `output`.
        evaluate: evaluate the finished model on the test split.
        progress: print a line for each epoch.
        settings: the configuration's `seed`, `objective`, `strategies`, `callbacks` and
            `evaluation` (such as {"attack": "standard", "limit": 1000}), and every key of its
            `training`, `model`, `data` and `optimizer` by its own name, such as backbone_lr=1e-4.

    Returns:
        The run, with its `model`, `history`, `evaluation` and `path`.

    Raises:
        UnknownName: an unknown keyword, model or component; the nearest ones are offered.
        InvalidArgument: a value out of range.
        ModelError: the module cannot be copied, saved or attacked, or does not return one logit per
            class.
        DataError: data that cannot be read, or splits that do not fit together.
        RunError: `output` holds another run.
        Interrupted: stopped by a signal; `resume=True` resumes.
    """
    _require_model(model)
    others = ("eps", *(finetune.__kwdefaults__ or ()))
    tree = place(settings, FinetuneSettings.__optional_keys__, SECTIONS, others, MAPPINGS)
    for name, given in (("model", model), ("data", data)):
        tree[name] = with_object(tree.get(name, {}), given)
    tree["threat"] = {"norm": norm, "eps": require_own_eps(eps, parse_norm(norm), "4/255")}
    tree["training"] = {**tree.get("training", {}), "epochs": epochs, "batch_size": batch_size}
    tree["schedule"] = component(SCHEDULES, schedule)
    tree["attack"] = attack_section(attack, norm)
    config = parse_config(_with_sections(tree, norm))
    folder = RunFolder(Path(output) if output is not None else free_folder(config))
    folder.require_free(resume, overwrite)
    console = Terminal()
    reporter = console_reporter(console, progress)
    module = model if isinstance(model, nn.Module) else None
    shown = showing(display_on(console)) if progress else nullcontext()
    with preserve_accelerate_state(), shown:
        splits = training_splits(data, module, config)
        network = None if module is None else _network(module, splits, config)
        train_run(
            config,
            folder.path,
            resume=resume,
            overwrite=overwrite,
            reporter=reporter,
            announce=_print_notes,
            splits=splits,
            network=network,
        )
        run = finished_run(folder, config, splits, module, evaluate)
    if run.evaluation is not None:
        warn_of_verdicts(run.evaluation)
    return run


def free_folder(config: RunConfig) -> Path:
    """Return `runs/MODEL-DATA`, numbered if it exists.

    Raises:
        InvalidArgument: there are several processes, which might choose different folders.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InvalidArgument("output", None, "a folder, with several processes")
    parts = (config.model.name, config.data.name)
    names = [Path(part.removeprefix(GIVEN)).name or "data" for part in parts]
    base = Path("runs", re.sub(r"[^\w.-]", "_", "-".join(names)))
    path, number = base, 1
    while path.exists():
        number += 1
        path = base.with_name(f"{base.name}-{number}")
    return path


def _require_model(model: object) -> None:
    if isinstance(model, str | Path | Mapping | nn.Module):
        return
    do = "wrap its layers in an nn.Module" if callable(model) else ""
    do = "create an object of the class" if isinstance(model, type) else do
    raise InvalidArgument("model", model, "a module, a name or a folder", do)


def _network(module: nn.Module, splits: Splits, config: RunConfig) -> NormalizedModel:
    channels, side, _ = splits.image_shape
    return own_model(
        module,
        num_classes=len(splits.class_names),
        input_size=(channels, side, side),
        mean=config.model.mean,
        std=config.model.std,
    )


def _with_sections(tree: Mapping[str, Any], norm: Norm) -> dict[str, Any]:
    """Return the tree with sections in place of components that were given as objects."""
    whole = dict(tree)
    if "objective" in whole:
        whole["objective"] = component(OBJECTIVES, whole["objective"])
    for name, registry in (("strategies", STRATEGIES), ("callbacks", CALLBACKS)):
        parts = whole.get(name, ())
        if isinstance(parts, Sequence) and not isinstance(parts, str):
            whole[name] = [component(registry, part) for part in parts]
    evaluation = dict(whole.get("evaluation", {}))
    if "attack" in evaluation:
        section = attack_section(evaluation["attack"], norm)
        whole["evaluation"] = {**evaluation, "attack": without_default_iterate(section)}
    return whole


def finished_run(
    folder: RunFolder,
    config: RunConfig,
    splits: Splits,
    module: nn.Module | None,
    evaluate: bool,
) -> FinetunedRun:
    """Return a finished run with its evaluation; evaluate if that is wanted and missing.

    Args:
        folder: of the run.
        config: of the run.
        splits: its data.
        module: for a run that trained a module of the user: one of the same architecture.
        evaluate: whether to evaluate on the test split.
    """
    accelerator = make_accelerator(config)
    model = load_saved_model(folder, config, module).to(accelerator.device)
    result, target = None, folder.evaluations / evaluation_name(config)
    if EvaluationFolder(target).is_finished():
        result = EvaluationResult.load(target)
    elif evaluate:
        names, shape = splits.class_names, splits.image_shape
        loaded = trained_model(model, config.model.name, names, shape)
        subject = Subject(loaded, splits, config, folder)
        result = EvaluationResult.of(evaluate_into(subject, target, accelerator, False, None))
    return FinetunedRun(folder.path, config, model, class_names_in(folder), result)


def _print_notes(run: Run, splits: Splits) -> None:
    """Print notes about the data and the schedule before the first step."""
    for note in (*splits.notes, *run.schedule.warnings()):
        run.reporter.note(f"note: {note}")
    for warning in splits.warnings:
        run.reporter.warn(warning)


def console_reporter(console: Terminal, progress: bool) -> Reporter:
    """Return what shows the events of a run: lines and warnings, or warnings only."""
    return _Console(console) if progress else _Quiet()


class _Warns:
    """Turns the alerts of monitors into Python warnings, which the caller can catch."""

    def warn(self, text: str) -> None:
        """Raise an alert as a warning."""
        warnings.warn(text, RampartWarning, stacklevel=2)


class _Console(_Warns, ConsoleReporter):
    """Prints lines, and shows warnings."""


class _Quiet(_Warns, Silent):
    """Shows warnings only."""
