"""Keys that describe particular data do not outlast a change of the data."""

import pytest

from rampart.errors import RampartWarning
from rampart.recipes.config.exchange import explain_dropped
from rampart.recipes.config.loading import dump_config, load_config, parse_config
from rampart.registry import flatten
from rampart.schema.effects import fields_of_source
from rampart.schema.fields import DataConfig

#: Another value than the default, for every key of `data` except its name.
OF_SOURCE = {
    "data.root": "files",
    "data.options.source": "torch",
    "data.splits.test": "seg_test",
    "data.split_file": "splits.json",
}
STAYS = {
    "data.seed": 3,
    "data.image_size": 48,
    "data.resize": "squash",
    "data.validation": "drawn",
    "data.validation_fraction": 0.25,
    "data.test_fraction": 0.5,
    "data.workers": 2,
    "data.cache": False,
    "data.augment.flip": 0.0,
}


def load(*overrides):
    return load_config(None, ["model=resnet50.a1_in1k", "data.name=old", *overrides])


def value_of(config, key):
    return flatten(dump_config(config)).get(key)


def test_every_key_of_the_data_is_here():
    found = {key.split(".")[1] for key in (*OF_SOURCE, *STAYS)}
    assert found == DataConfig.model_fields.keys() - {"name"}
    assert fields_of_source(DataConfig) == [key.split(".")[1] for key in OF_SOURCE]


@pytest.mark.parametrize(("key", "value"), OF_SOURCE.items())
def test_a_key_of_the_source_is_dropped_with_a_warning(key, value):
    assert value_of(load(f"{key}={value}"), key) == value
    with pytest.warns(RampartWarning, match=f"'new'.*'old'.*{key}={value}"):
        changed = load(f"{key}={value}", "data.name=new")
    assert value_of(changed, key) == value_of(load(), key)


@pytest.mark.parametrize(("key", "value"), OF_SOURCE.items())
def test_a_key_of_the_source_that_is_set_for_the_new_data_counts(key, value):
    changed = load("data.name=new", f"{key}={value}")
    assert value_of(changed, key) == value


@pytest.mark.parametrize(("key", "value"), STAYS.items())
def test_other_keys_stay(key, value):
    assert value_of(load(f"{key}={value}", "data.name=new"), key) == value


@pytest.mark.parametrize(("key", "value"), OF_SOURCE.items())
@pytest.mark.parametrize("name", ["old", "./old", "other/../old"])
def test_the_same_data_by_another_name_are_no_change(key, value, name):
    if key != "data.root" or name == "old":
        assert value_of(load(f"{key}={value}", f"data.name={name}"), key) == value


def test_a_name_that_includes_the_root(tmp_path):
    settings = (f"data.root={tmp_path}", "data.split_file=splits.json")
    changed = load(*settings, f"data.name={tmp_path / 'old'}").data
    assert (changed.root, changed.split_file) == ("", "splits.json")


def test_a_file_without_a_name_describes_any_data():
    base = {"model": "resnet50.a1_in1k", "data": {"root": "files"}}
    assert parse_config(base, ["data.name=torch/cifar10"]).data.root == "files"


def test_the_sentence_names_only_what_was_set():
    before = load("data.options.download=false", "data.seed=4").data.model_dump()
    after = {**load().data.model_dump(), "name": "new"}
    assert "data.options.download=False; " in explain_dropped(before, after)
    assert "data.seed" not in explain_dropped(before, after)
    assert explain_dropped(load().data.model_dump(), after) == ""
