"""The identity of a run: equal for two configurations that give the same results."""

import hashlib
import json

from rampart.recipes.config.loading import dump_config
from rampart.recipes.config.run_config import RunConfig
from rampart.registry import flatten
from rampart.schema.effects import effect_of


def identity(config: RunConfig) -> str:
    """Return the SHA-256 of the settings that change results, as 64 hexadecimal digits.

    Keys that affect nothing are left out: `data.root`, `data.workers`, `evaluation.checks` and
    others. So a run is the same on another machine, under another engine and in another folder.
    """
    settings = {
        key: value
        for key, value in flatten(dump_config(config)).items()
        if effect_of(key) != "nothing"
    }
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
