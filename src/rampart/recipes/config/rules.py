"""Refuse settings that contradict each other.

A rule reads attributes of the parts (`Attack.takes_any_loss`, `Strategy.backbone`) instead of their
names, so that it also applies to users' own parts.
"""

from dataclasses import fields

from rampart.data.set_apart import check_fraction
from rampart.errors import InvalidArgument
from rampart.models.references import is_function
from rampart.recipes.config.components import Components
from rampart.schedules.adaptive import Adaptive
from rampart.schema.fields import RunFields
from rampart.schema.learning import OptimizerConfig
from rampart.schema.model_and_data import ModelConfig
from rampart.strategies.base import check_together
from rampart.training.optimizers import PLATEAU, check_epochs


def check_rules(config: RunFields, parts: Components) -> None:
    """Refuse a configuration whose settings contradict each other.

    Raises:
        InvalidArgument: two settings contradict each other; names the key and an alternative.
    """
    _check_model(config.model)
    check_fraction("data.validation_fraction", config.data.validation_fraction)
    check_fraction("data.test_fraction", config.data.test_fraction)
    for section, named in (("strategies", config.strategies), ("callbacks", config.callbacks)):
        _check_names_differ(section, [one.name for one in named])
    _check_optimizer(config.optimizer)
    _check_plateau(config)
    _check_loss(config, parts)
    _check_batch_norm(config, parts)
    _check_linear_probe(config, parts)
    _check_pilot(config, parts)
    _check_warm_start(config, parts)
    _check_balance(config)
    _check_strategies(config, parts)
    _check_callbacks(config, parts)


def is_attacked(config: RunFields, parts: Components) -> bool:
    """Return whether training uses perturbed images."""
    return config.threat.eps > 0 and parts.objective.attacks


def _check_model(model: ModelConfig) -> None:
    for key, value in model.options.items():
        if value is None:
            raise InvalidArgument(
                "model.options", key, "a value for each", "write model.options.NAME=VALUE"
            )
    # For a function of the user too, whose code is not asked.
    channels = model.options.get("in_chans")
    if isinstance(channels, bool):
        raise InvalidArgument("model.options.in_chans", str(channels).lower(), "a number")
    if "," in model.name and not {"/", ":"} & set(model.name):
        # No name of timm or of the catalogue has a comma, and a path has a slash.
        raise InvalidArgument("model.name", model.name, "one backbone")
    if is_function(model.name):
        _check_function(model)
    if model.weights is not None and not model.pretrained:
        raise InvalidArgument(
            "model.weights", model.weights, "no weights with model.pretrained=false"
        )
    if model.head == "pretrained" and not model.pretrained:
        raise InvalidArgument("model.head", "pretrained", "fresh with model.pretrained=false")


def _check_function(model: ModelConfig) -> None:
    """Refuse settings of a backbone for a function of the user, which returns the whole model."""
    own = ModelConfig(name=model.name)
    for key in ("pretrained", "weights", "head"):
        if getattr(model, key) != getattr(own, key):
            raise InvalidArgument(
                f"model.{key}",
                getattr(model, key),
                f"no value, because '{model.name}' returns the whole model",
                "set it inside the function",
            )
    others = sorted(model.options.keys() - {"in_chans"})
    if others:
        raise InvalidArgument(
            "model.options",
            others[0],
            f"at most in_chans, because '{model.name}' is called without arguments",
            "set it inside the function",
        )


def _check_optimizer(optimizer: OptimizerConfig) -> None:
    """Refuse an option that the chosen optimizer or its course does not have."""
    usual = OptimizerConfig()
    for key, chooser, needs in (
        ("betas", "opt", ("adamw",)),
        ("momentum", "opt", ("sgd",)),
        ("milestones", "lr_schedule", ("multistep", "plateau")),
    ):
        value, chosen = getattr(optimizer, key), getattr(optimizer, chooser)
        if chosen not in needs and value != getattr(usual, key):
            raise InvalidArgument(
                f"optimizer.{key}",
                list(value) if isinstance(value, tuple) else value,
                f"no value with optimizer.{chooser}={chosen}",
                f"leave it out, or write optimizer.{chooser}={needs[0]}",
            )


