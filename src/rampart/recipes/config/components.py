"""The components that a configuration names, each built once."""

from dataclasses import dataclass

from rampart.attacks.base import Attack
from rampart.attacks.catalogue import ATTACKS
from rampart.errors import InvalidArgument, UnknownName
from rampart.objectives.base import Objective
from rampart.objectives.catalogue import OBJECTIVES
from rampart.recipes.config.schema import AttackConfig, RunFields, ScheduleConfig
from rampart.schedules.base import Schedule
from rampart.schedules.catalogue import SCHEDULES
from rampart.strategies.base import Strategy
from rampart.strategies.catalogue import STRATEGIES
from rampart.training.callbacks.base import Callback
from rampart.training.callbacks.catalogue import CALLBACKS
from rampart.units import Norm


@dataclass(frozen=True)
class Components:
    """What a configuration names.

    Attributes:
        schedule: one that draws uses the run's seed.
        objective: what is minimised.
        attack: the one used in training, in the norm of the threat.
        evaluation_attack: a sample counts as broken as soon as one of its iterates is.
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
    return Components(
        schedule=_schedule(config.schedule, config.seed),
        objective=OBJECTIVES.build(config.objective.name, config.objective.options),
        attack=_training_attack(config.attack, norm),
        evaluation_attack=_evaluation_attack(config.evaluation.attack, norm),
        strategies={one.name: STRATEGIES.build(one.name, one.options) for one in config.strategies},
        callbacks={one.name: CALLBACKS.build(one.name, one.options) for one in config.callbacks},
    )


def _schedule(section: ScheduleConfig, seed: int) -> Schedule:
    name, options = section.name, section.options
    for option in options:
        if not SCHEDULES.takes(name, option):
            known = ["granularity", *SCHEDULES.dump(SCHEDULES.build(name))]
            raise UnknownName(f"option of schedule '{name}'", option, set(known) - {"name"})
    own = {"seed": seed} if SCHEDULES.takes(name, "seed") else {}
    return SCHEDULES.build(name, {**own, **options})


def _training_attack(section: AttackConfig, norm: Norm) -> Attack:
    # As published; whichever other option of it is set.
    steps = {"steps": 7} if section.name in ("apgd", "pgd") else {}
    return _attack(AttackConfig(name=section.name, **{**steps, **section.options}), norm)


def _evaluation_attack(section: AttackConfig, norm: Norm) -> Attack:
    strict = {"keep": "broken"} if ATTACKS.takes(section.name, "keep") else {}
    return _attack(AttackConfig(name=section.name, **{**strict, **section.options}), norm)


def _attack(section: AttackConfig, norm: Norm) -> Attack:
    loss = str(section.options.get("loss", ""))
    if loss.startswith("targeted-"):
        raise InvalidArgument(
            "attack.loss", loss, "an untargeted loss", "targets are chosen in Python only"
        )
    return ATTACKS.build(section.name, {"norm": norm, **section.options})
