from rampart.recipes.config.differences import Difference, differences, spell_differences
from rampart.recipes.config.loading import load_config

NEEDED = ("model=resnet50.a1_in1k", "data=photos")


def load(*overrides):
    return load_config(None, [*NEEDED, *overrides])


def test_differences_name_the_keys():
    changed = differences(load(), load("training.epochs=9", "schedule.min_skill=0.5"))
    assert changed == [("schedule.min_skill", 0.1, 0.5), ("training.epochs", 50, 9)]
    assert spell_differences(changed) == "schedule.min_skill: 0.1 -> 0.5; training.epochs: 50 -> 9"
    assert differences(load(), load()) == []


def test_a_difference_has_an_effect_and_a_section():
    one = Difference("evaluation.attack.steps", 10, 20)
    assert one.affects == "evaluation"
    assert one.is_in("threat", "evaluation.attack")
    assert not one.is_in("evaluation.att")
