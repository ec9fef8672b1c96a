"""What contradicts what in a configuration."""

from rampart.attacks.autoattack import AutoAttack
from rampart.errors import InvalidArgument
from rampart.recipes.config.components import Components
from rampart.recipes.config.schema import RunFields
from rampart.strategies.base import check_together

#: Strategies that have a way of training the backbone.
ADAPTING = ("lp-ft", "lora")


def check_rules(config: RunFields, parts: Components) -> None:
    """Refuse a configuration whose parts contradict each other.

    Raises:
        InvalidArgument: which key, and what to write instead.
    """
    _attack_for_objective(config, parts)
    _probe_for_adaptive(config, parts)
    _one_loss(config, parts)
    _parts_go_together(config, parts)
    _backbone_moves_for_its_parts(config, parts)


def is_attacked(config: RunFields, parts: Components) -> bool:
    """Return whether training looks at perturbed images."""
    return config.threat.eps > 0 and parts.objective.attacks


def _attack_for_objective(config: RunFields, parts: Components) -> None:
    own = config.attack.name == "fab" or isinstance(parts.attack, AutoAttack)
    if own and parts.objective.chooses_loss:
        raise InvalidArgument(
            "attack",
            config.attack.name,
            f"an attack that maximises any loss, for objective={config.objective.name}",
            "write attack=apgd or attack=pgd",
        )


def _probe_for_adaptive(config: RunFields, parts: Components) -> None:
    if not config.training.probe:
        return
    if not parts.schedule.needs_accuracy:
        raise InvalidArgument(
            "training.probe",
            True,
            "an adaptive schedule, whose ramp the probe starts",
            "write schedule=adaptive, or run `rampart probe` to see its verdict only",
        )
    if not is_attacked(config, parts):
        raise InvalidArgument(
            "training.probe", True, "an attack in training, whose strength it is about"
        )
    if "lp-ft" in parts.strategies:
        raise InvalidArgument(
            "training.probe",
            True,
            "false with strategies=[lp-ft], which needs a time at eps = 0",
        )


def _one_loss(config: RunFields, parts: Components) -> None:
    chosen = config.attack.options.get("loss", "ce")
    if chosen != "ce" and parts.objective.chooses_loss:
        raise InvalidArgument(
            "attack.loss",
            chosen,
            f"no loss here with objective={config.objective.name}, which has its own",
            "set objective.inner" if config.objective.name == "trades" else "leave it out",
        )


def _parts_go_together(config: RunFields, parts: Components) -> None:
    for section, named in (("strategies", config.strategies), ("callbacks", config.callbacks)):
        names = [one.name for one in named]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise InvalidArgument(section, twice[0], "each name once")
    check_together(parts.strategies)
    parts.objective.check_attack(parts.attack)
    idle = [name for name, one in parts.callbacks.items() if one.needs_attack]
    if idle and not is_attacked(config, parts):
        raise InvalidArgument(
            "callbacks",
            idle[0],
            "a run that attacks, for it acts only where images are perturbed",
            f"leave out {idle[0]}, or write objective=adversarial and a threat.eps above 0",
        )
    if parts.objective.anchors and "linear-probe" in parts.strategies:
        raise InvalidArgument(
            "strategies",
            "linear-probe",
            f"one that trains the backbone, which objective={config.objective.name} anchors",
            "leave out linear-probe, or write objective=adversarial",
        )


def _backbone_moves_for_its_parts(config: RunFields, parts: Components) -> None:
    named = [f"strategies=[{name}]" for name in parts.strategies if name in ADAPTING]
    if parts.objective.anchors:
        named.append(f"objective={config.objective.name}")
    if named and config.optimiser.backbone_lr == 0:
        raise InvalidArgument(
            "optimiser.backbone_lr",
            0,
            f"a rate above 0 with {named[0]}, which is about how the backbone moves",
            f"write strategies=[linear-probe] in place of {named[0]} for the head alone",
        )
