"""The components of a configuration are built once, with its options."""

import pickle

import pytest

from rampart.attacks.catalogue import ATTACKS
from rampart.recipes.config import components as module
from rampart.recipes.config.loading import dump_config, load_config, parse_config
from rampart.recipes.config.run_config import RunConfig

NEEDED = ("model=resnet50.a1_in1k", "data=photos")


def load(*overrides):
    return load_config(None, [*NEEDED, *overrides])


def test_the_uniform_schedule_draws_by_the_runs_seed():
    assert load("schedule=uniform", "seed=3").schedule.options["seed"] == 3
    assert load("schedule=uniform", "schedule.seed=5", "seed=3").schedule.options["seed"] == 5


def test_single_step_attacks_have_no_iterate():
    assert "iterate" not in load("evaluation.attack=fgsm").evaluation.attack.options
    assert load("evaluation.attack=pgd").evaluation.attack.options["iterate"] == "adversarial"


@pytest.mark.parametrize("override", ["attack.mode=train", "attack=pgd", "attack.restarts=2"])
def test_another_option_of_the_attack_leaves_its_steps(override):
    config = load_config(None, ["model=a", "data=b", override])
    assert config.attack.options["steps"] == 3
    config = load_config(None, ["model=a", "data=b", override, "attack.steps=5"])
    assert config.attack.options["steps"] == 5


def test_components_are_built_once(monkeypatch):
    built = []
    build = ATTACKS.build

    def counted(name, *rest):
        built.append(name)
        return build(name, *rest)

    monkeypatch.setattr(module.ATTACKS, "build", counted)
    config = load("attack=pgd", "evaluation.attack=standard", "training.linear_probe=true")
    for _ in range(3):
        assert config.attacks
        assert config.normalizes_by_batch
        assert config.components is config.components
    assert built == ["pgd", "standard"]


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("schedule=uniform", "seed=3", "threat={norm: l2, eps: 1}"),
        ("objective=mart", "strategies=[lp-ft, lora]", "callbacks=[ema, awp]"),
    ],
)
def test_a_complete_configuration_names_what_was_built_from_the_short_one(overrides):
    config = load(*overrides)
    again = RunConfig.model_validate(dump_config(config))
    assert again == config
    assert again.components == config.components


def test_a_configuration_is_pickled_without_components():
    config = load("callbacks=ema")
    assert config.components.callbacks
    assert b"rampart.attacks.apgd" not in pickle.dumps(config)
    back = pickle.loads(pickle.dumps(config))
    assert back == config
    assert back.components == config.components


@pytest.mark.parametrize(
    "attack", [name for name in ATTACKS.names() if ATTACKS.get(name).takes_any_loss]
)
def test_every_attack_can_be_read_back_beside_an_objective_with_a_loss_of_its_own(attack):
    config = load(f"attack={attack}", "objective=trades")
    assert parse_config(dump_config(config)) == config
