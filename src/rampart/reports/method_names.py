"""The name of each run's method.

Runs that differ only in their seed, or in keys that change no result (`rampart.schema.effects`),
form a method. It is named after its schedule and the settings in which it differs from other
methods with that schedule. What only some runs have, such as a refinement, is named alone beside
those without it, and by its options beside others that have it. Runs that are not finished form
methods of their own, which are named so.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rampart.registry import flatten
from rampart.runs.afterwards import INTERPOLATED, REFINED
from rampart.runs.shortfall import Shortfall
from rampart.schema.effects import effect_of


class RunResult(NamedTuple):
    """The values of a run that a comparison needs; a plain tuple of them is accepted too.

    Attributes:
        name: name of the run, such as that of its folder.
        config: the full configuration, as in config.yaml.
        summary: the summary of its evaluation, as in summary.json.
        history: rows of history.jsonl, for the adaptation delay; may be left out.
        lacks: its end, or a part of its history.
    """

    name: str
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]] = ()
    lacks: Shortfall = Shortfall()


def name_methods(results: Sequence[RunResult]) -> list[str]:
    """Return the name of each run's method: the schedule, and the settings that are not common.

    Runs that differ only in their seed have the same name, unless only one of them is finished.
    """
    schedules = [component_name(result.config.get("schedule")) for result in results]
    settings = [_settings(result) for result in results]
    labels = []
    for schedule, own in zip(schedules, settings, strict=True):
        peers = [s for name, s in zip(schedules, settings, strict=True) if name == schedule]
        keys = [key for key in own if any(_tells_apart(key, own, peer) for peer in peers)]
        labels.append(_label(schedule, {_short(key, keys): own[key] for key in keys}))
    labels = [
        f"{label} [not finished]" if result.lacks.unfinished else label
        for result, label in zip(results, labels, strict=True)
    ]
    return _tell_repeats_apart(results, labels)


def _tell_repeats_apart(results: Sequence[RunResult], labels: Sequence[str]) -> list[str]:
    """Give runs that repeat a seed methods of their own: they are not independent draws."""
    keys = [(label, r.config.get("seed")) for label, r in zip(labels, results, strict=True)]
    return [
        f"{label} [{result.name}]" if keys.count(key) > 1 else label
        for result, label, key in zip(results, labels, keys, strict=True)
    ]


def _settings(result: RunResult) -> dict[str, str]:
    summary = result.summary
    evaluation = [str(summary.get(key)) for key in ("norm", "eps", "attack", "split")]
    flat = {**flatten(result.config), "evaluated": " ".join(evaluation)}
    relevant = {key for key in flat if key != "seed" and effect_of(key) != "nothing"}
    return {key: str(value) for key, value in flat.items() if key in relevant}


def _tells_apart(key: str, own: Mapping[str, str], peer: Mapping[str, str]) -> bool:
    """Whether a setting has to be named beside another run; the options of what it lacks do not."""
    parts = key.split(".")
    for depth in range(1, len(parts)):
        name = f"{'.'.join(parts[:depth])}.name"
        if name in own and name not in peer:
            return key == name
    return peer.get(key) != own[key]


def _short(key: str, keys: Sequence[str]) -> str:
    """The last part of a key, without ".name"; the full key if another has the same last part."""

    def last(key: str) -> str:
        short = key.removesuffix(".name")
        # The epochs of a refinement are not those of the training.
        after = key.partition(".")[0] in (REFINED, INTERPOLATED)
        return short if after else short.rpartition(".")[2]

    return key if [last(other) for other in keys].count(last(key)) > 1 else last(key)


def _label(schedule: str, settings: Mapping[str, str]) -> str:
    options = ", ".join(f"{key}={value}" for key, value in settings.items())
    return f"{schedule} ({options})" if options else schedule


def component_name(component: Any) -> str:
    """Return the name of a component that a configuration holds with its options, or alone."""
    return str(component.get("name") if isinstance(component, Mapping) else component)
