"""The components that a configuration names, each built once."""

from dataclasses import dataclass
from typing import Any

from rampart.attacks.base import Attack
from rampart.attacks.catalogue import ATTACKS
from rampart.errors import InvalidArgument
from rampart.objectives.base import Objective
from rampart.objectives.catalogue import OBJECTIVES
from rampart.schedules.base import Schedule
from rampart.schedules.catalogue import SCHEDULES
from rampart.schema.components import AttackConfig, ScheduleConfig
from rampart.schema.fields import RunFields
from rampart.strategies.base import Strategy
from rampart.strategies.catalogue import STRATEGIES
from rampart.training.callbacks.base import Callback
from rampart.training.callbacks.catalogue import CALLBACKS
from rampart.units import Norm


@dataclass(frozen=True)
class Components:
    """The components that a configuration names.

    Attributes:
        schedule: over eps; a random one draws by the run's seed.
        objective: that training minimizes.
        attack: for training, in the norm of the threat.
        evaluation_attack: for evaluation; by default it returns the first adversarial iterate.
        strategies: by name.
        callbacks: by name.
    """

    schedule: Schedule
    objective: Objective
    attack: Attack
    evaluation_attack: Attack
    strategies: dict[str, Strategy]
    callbacks: dict[str, Callback]


def build_components(config: RunFields) -> Components:
    """Build everything that the configuration names.

    Raises:
        UnknownName: no such component, or it has no such option.
        InvalidArgument: an option of the wrong type or out of range.
    """
    norm = config.threat.norm
    objective, strategies, callbacks = config.objective, config.strategies, config.callbacks
    return Components(
        schedule=_schedule(config.schedule, config.seed),
        objective=OBJECTIVES.build(objective.name, objective.options, "objective"),
        attack=_training_attack(config.attack, norm),
        evaluation_attack=_evaluation_attack(config.evaluation.attack, norm),
        strategies={s.name: STRATEGIES.build(s.name, s.options, "strategies") for s in strategies},
        callbacks={c.name: CALLBACKS.build(c.name, c.options, "callbacks") for c in callbacks},
    )


def _schedule(section: ScheduleConfig, seed: int) -> Schedule:
    name, options = section.name, section.options
    SCHEDULES.get(name, "schedule")
    for option in options:
        if not SCHEDULES.takes(name, option):
            known = ["interval", *SCHEDULES.dump(SCHEDULES.build(name))]
            raise SCHEDULES.unknown_option(name, option, set(known) - {"name"})
    own = {"seed": seed} if SCHEDULES.takes(name, "seed") else {}
    return SCHEDULES.build(name, {**own, **options})


def _training_attack(section: AttackConfig, norm: Norm) -> Attack:
    usual = ATTACKS.get(section.name, "attack").training_steps
    steps = {"steps": usual} if usual is not None else {}
    return _attack(section.name, {**steps, **section.options}, norm, "attack")


def _evaluation_attack(section: AttackConfig, norm: Norm) -> Attack:
    ATTACKS.get(section.name, "evaluation.attack")
    strict = {"iterate": "adversarial"} if ATTACKS.takes(section.name, "iterate") else {}
    attack = _attack(section.name, {**strict, **section.options}, norm, "evaluation.attack")
    if attack.reach > 1:
        raise InvalidArgument(
            "evaluation.attack",
            section.name,
            "an attack whose points stay within eps, which this one's leave",
            "write evaluation.attack=apgd",
        )
    return attack


def _attack(name: str, options: dict[str, Any], norm: Norm, key: str) -> Attack:
    loss = str(options.get("loss", ""))
    if loss.startswith("targeted-"):
        raise InvalidArgument(
            f"{key}.loss", loss, "an untargeted loss", "targets can be chosen only in Python"
        )
    if "norm" in options:
        raise InvalidArgument(f"{key}.norm", options["norm"], "no norm here", "set threat.norm")
    return ATTACKS.build(name, {"norm": norm, **options}, key)
