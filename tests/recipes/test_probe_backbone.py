from dataclasses import replace

import pytest

from rampart.errors import InvalidArgument
from rampart.evaluation.linear_probe import measure_linear_probe
from rampart.recipes import probe_backbone as recipe
from rampart.recipes.config.loading import load_config
from rampart.recipes.initial_model import make_model
from rampart.recipes.probe_backbone import linear_probe_config
from rampart.recipes.splits import make_splits


@pytest.fixture
def config(tiny_settings):
    return load_config(None, tiny_settings)


def unreadable(index):
    raise AssertionError("a test image was looked at")


def test_the_configured_model_is_probed_without_test_images(config, monkeypatch):
    splits = make_splits(config)
    hidden = replace(splits, test=replace(splits.test, pixels=unreadable))
    monkeypatch.setattr(recipe, "make_splits", lambda _: hidden)
    found = linear_probe_config(config)
    model = make_model(config, splits)
    assert found == measure_linear_probe(
        model, splits.train, splits.validation, 8 / 255, "linf", seed=0
    )
    assert found.images == len(splits.validation) == 9


def test_the_threat_and_the_seed_are_the_runs(tiny_settings):
    settings = ["threat={norm: l2, eps: 0.1}", "seed=1", "evaluation.batch_size=4"]
    config = load_config(None, [*tiny_settings, *settings])
    splits = make_splits(config)
    expected = measure_linear_probe(
        make_model(config, splits), splits.train, splits.validation, 0.1, "l2", seed=1
    )
    assert linear_probe_config(config) == expected


def test_the_probe_needs_a_strength(tiny_settings):
    config = load_config(None, [*tiny_settings, "threat.eps=0", "data=nowhere"])
    with pytest.raises(InvalidArgument, match=r"threat.eps=0: expected a strength above 0"):
        linear_probe_config(config)


def test_the_backbone_of_the_embedded_task_is_not_robust():
    settings = ["model=rampart_glyphnet.glyphs", "data=digit-pairs", "threat.eps=20/255"]
    found = linear_probe_config(load_config(None, settings))
    assert found.accuracy[0] > 0.3
    assert found.start == 0
    assert "not robust" in found.verdict
