"""Contradictions, also between users' own parts: rules read attributes, not names."""

from dataclasses import dataclass
from typing import ClassVar

import pytest

from rampart.attacks.catalogue import ATTACKS
from rampart.attacks.pgd import Pgd
from rampart.errors import InvalidArgument
from rampart.objectives.adversarial import StandardObjective, Trades
from rampart.objectives.catalogue import OBJECTIVES
from rampart.recipes.config.loading import load_config
from rampart.registry import Registry
from rampart.strategies.base import Strategy
from rampart.strategies.catalogue import STRATEGIES
from rampart.training.callbacks.base import Callback, Hook
from rampart.training.callbacks.catalogue import CALLBACKS

NEEDED = ("model=resnet50.a1_in1k", "data=photos")


def load(*overrides):
    return load_config(None, [*NEEDED, *overrides])


@pytest.mark.parametrize("idle", ["objective=standard", "threat.eps=0"])
def test_awp_needs_an_attack(idle):
    assert load("callbacks=awp").attacks
    assert not load(idle).attacks
    with pytest.raises(InvalidArgument, match="leave out awp"):
        load("callbacks=awp", idle)


def test_trades_has_its_own_loss():
    with pytest.raises(InvalidArgument, match=r"set objective.inner"):
        load("objective=trades", "attack.loss=dlr")
    assert load("objective=trades", "attack.loss=ce").objective.name == "trades"


@dataclass(frozen=True)
class OneLoss(Pgd):
    """An attack that maximizes only its own loss."""

    takes_any_loss = False
    training_steps = 3


@dataclass(frozen=True)
class FromTheImage(Pgd):
    """An attack without an option for where it starts."""

    @property
    def starts_at_image(self):
        return True


@dataclass(frozen=True)
class OwnLoss(Trades):
    """An objective that chooses the attack's loss by an option of another name."""

    loss_option: ClassVar[str] = "ascent"


@dataclass(frozen=True)
class Held(StandardObjective):
    """An objective that holds features and perturbs nothing."""

    anchors: ClassVar[bool] = True


@dataclass(frozen=True)
class NormsOnly(Strategy):
    backbone = "part"
    needs_clean_phase = True


@dataclass(frozen=True)
class HeadOnly(Strategy):
    backbone = "frozen"


@dataclass(frozen=True)
class Silent(Strategy):
    """It does not affect the backbone."""


@dataclass(frozen=True)
class Paired(StandardObjective):
    """One half of a method."""

    needs_strategy: ClassVar[str] = "half"


@dataclass(frozen=True)
class Half(Strategy):
    needs_objective = "paired"


@dataclass(frozen=True)
class Adapting(Strategy):
    backbone = "part"
    adds_adapters = True


@dataclass(frozen=True)
class Changing(Strategy):
    allows_gradient_checkpointing = False


@dataclass(frozen=True)
class Perturbed(Callback):
    needs_attack = True

    def begin(self, model):
        return Hook()


@dataclass(frozen=True)
class Twice(Callback):
    repeats = True

    def begin(self, model):
        return Hook()


@dataclass(frozen=True)
class Remembering(StandardObjective):
    remembers: ClassVar[bool] = True


@pytest.fixture(autouse=True)
def users_parts(monkeypatch):
    halves = {"half": Half, "adapting": Adapting, "changing": Changing}
    parts = [
        (ATTACKS, {"one-loss": OneLoss, "from-the-image": FromTheImage}),
        (OBJECTIVES, {"own-loss": OwnLoss, "held": Held, "paired": Paired, "mindful": Remembering}),
        (STRATEGIES, {"norms-only": NormsOnly, "head-only": HeadOnly, "silent": Silent, **halves}),
        (CALLBACKS, {"perturbed": Perturbed, "twice": Twice}),
    ]
    for registry, members in parts:
        for table in ("_members", "_fixed"):
            monkeypatch.setattr(registry, table, dict(getattr(registry, table)))
        for name, cls in members.items():
            assert isinstance(registry, Registry)
            registry.register(name)(cls)


