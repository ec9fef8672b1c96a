"""The evaluations of a run, and the one with the settings of its own configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rampart.records.storage import load_metadata
from rampart.registry import flatten
from rampart.runs.run_folder import RunFolder
from rampart.schema.effects import effect_of
from rampart.units import parse_precision

#: Sections of the configuration that an evaluation may change.
_SECTIONS = ("seed", "data", "threat", "evaluation")


def own_evaluation(run: Path, **changes: Any) -> Path | None:
    """Return the folder of the finished evaluation with the settings of the run's configuration.

    An evaluation with other settings, or of other data, is never returned.

    Args:
        run: folder of the run.
        changes: keys of the section `evaluation` with values that replace the configured ones.

    Returns:
        The folder, or None if the run has no such evaluation yet. Its samples are not read.

    Raises:
        RunError: the configuration or a record.json is damaged.
    """
    folders = [evaluation.path for evaluation in RunFolder(run).finished_evaluations()]
    if not folders:
        return None
    config, facts = RunFolder(run).settings(), RunFolder(run).facts()
    evaluation = {**config.get("evaluation", {}), **changes}
    wanted = {**config, "evaluation": evaluation}
    for folder in folders:
        metadata = load_metadata(folder)
        settings = metadata.get("settings", {})
        if (
            _is_of(facts, metadata.get("data", {}))
            and _settings(settings) == _settings(wanted)
            and _is_as_precise(settings, wanted)
        ):
            return folder
    return None


def _is_as_precise(settings: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a record ran until the wanted precision; it may have grown beyond it."""
    ours, asked = (one.get("evaluation", {}).get("until") for one in (settings, wanted))
    if ours is None or asked is None:
        return ours is asked
    return parse_precision(ours) <= parse_precision(asked)


def _is_of(run: Mapping[str, Any], data: Mapping[str, Any]) -> bool:
    """Whether a record's data are those of a run, as far as both state them."""
    named = data.get("fingerprint") in (None, run.get("data"))
    contents = run.get("content", {}), data.get("content", {})
    return named and all(contents[0].get(name, one) == one for name, one in contents[1].items())


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings on which the figures of an evaluation depend."""
    part = flatten({key: config[key] for key in _SECTIONS if key in config})
    # The path of the data may change; `own_evaluation` compares their fingerprint.
    apart = ("data.name", "evaluation.until")
    return {
        key: value
        for key, value in part.items()
        if key not in apart and effect_of(key) != "nothing"
    }
