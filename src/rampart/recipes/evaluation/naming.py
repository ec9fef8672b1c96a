"""The name of an evaluation's folder: its settings where they are not the usual ones."""

import hashlib
from pathlib import Path

from rampart.attacks.catalogue import ATTACKS
from rampart.recipes.config.differences import concerns, differences
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.config.schema import EvaluationConfig
from rampart.recipes.evaluation.settings import usual_config
from rampart.recipes.run import FREE_KEYS
from rampart.units import format_eps

#: Keys that the results do not depend on.
RESULT_FREE_KEYS = ("audit", "trust", "batch_size", "level")


def evaluation_name(config: RunConfig) -> str:
    """Return a folder name that tells split, threat and attack: `test-linf-4_255-apgd-10`.

    Options that are not the default ones follow: `...-apgd-10-loss_dlr-limit_100`.
    """
    evaluation, usual_evaluation = config.evaluation, EvaluationConfig()
    attack = evaluation.attack
    usual = {**ATTACKS.dump(ATTACKS.build(attack.name)), "keep": "broken"}
    others = {k: v for k, v in attack.options.items() if k != "steps" and v != usual[k]}
    steps = attack.options.get("steps", "")
    if attack.name not in ("apgd", "pgd") and steps == usual.get("steps"):
        steps = ""
    parts = [evaluation.split, config.threat.norm, format_eps(config.threat.eps)]
    parts += [attack.name, str(steps)]
    for key in sorted(set(EvaluationConfig.model_fields) - {"attack", "split", *RESULT_FREE_KEYS}):
        value = getattr(evaluation, key)
        if value != getattr(usual_evaluation, key):
            others[key] = _spelled(value)
    parts += [f"{key}_{value}" for key, value in others.items()]
    return "-".join(filter(None, parts)).replace("/", "_").replace(" ", "")


def own_data(config: RunConfig) -> list[str]:
    """What else the results for a model that is no run depend on, where it is not the default."""
    free = ("threat", "evaluation", "training.device", "data.name", *FREE_KEYS)
    lines = [line for line in differences(usual_config(config), config) if not concerns(line, free)]
    changes = [line.partition(": ") for line in lines]
    return [f"{key.rpartition('.')[2]}_{change.partition(' -> ')[2]}" for key, _, change in changes]


def _spelled(value: object) -> str:
    """A value in a folder's name; a list of strengths or ids by its end or file, and a digest."""
    if isinstance(value, tuple):
        return f"{len(value)}_to_{format_eps(value[-1])}_{_digest(repr(value).encode())}"
    if isinstance(value, str) and Path(value).is_file():
        return f"{Path(value).stem}_{_digest(Path(value).read_bytes())}"
    return str(value)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:6]