@pytest.mark.parametrize(
    ("overrides", "key", "names"),
    [
        (["attack=one-loss", "objective=trades"], "attack", "one-loss"),
        (["attack=from-the-image", "objective=trades"], "attack.start", "none"),
        (["objective=own-loss", "attack.loss=dlr"], "attack.loss", "objective.ascent"),
        (["objective=held", "strategies=linear-probe"], "strategies", "linear-probe"),
        (["objective=fare", "strategies=head-only"], "strategies", "head-only"),
        (["objective=held", "optimizer.backbone_lr=0"], "optimizer.backbone_lr", "held"),
        (["strategies=norms-only", "optimizer.backbone_lr=0"], "optimizer.backbone_lr", "norms"),
        (
            ["strategies=norms-only", "training.linear_probe=true"],
            "training.linear_probe",
            "norms-only",
        ),
        (["objective=held", "training.linear_probe=true"], "training.linear_probe", "attack"),
        (["strategies=[norms-only, head-only]"], "strategies", "leave out .*norms-only"),
        (["strategies=[full, norms-only]"], "strategies", "leave out .*norms-only"),
        (["strategies=[linear-probe, norms-only]"], "strategies", "leave out .*norms-only"),
        (["objective=paired"], "objective", r"strategies=\[half\]"),
        (["strategies=half"], "strategies", "objective=paired"),
        (["strategies=[adapting, lora]"], "strategies", "leave out 'adapting' or 'lora'"),
        (
            ["strategies=changing", "training.gradient_checkpointing=true"],
            "training.gradient_checkpointing",
            "changing",
        ),
        (["objective=autolora"], "objective", r"strategies=\[autolora\]"),
        (["strategies=hyperat"], "strategies", "objective=drawn"),
        (["objective=drawn", "attack=fab"], "attack", "objective=drawn"),
        (["callbacks=perturbed", "objective=held"], "callbacks", "perturbed"),
        (["callbacks=perturbed", "threat.eps=0"], "callbacks", "perturbed"),
        (["callbacks=twice", "objective=mindful"], "callbacks", "leave out twice"),
        (["callbacks=awp", "objective=noisy-labels"], "callbacks", "leave out awp"),
        (
            ["callbacks=awp", "objective=autolora", "strategies=autolora"],
            "callbacks",
            "leave out awp",
        ),
        (
            ["objective=mindful", "schedule={name: adaptive, pilot_restart: baseline}"],
            "schedule.pilot_restart",
            "mindful",
        ),
    ],
)
def test_rules_apply_to_users_parts(overrides, key, names):
    with pytest.raises(InvalidArgument, match=names) as caught:
        load(*overrides)
    assert caught.value.name == key


@pytest.mark.parametrize(
    "overrides",
    [
        ["attack=one-loss"],
        ["attack=one-loss", "objective=mart"],
        ["attack=from-the-image", "objective={name: trades, inner: ce}"],
        ["objective=own-loss"],
        ["strategies=[norms-only, lora, silent]"],
        ["strategies=[head-only, silent, linear-probe]"],
        ["strategies=silent", "training.linear_probe=true", "optimizer.backbone_lr=0"],
        ["callbacks=perturbed"],
        ["callbacks=twice", "objective=fare"],
        ["callbacks=ema", "objective=noisy-labels", "schedule=two-hinge"],
    ],
)
def test_settings_that_fit_together_are_allowed(overrides):
    load(*overrides)


def test_a_users_attack_sets_its_steps_in_training():
    assert load("attack=one-loss").attack.options["steps"] == 3
    assert load("attack=one-loss", "attack.steps=5").attack.options["steps"] == 5
    assert load("evaluation.attack=one-loss").evaluation.attack.options["steps"] == 10


def test_a_users_strategy_sets_the_mode_of_the_backbone():
    assert load("strategies=silent").normalizes_by_batch
    assert not load("strategies=head-only").normalizes_by_batch


@pytest.mark.parametrize(
    ("key", "value", "chosen", "instead"),
    [
        ("momentum", 0.5, "opt=adamw", "opt=sgd"),
        ("betas", "0.9,0.95", "opt=sgd", "opt=adamw"),
        ("milestones", "0.5", "lr_schedule=cosine", "lr_schedule=multistep"),
    ],
)
def test_an_option_of_another_optimizer_is_refused(key, value, chosen, instead):
    settings = [f"optimizer.{key}={value}", f"optimizer.{chosen}"]
    with pytest.raises(InvalidArgument, match=rf"optimizer\.{key}.*optimizer\.{instead}"):
        load(*settings)
    assert load(f"optimizer.{key}={value}", f"optimizer.{instead}").optimizer
