"""Keys that describe what a section named before do not outlast another name; the others do."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.cli.overrides import ordered
from rampart.errors import RampartWarning
from rampart.recipes.config.exchange import NAMED, explain_dropped
from rampart.recipes.config.loading import dump_config, load_config, parse_config
from rampart.registry import flatten
from rampart.schema.effects import fields_of_source
from rampart.schema.model_and_data import DataConfig, ModelConfig
from rampart.schema.sections import Component

#: Another value than the default, for every key of `model` and `data` except the name.
OF_SOURCE = {
    "model.weights": "weights.pth",
    "model.options.drop_rate": 0.5,
    "model.mean": [0.5, 0.5, 0.5],
    "model.std": [0.25, 0.25, 0.25],
    "data.root": "files",
    "data.options.source": "torch",
    "data.splits.test": "seg_test",
    "data.split_file": "splits.json",
}
STAYS = {
    "model.pretrained": False,
    "model.head": "pretrained",
    "model.batch_norm": "frozen",
    "data.seed": 3,
    "data.image_size": 48,
    "data.resize": "squash",
    "data.validation": "drawn",
    "data.validation_fraction": 0.25,
    "data.test_fraction": 0.5,
    "data.label_noise": 0.25,
    "data.labels": "check",
    "data.workers": 2,
    "data.cache": False,
    "data.augment.flip": 0.0,
}
#: Of components: the options are dropped, without a sentence, and `interval` stays.
OPTIONS = {
    "schedule": {"name": "two-hinge", "start": 0.1, "interval": "epoch"},
    "objective": {"name": "trades", "beta": 3.0},
    "attack": {"name": "pgd", "steps": 3},
    "evaluation.attack": {"name": "pgd", "steps": 4},
}
#: A base that sets keys in every section with a name.
BASE = {
    "model": {"name": "old", "weights": "weights.pth", "batch_norm": "frozen"},
    "data": {"name": "old", "root": "files", "image_size": 48, "augment": {"flip": 0.0}},
    **{key: OPTIONS[key] for key in ("schedule", "objective", "attack")},
    "evaluation": {"attack": OPTIONS["evaluation.attack"], "limit": 5},
}
#: The previous name and another one, for every section with a name.
NAMES = {
    "model": ("old", "new"),
    "data": ("old", "new"),
    "schedule": ("two-hinge", "linear-warmup"),
    "objective": ("trades", "mart"),
    "attack": ("pgd", "apgd"),
    "evaluation.attack": ("pgd", "square"),
}
#: Bases whose sections are mappings, names alone, without a name, and missing.
BASES = {
    "mapping": BASE,
    "name": {section: names[0] for section, names in NAMES.items() if "." not in section}
    | {"evaluation": {"attack": "pgd"}},
    "nameless": {
        section: {key: one for key, one in keys.items() if key != "name"}
        for section, keys in BASE.items()
        if section in ("model", "data")
    }
    | {"schedule": {"interval": "epoch"}, "attack": {"steps": 3}},
    "none": {},
}
NEEDED = {"model": "old", "data": "old"}


def load(*overrides):
    return load_config(None, ["model=old", "data.name=old", *overrides])


def value_of(config, key):
    return flatten(dump_config(config)).get(key)


def other(key):
    return f"{key.partition('.')[0]}.name=new"


def parsed(base, overrides):
    """Return the configuration and the sentences on what was dropped."""
    told = []
    return parse_config(base, overrides, told.append), told


def test_every_key_of_the_data_is_here():
    for section, fields in (("model", ModelConfig), ("data", DataConfig)):
        own = [key for key in (*OF_SOURCE, *STAYS) if key.startswith(f"{section}.")]
        assert {key.split(".")[1] for key in own} == fields.model_fields.keys() - {"name"}
        assert set(fields_of_source(fields)) == {
            key.split(".")[1] for key in own if key in OF_SOURCE
        }


def test_every_section_with_a_name_is_here():
    assert NAMED.keys() == NAMES.keys()
    components = [key for key, section in NAMED.items() if issubclass(section, Component)]
    assert components == list(OPTIONS)


@pytest.mark.parametrize(("key", "value"), OF_SOURCE.items())
def test_a_key_of_the_source_is_dropped_with_a_warning(key, value):
    assert value_of(load(f"{key}={value}"), key) == value
    with pytest.warns(RampartWarning) as told:
        changed = load(f"{key}={value}", other(key))
    (sentence,) = (str(one.message) for one in told)
    assert f"{key}={value}" in sentence
    assert sentence.index("'new'") < sentence.index("'old'")
    assert value_of(changed, key) == value_of(load(), key)


@pytest.mark.parametrize(("key", "value"), OF_SOURCE.items())
def test_a_key_of_the_source_that_is_set_for_the_new_data_counts(key, value):
    assert value_of(load(other(key), f"{key}={value}"), key) == value
    again = load(f"{key}={value}", other(key), f"{key}={value}")
    assert value_of(again, key) == value


@pytest.mark.parametrize(("key", "value"), STAYS.items())
def test_other_keys_stay(key, value):
    assert value_of(load(f"{key}={value}", other(key)), key) == value


@pytest.mark.parametrize(("section", "keys"), OPTIONS.items())
def test_another_component_drops_the_options_and_the_same_one_keeps_them(section, keys):
    same, another = NAMES[section]
    for name in (section, f"{section}.name"):
        kept, told = parsed(BASE, [f"{name}={same}"])
        assert all(value_of(kept, f"{section}.{key}") == one for key, one in keys.items())
        changed, silent = parsed(BASE, [f"{name}={another}"])
        fresh = parsed(NEEDED, [f"{section}={another}"])[0]
        found = flatten(dump_config(changed)).items()
        for key, one in found:
            if key.startswith(f"{section}.") and key != "schedule.interval":
                assert one == value_of(fresh, key)
        assert told == silent == []


def test_the_interval_outlasts_the_schedule():
    for name in ("schedule", "schedule.name"):
        changed = parsed(BASE, [f"{name}=linear-warmup"])[0].schedule
        assert (changed.interval, changed.name) == ("epoch", "linear-warmup")


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("section", NAMES)
def test_a_name_alone_is_short_for_the_key_name(section, base):
    for name in NAMES[section]:
        start = [f"{one}={NEEDED[one]}" for one in NEEDED if base == "none" and one != section]
        # Without a name the base describes any model and any data.
        start += [f"{one}.name=any" for one in NEEDED if base == "nameless" and one != section]
        if section in OPTIONS and base == "none":
            start += [f"{section}.name={NAMES[section][0]}"]
        short = parsed(BASES[base], [*start, f"{section}={name}"])
        assert short == parsed(BASES[base], [*start, f"{section}.name={name}"])
        assert value_of(short[0], f"{section}.name") == name


SETTINGS = [f"{section}={new}" for section, (_, new) in NAMES.items()]
MORE = [
    *("model.options.drop_rate=0.5", "data.root=other", "data.workers=1", "seed=4"),
    *("schedule.end=0.8", "objective.beta=2", "attack.steps=5", "evaluation.attack.queries=9"),
]
#: Settings in any order, each name in its short or its long form.
SPELLED = st.tuples(
    st.permutations([*SETTINGS, *MORE]), st.lists(st.booleans(), min_size=14, max_size=14)
)


def lengthen(texts, long):
    return [
        text.replace("=", ".name=", 1) if text in SETTINGS and one else text
        for text, one in zip(texts, long, strict=True)
    ]


@settings(max_examples=20, deadline=None)
@given(SPELLED)
def test_on_a_command_line_neither_order_nor_form_matters(spelled):
    found, _ = parsed(BASE, ordered(lengthen(*spelled)))
    assert found == parsed(BASE, [*SETTINGS, *MORE])[0]
    assert (found.data.image_size, found.data.root, found.model.weights) == (48, "other", None)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.sampled_from([(key, name) for key, names in NAMES.items() for name in names]),
        max_size=6,
    ),
    st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_in_every_sequence_both_forms_give_the_same(sequence, long):
    short = [f"{key}={name}" for key, name in sequence]
    both = [
        f"{key}{'.name' if one else ''}={name}"
        for (key, name), one in zip(sequence, long, strict=False)
    ]
    assert parsed(BASE, short) == parsed(BASE, both)


def test_a_mapping_replaces_the_section():
    changed, told = parsed(BASE, ["data={name: new, seed: 2}", "attack={name: pgd, mode: train}"])
    assert (changed.data.image_size, changed.data.root, changed.data.seed) == (None, "", 2)
    assert changed.attack.options["steps"] == 3
    assert told == []


@pytest.mark.parametrize(("key", "value"), OF_SOURCE.items())
@pytest.mark.parametrize("name", ["old", "./old", "other/../old"])
def test_the_same_data_by_another_name_are_no_change(key, value, name):
    if key != "data.root" or name == "old":
        same = f"{key.partition('.')[0]}.name={name}"
        assert value_of(load(f"{key}={value}", same), key) == value


def test_a_short_name_and_its_full_name_are_one_model():
    full = load_config(None, ["model=vit", "data=old"]).model.name
    assert full != "vit"
    for one, another in ((full, "vit"), ("vit", full)):
        model = {"name": one, "weights": "weights.pth"}
        changed, told = parsed({"model": model, "data": "old"}, [f"model={another}"])
        assert (changed.model.weights, changed.model.name, told) == ("weights.pth", full, [])


def test_a_name_that_includes_the_root(tmp_path):
    given = (f"data.root={tmp_path}", "data.split_file=splits.json")
    changed = load(*given, f"data.name={tmp_path / 'old'}").data
    assert (changed.root, changed.split_file) == ("", "splits.json")


def test_a_file_without_a_name_describes_any_data():
    base = {"model": {"weights": "weights.pth"}, "data": {"root": "files"}}
    changed = parse_config(base, ["model=new", "data=torch/cifar10"])
    assert (changed.data.root, changed.model.weights) == ("files", "weights.pth")


def test_the_sentence_names_only_what_was_set():
    before = load("data.options.download=false", "data.seed=4").data.model_dump()
    after = {**load().data.model_dump(), "name": "new"}
    assert "data.options.download=False; " in explain_dropped("data", before, after)
    assert "data.seed" not in explain_dropped("data", before, after)
    assert explain_dropped("data", load().data.model_dump(), after) == ""
