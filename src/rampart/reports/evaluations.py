"""The evaluations in a run's folder, and the one that the run's own configuration asks for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from rampart.errors import RunError
from rampart.records.storage import load_record
from rampart.registry import flatten
from rampart.runs.run_folder import RunFolder
from rampart.schema.effects import effect_of

#: What an evaluation may change of a run's configuration.
_SECTIONS = ("seed", "data", "threat", "evaluation")


def own_evaluation(run: Path, **changes: Any) -> Path | None:
    """Return the folder of the finished evaluation that a run's own configuration asks for.

    An evaluation with other settings never takes its place.

    Args:
        run: the run's folder.
        changes: keys of the section `evaluation` that are to be other than in the configuration.

    Returns:
        None where the run has no such evaluation yet.

    Raises:
        RunError: the configuration or a record is damaged.
    """
    folders = [evaluation.path for evaluation in RunFolder(run).finished_evaluations()]
    if not folders:
        return None
    config = read_config(RunFolder(run).config)
    evaluation = {**config.get("evaluation", {}), **changes}
    wanted = _settings({**config, "evaluation": evaluation})
    for folder in folders:
        if _settings(load_record(folder).metadata.get("settings", {})) == wanted:
            return folder
    return None


def read_config(path: Path) -> dict[str, Any]:
    """Read the configuration that a run has left.

    Raises:
        RunError: it is damaged.
    """
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RunError(f"{path} is damaged ({' '.join(str(error).split())}).") from error
    if not isinstance(config, dict):
        raise RunError(f"{path} is no configuration of a run.")
    return config


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a configuration that the figures of an evaluation depend on."""
    part = flatten({key: config[key] for key in _SECTIONS if key in config})
    # Other data than those of the run are refused when it is evaluated, so their place is free.
    return {
        key: value
        for key, value in part.items()
        if key != "data.name" and effect_of(key) != "nothing"
    }
