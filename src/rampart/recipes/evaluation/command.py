"""The command that repeats an evaluation, for its record."""

import json
from shlex import join
from typing import Any

from rampart.plugins import GIVEN
from rampart.recipes.config.differences import differences
from rampart.recipes.config.loading import dump_config, load_config
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.evaluation.settings import default_config
from rampart.recipes.evaluation.subject import Subject
from rampart.registry import flatten


def command_of(subject: Subject) -> str:
    """Return the command, with every setting that changes the result and is not a default.

    An evaluation of objects of Python is a call instead, with their names.
    """
    config = subject.config
    named = config.model.name, config.data.name
    if subject.run is None and any(name.startswith(GIVEN) for name in named):
        return _call(config)
    if subject.run is not None:
        changed = _changed(load_config(subject.run), config)
        return join(["rampart", "evaluate", str(subject.run.path), *_spelled(changed)])
    changed = {"data.name": config.data.name, **_changed(default_config(config), config)}
    return join(["rampart", "evaluate", config.model.name, *_spelled(changed)])


def _changed(usual: RunConfig, config: RunConfig) -> dict[str, Any]:
    """Return the settings with another value than usual that change a result."""
    known = flatten(dump_config(config))
    return {
        one.key: one.new
        for one in differences(usual, config)
        if one.key in known and one.affects != "nothing"
    }


def _spelled(changed: dict[str, Any]) -> list[str]:
    """Return settings as KEY=VALUE; the name of a part comes before its options."""
    words = []
    for key in sorted(changed, key=lambda one: (not one.endswith(".name"), one != "threat.norm")):
        value = changed[key]
        text = value if isinstance(value, str) else json.dumps(value)
        words.append(f"{key.removesuffix('.name')}={text}")
    return words


def _call(config: RunConfig) -> str:
    """Return the call of `rampart.evaluate` that repeats an evaluation of objects."""
    threat, evaluation = config.threat, dump_config(config)["evaluation"]
    usual = dump_config(default_config(config))["evaluation"]
    others = {
        key: value
        for key, value in evaluation.items()
        if key not in ("attack", "batch_size") and value != usual[key]
    }
    model, data = (
        name.removeprefix(GIVEN) if name.startswith(GIVEN) else repr(name)
        for name in (config.model.name, config.data.name)
    )
    eps, attack = dump_config(config)["threat"]["eps"], evaluation["attack"]
    options = {"seed": config.seed, **others} if config.seed else others
    words = "".join(f", {key}={value!r}" for key, value in options.items())
    text = f"rampart.evaluate({model}, {data}, eps={eps!r}, attack={attack!r}"
    return f"{text}, norm={threat.norm!r}{words})"