def _check_plateau(config: RunFields) -> None:
    """Refuse to reload the best weights where none are saved, or where no epoch is checked."""
    if config.optimizer.lr_schedule != "plateau":
        return
    if config.training.checkpoint != "best":
        raise InvalidArgument(
            "training.checkpoint",
            config.training.checkpoint,
            f"best with {PLATEAU}, which reloads the best weights",
        )
    epochs, milestones = config.training.epochs, config.optimizer.milestones
    if not check_epochs(milestones, epochs):
        raise InvalidArgument(
            "optimizer.milestones",
            list(milestones),
            f"with {PLATEAU}, one after which an epoch ends that is not the last of {epochs}",
            "add an earlier milestone, or train for more epochs",
        )


def _check_balance(config: RunFields) -> None:
    """Refuse a balance that is counted twice, and perturbations kept for images seen twice."""
    training = config.training
    if training.sampler != "balanced":
        return
    if training.class_weights == "balanced":
        raise InvalidArgument(
            "training.class_weights",
            "balanced",
            "none with training.sampler=balanced, which shows all classes equally often already",
        )
    if training.warm_start:
        raise InvalidArgument(
            "training.warm_start",
            True,
            "false with training.sampler=balanced, which shows some images several times an epoch",
        )


def _check_names_differ(section: str, names: list[str]) -> None:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InvalidArgument(section, twice[0], "each name once")


def _check_loss(config: RunFields, parts: Components) -> None:
    """Refuse an attack that cannot maximize the loss that the objective chooses."""
    objective, attack = parts.objective, parts.attack
    objective.check_attack(attack)
    if not objective.chooses_loss:
        return
    if not attack.takes_any_loss:
        raise InvalidArgument(
            "attack",
            config.attack.name,
            f"an attack that maximizes any loss, for objective={config.objective.name}",
            "write attack=apgd or attack=pgd",
        )
    (usual,) = (field.default for field in fields(attack) if field.name == "loss")
    if attack.loss != usual:
        option = objective.loss_option
        raise InvalidArgument(
            "attack.loss",
            attack.loss,
            f"no loss, because objective={config.objective.name} chooses it",
            f"set objective.{option}" if option else "leave it out",
        )


def _check_batch_norm(config: RunFields, parts: Components) -> None:
    """Refuse an objective that needs BatchNorm in train mode where it is in eval mode."""
    if not parts.objective.needs_batch_norm:
        return
    objective = config.objective.name
    if config.model.batch_norm == "frozen":
        raise InvalidArgument(
            "model.batch_norm",
            "frozen",
            f"train with objective={objective}, which freezes the statistics of a part of each "
            "batch itself",
            f"leave it out, or leave out objective={objective}",
        )
    frozen = [name for name, one in parts.strategies.items() if one.backbone == "frozen"]
    if frozen:
        raise InvalidArgument(
            "strategies",
            frozen[0],
            f"one that trains the backbone, because objective={objective} needs BatchNorm in train "
            "mode",
            f"leave out {frozen[0]}, or write objective=adversarial",
        )


def _check_linear_probe(config: RunFields, parts: Components) -> None:
    """Refuse a linear probe that could not set the starting strength of the run."""
    if not config.training.linear_probe:
        return
    if not parts.schedule.needs_accuracy:
        raise InvalidArgument(
            "training.linear_probe",
            True,
            "an adaptive schedule, because the linear probe sets where its ramp starts",
            "write schedule=adaptive, or run `rampart linear-probe` to measure only",
        )
    if not is_attacked(config, parts):
        raise InvalidArgument(
            "training.linear_probe",
            True,
            "an attack in training, because a linear probe sets where its ramp starts",
        )
    for name, strategy in parts.strategies.items():
        if strategy.needs_clean_phase:
            raise InvalidArgument(
                "training.linear_probe",
                True,
                f"false with strategies=[{name}], which needs a phase at eps = 0",
            )


