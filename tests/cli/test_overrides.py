from pathlib import Path

import pytest

from rampart.cli.overrides import config_and_overrides, ordered
from rampart.errors import InvalidArgument
from rampart.recipes.config.loading import load_config


def test_an_option_may_stand_before_its_component():
    options = ["schedule.start=0.1", "attack.steps=3"]
    _, overrides = config_and_overrides(
        ["model=m", "data=d", *options, "schedule=two-hinge", "attack.name=pgd"]
    )
    config = load_config(None, overrides)
    assert (config.components.schedule.start, config.components.attack.steps) == (0.1, 3)


def test_sections_come_before_their_keys():
    texts = ["seed=1", "data.image_size=16", "evaluation.attack.steps=20", "data=photos"]
    assert ordered([*texts, "evaluation.attack.name=pgd"]) == [
        *("seed=1", "data=photos", "data.image_size=16"),
        *("evaluation.attack.name=pgd", "evaluation.attack.steps=20"),
    ]
    assert config_and_overrides(["run.yaml", "seed=1"]) == (Path("run.yaml"), ["seed=1"])


@pytest.mark.parametrize("second", ["seed=2", "data.name=photos"])
def test_a_key_is_set_once(second):
    with pytest.raises(InvalidArgument, match=r"settings=.*each key once"):
        ordered(["seed=1", "data=digit-pairs", second])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["evaluation.limit", "8"], "write evaluation.limit=8"),
        (["limit", "8"], "write evaluation.limit=8"),
        (["epochs"], "write training.epochs=VALUE"),
        (["photos"], "perhaps data=photos or model=photos"),
        (["training.epochs:3"], "write training.epochs=3"),
        (["limit:3"], "write evaluation.limit=3"),
        (["run.json"], "a configuration is a YAML file"),
        (["C:photos"], "perhaps data=C:photos"),
        (["threat.eps", "=", "4/255"], "write threat.eps=VALUE"),
        (["threat.eps=", "4/255"], "without spaces"),
        (["threat.eps", "=4/255"], "write threat.eps"),
    ],
)
def test_a_word_without_equals_says_what_to_write(words, says):
    with pytest.raises(InvalidArgument, match=says):
        config_and_overrides(words)
