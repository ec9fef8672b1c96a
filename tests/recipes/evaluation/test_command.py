"""The command in a record repeats its evaluation."""

import shlex
from types import SimpleNamespace

import pytest

from rampart.recipes.config.differences import differences
from rampart.recipes.evaluation.command import command_of
from rampart.recipes.evaluation.settings import load_for_evaluation, load_for_model

SETTINGS = [
    (),
    ("threat.norm=l2", "threat.eps=0.5", "evaluation.attack=standard"),
    ("evaluation.attack.steps=3", "evaluation.strengths=[2/255, 4/255]", "threat.eps=4/255"),
    ("evaluation.attack=square", "evaluation.attack.queries=77", "seed=3", "evaluation.until=2%"),
    ("data.image_size=16", "model.mean=[0.5, 0.5, 0.5]", "model.std=[0.2, 0.2, 0.2]"),
]


def changed(config, again):
    return [one for one in differences(config, again) if one.affects != "nothing"]


@pytest.mark.parametrize("settings", SETTINGS)
def test_of_a_model(settings):
    config = load_for_model("timm:a b", ["data=my photos/", *settings])
    words = shlex.split(command_of(SimpleNamespace(config=config, run=None)))
    assert words[:3] == ["rampart", "evaluate", "timm:a b"]
    assert not changed(config, load_for_model("timm:a b", words[3:]))


@pytest.mark.parametrize("settings", SETTINGS[:4])
def test_of_a_run(run, settings):
    config = load_for_evaluation(run, settings)
    words = shlex.split(command_of(SimpleNamespace(config=config, run=run)))
    assert words[:3] == ["rampart", "evaluate", str(run.path)]
    assert not changed(config, load_for_evaluation(run, words[3:]))


def test_of_objects_is_a_call():
    settings = ["data=python:images", "threat.eps=4/255", "evaluation.top_k=2"]
    config = load_for_model("python:net", settings)
    call = command_of(SimpleNamespace(config=config, run=None))
    assert call.startswith("rampart.evaluate(net, images, eps='4/255', attack={")
    assert "top_k=2" in call