def unlike_baseline(config: RunFields, parts: Components) -> list[str]:
    """Return the settings by which a run begins in another way than standard fine-tuning."""
    return [
        *(f"callbacks=[{name}]" for name in parts.callbacks),
        *(f"strategies=[{name}]" for name in parts.strategies),
        *(["training.precision=fp16"] if config.training.precision == "fp16" else []),
        *(["training.linear_probe=true"] if config.training.linear_probe else []),
        *([PLATEAU] if config.optimizer.lr_schedule == "plateau" else []),
        *([f"objective={config.objective.name}"] if parts.objective.remembers else []),
    ]


def _check_pilot(config: RunFields, parts: Components) -> None:
    """Refuse to continue from a clean baseline that is not the beginning of the run."""
    schedule = parts.schedule
    if not isinstance(schedule, Adaptive) or schedule.pilot_restart != "baseline":
        return
    unlike = unlike_baseline(config, parts)
    if unlike:
        raise InvalidArgument(
            "schedule.pilot_restart",
            "baseline",
            f"start with {unlike[0]}, which the clean baseline does not have",
        )


def _check_warm_start(config: RunFields, parts: Components) -> None:
    """Refuse a warm start with an attack or an augmentation that cannot use it."""
    if not config.training.warm_start:
        return
    if not parts.attack.takes_start:
        raise InvalidArgument(
            "training.warm_start",
            True,
            f"false with attack={config.attack.name}, which chooses where it begins",
            "write attack=pgd or attack=apgd",
        )
    if config.data.augment.rotation:
        raise InvalidArgument(
            "data.augment.rotation",
            config.data.augment.rotation,
            "0 with training.warm_start, because a perturbation does not fit its image at another "
            "angle",
            "flips and color jitter are possible",
        )


def _check_strategies(config: RunFields, parts: Components) -> None:
    check_together(parts.strategies)
    _check_partners(config, parts)
    objective = f"objective={config.objective.name}"
    frozen = [name for name, one in parts.strategies.items() if one.backbone == "frozen"]
    if parts.objective.anchors and frozen:
        raise InvalidArgument(
            "strategies",
            frozen[0],
            f"one that trains the backbone, because {objective} acts on its features",
            f"leave out {frozen[0]}, or write objective=adversarial",
        )
    moving = [
        f"strategies=[{name}]" for name, one in parts.strategies.items() if one.backbone == "part"
    ]
    moving += [objective] if parts.objective.anchors else []
    if moving and config.optimizer.backbone_lr == 0:
        raise InvalidArgument(
            "optimizer.backbone_lr",
            0,
            f"a rate above 0, because {moving[0]} trains the backbone",
            f"to train only the head write strategies=[linear-probe] in place of {moving[0]}",
        )


def _check_partners(config: RunFields, parts: Components) -> None:
    """Refuse one half of a method that consists of an objective and a strategy."""
    name, wanted = config.objective.name, parts.objective.needs_strategy
    if wanted and wanted not in parts.strategies:
        raise InvalidArgument(
            "objective",
            name,
            f"strategies=[{wanted}] with it, which adds the weights that it trains",
            f"write strategies=[{wanted}]",
        )
    for strategy, one in parts.strategies.items():
        if one.needs_objective not in ("", name):
            raise InvalidArgument(
                "strategies",
                strategy,
                f"objective={one.needs_objective} with it, which trains the weights that it adds",
                f"write objective={one.needs_objective}, or leave out '{strategy}'",
            )
        if config.training.gradient_checkpointing and not one.allows_gradient_checkpointing:
            raise InvalidArgument(
                "training.gradient_checkpointing",
                True,
                f"false with strategies=[{strategy}], whose network changes within a step",
            )


def _check_callbacks(config: RunFields, parts: Components) -> None:
    repeating = [name for name, one in parts.callbacks.items() if one.repeats]
    if repeating and parts.objective.remembers:
        objective = config.objective.name
        raise InvalidArgument(
            "callbacks",
            repeating[0],
            f"none that repeats a batch at other weights, because objective={objective} remembers "
            "what the model says of each image",
            f"leave out {repeating[0]}, or write objective=adversarial",
        )
    idle = [name for name, one in parts.callbacks.items() if one.needs_attack]
    if idle and not is_attacked(config, parts):
        raise InvalidArgument(
            "callbacks",
            idle[0],
            "a run with an attack, because it acts only on perturbed images",
            f"leave out {idle[0]}, or write objective=adversarial and a threat.eps above 0",
        )
