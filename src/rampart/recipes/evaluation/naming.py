"""The name of an evaluation's folder: its settings that differ from the defaults."""

import hashlib
from pathlib import Path

from rampart.attacks.catalogue import ATTACKS
from rampart.files import read_bytes
from rampart.recipes.config.differences import differences
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.evaluation.settings import default_config, record_keys
from rampart.schema.measuring import EvaluationConfig
from rampart.units import format_eps

#: Keys without a place in the name of an evaluation that grows when more precision is asked for.
AMOUNT = ("limit", "stratified", "until")


def evaluation_name(config: RunConfig, threats: str = "") -> str:
    """Return a folder name from split, threat and attack: `test-linf-4_255-apgd-10`.

    Other options follow if they differ from the defaults: `...-apgd-10-loss_dlr-limit_100`.

    Args:
        config: of the evaluation.
        threats: the threats of a profile, in place of that of the configuration.
    """
    evaluation, usual_evaluation = config.evaluation, EvaluationConfig()
    attack = evaluation.attack
    usual = {**ATTACKS.dump(ATTACKS.build(attack.name)), "iterate": "adversarial"}
    others = {k: v for k, v in attack.options.items() if k != "steps" and v != usual[k]}
    steps = attack.options.get("steps", "")
    if attack.name not in ("apgd", "pgd") and steps == usual.get("steps"):
        steps = ""
    threat = threats or f"{config.threat.norm}-{format_eps(config.threat.eps)}"
    parts = [evaluation.split, threat]
    parts += [attack.name, str(steps)]
    amount = AMOUNT if evaluation.until is not None else ()
    for key in sorted(set(record_keys()) - {"attack", "split", *amount}):
        value = getattr(evaluation, key)
        if value != getattr(usual_evaluation, key):
            others[key] = _spell_value(value)
    parts += [f"{key}_{value}" for key, value in others.items()]
    parts += ["until"] if amount else []
    return "-".join(filter(None, parts)).replace("/", "_").replace(" ", "")


def name_other_settings(config: RunConfig) -> list[str]:
    """Return the other settings that change the results of an external model, if not default."""
    changed = [
        one for one in differences(default_config(config), config) if one.affects == "training"
    ]
    return [
        f"{one.key.rpartition('.')[2]}_{one.new}"
        for one in changed
        if not one.is_in("threat", "training.device", "data.name")
    ]


def _spell_value(value: object) -> str:
    """Spell a value for a folder's name; lists of strengths and files get a digest."""
    if isinstance(value, tuple):
        return f"{len(value)}_to_{format_eps(value[-1])}_{_digest(repr(value).encode())}"
    if isinstance(value, str) and Path(value).is_file():
        return f"{Path(value).stem}_{_digest(read_bytes(Path(value)))}"
    return str(value)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:6]
