"""The condition of a run, from its configuration and its place in the study."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rampart.data.catalogue import catalogue
from rampart.experiments.published.conditions import EPOCHS, Condition
from rampart.published import short_name
from rampart.recipes.config.run_config import RunConfig


def condition_of(
    config: RunConfig, method: str, coordinates: Mapping[str, str] | None = None
) -> Condition:
    """Return the condition of a run.

    Args:
        config: of the run.
        method: name of its method.
        coordinates: names of the values of the study's axes, by axis; those of backbone and dataset
            take precedence over the names in the configuration.
    """
    axes = coordinates or {}
    return replace(
        _schedule_of(config),
        backbone=short_name("backbone", axes.get("backbone", config.model.name)),
        dataset=short_dataset(axes.get("dataset", config.data.name)),
        eps=config.threat.eps,
        method=method,
        attack=_attack_of(config),
        changes=_changes(config),
    )


def spell_other_axes(coordinates: Mapping[str, str]) -> str:
    """Return the values of the axes that a condition does not name."""
    named = ("backbone", "dataset", "eps")
    return ", ".join(value for axis, value in coordinates.items() if axis not in named)


def short_dataset(name: str) -> str:
    """The short name of a dataset; of a folder or a file its own name without the path."""
    places = {source.data: one.name for one in catalogue().values() for source in one.sources}
    return places.get(name) or short_name("dataset", Path(name).name or name)


def _schedule_of(config: RunConfig) -> Condition:
    """A condition with its schedule and times only."""
    bare = Condition("", "", 0.0, "")
    plain = config.threat.norm == "linf" and not config.strategies and not config.callbacks
    if not plain or config.objective.name != "adversarial":
        return bare
    name = config.schedule.name
    hinges = _hinges(config)
    if hinges:
        return replace(bare, schedule="two-hinge", start=hinges[0], end=hinges[1])
    if getattr(config.components.schedule, "value", 1.0) != 1:
        return bare
    if name == "fix":
        return replace(bare, schedule=name, start=0.0, end=0.0)
    return replace(bare, schedule=name) if name in ("auto", "uniform") else bare


def _hinges(config: RunConfig) -> tuple[float, float] | None:
    """T1 and T2 in epochs of a run of `EPOCHS` epochs."""
    options: Any = config.components.schedule
    unit = getattr(options, "unit", "fraction")
    scale = {"fraction": EPOCHS, "epoch": EPOCHS / config.training.epochs}.get(unit)
    if scale is None:
        return None
    match config.schedule.name:
        case "two-hinge":
            return scale * options.start, scale * options.end
        case "linear-warmup":
            return 0.0, scale * options.end
        case "linear":
            return 0.0, float(EPOCHS)
        case "switch":
            return scale * options.at, scale * options.at
    return None


def _attack_of(config: RunConfig) -> str:
    attack, options = config.evaluation.attack, config.components.evaluation_attack
    if attack.name == "standard":
        return "autoattack"
    parts = [attack.name, *(getattr(options, key, None) for key in ("loss", "steps"))]
    return "_".join(str(part) for part in parts if part is not None)


def _changes(config: RunConfig) -> tuple[str, ...]:
    """Settings that differ from the published recipe and cost or change accuracy."""
    attack = config.attack.model_dump()
    steps = getattr(config.components.attack, "steps", None)
    used = {
        "training.epochs": (config.training.epochs, EPOCHS),
        "data.image_size": (config.data.image_size or 224, 224),
        "attack": (attack["name"], "apgd"),
        "attack.steps": (steps, 7),
        "training.attack_steps": (config.training.attack_steps, "constant"),
        "evaluation.limit": (config.evaluation.limit, None),
    }
    return tuple(
        f"{key}={ours} (published: {'all images' if theirs is None else theirs})"
        for key, (ours, theirs) in used.items()
        if ours != theirs
    )
