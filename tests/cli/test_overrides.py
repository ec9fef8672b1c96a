from pathlib import Path

from rampart.cli.overrides import COMPONENT_KEYS, components_first, config_and_overrides
from rampart.recipes.config.loading import COMPONENT_NAMES, load_config


def test_an_option_may_stand_before_its_component():
    options = ["schedule.start=0.1", "attack.steps=3"]
    _, overrides = config_and_overrides(
        ["model=m", "data=d", *options, "schedule=two-hinge", "attack.name=pgd"]
    )
    config = load_config(None, overrides)
    assert (config.components.schedule.start, config.components.attack.steps) == (0.1, 3)


def test_the_order_is_otherwise_kept():
    texts = ["seed=1", "evaluation.attack.steps=20", "seed=2", "evaluation.attack=standard"]
    assert components_first(texts) == [texts[3], *texts[:3]]
    assert config_and_overrides(["run.yaml", "seed=1"]) == (Path("run.yaml"), ["seed=1"])


def test_all_components_of_the_configuration_are_known():
    assert set(COMPONENT_NAMES) == {key for key in COMPONENT_KEYS if key.endswith(".name")}
