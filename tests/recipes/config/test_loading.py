from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rampart.errors import InvalidArgument, RampartError, UnknownName
from rampart.recipes.config.loading import dump_config, load_config, parse_config, save_config
from rampart.units import Horizon

NEEDED = ("model=resnet50.a1_in1k", "data=photos")


def load(*overrides):
    return load_config(None, [*NEEDED, *overrides])


def test_defaults_are_filled_in_down_to_the_components():
    config = load()
    assert config.schedule.name == "adaptive"
    assert config.schedule.options["deadline"] == 0.75
    assert (config.attack.name, config.attack.options["steps"]) == ("apgd", 3)
    assert config.evaluation.attack.options["steps"] == 10
    assert config.evaluation.attack.options["iterate"] == "adversarial"
    assert config.threat.eps == 4 / 255


def test_a_name_replaces_the_section_and_a_key_changes_it():
    assert load("schedule=fix").schedule.name == "fix"
    assert load("schedule.min_skill=0.5").schedule.options["min_skill"] == 0.5
    assert load("schedule=linear-warmup", "schedule.end=0.3").schedule.options["end"] == 0.3


def test_the_file_comes_first_and_the_command_line_wins(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("model: a\ndata: b\nschedule: fix\ntraining: {epochs: 7}\n")
    config = load_config(path, ["training.epochs=9", "model.pretrained=false"])
    assert config.training.epochs == 9
    assert (config.model.name, config.model.pretrained) == ("a", False)
    assert config.schedule.name == "fix"


def test_written_in_full_and_read_back_equal(tmp_path):
    config = load("threat.eps=1/3", "schedule=smoothed", "objective=trades", "seed=3")
    save_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config
    assert load_config(str(tmp_path / "config.yaml")) == config
    assert parse_config(dump_config(config)) == config
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["schedule"]["start"] == 0.25


@given(eps=st.one_of(st.floats(0, 1), st.integers(0, 255).map(lambda k: k / 255)))
def test_eps_survives_the_file_to_the_last_bit(eps):
    config = load(f"threat.eps={eps!r}")
    assert parse_config(dump_config(config)).threat.eps == eps


def test_whole_gray_levels_are_written_as_such():
    assert dump_config(load("threat.eps=4/255"))["threat"]["eps"] == "4/255"


def test_l2_has_its_own_range():
    assert load("threat.norm=l2", "threat.eps=3").threat.eps == 3.0
    with pytest.raises(InvalidArgument, match="128/255"):
        load("threat.norm=l2", "threat.eps=128")
    assert load("threat.norm=l1", "threat.eps=128").threat.eps == 128.0


def test_a_number_in_place_of_a_section(tmp_path):
    (tmp_path / "run.yaml").write_text("model: a\ndata: b\ntraining: 5\n")
    with pytest.raises(InvalidArgument, match="expected a section"):
        load_config(tmp_path / "run.yaml", ["training.epochs=3"])
    (tmp_path / "run.yaml").write_bytes(b"model: \xff\xfe")
    with pytest.raises(RampartError, match="not UTF-8"):
        load_config(tmp_path / "run.yaml")


def test_unreadable_files(tmp_path):
    with pytest.raises(RampartError, match="does not exist"):
        load_config(tmp_path / "none.yaml")
    for text, says in (("a: [", "not valid YAML"), ("- 1", "expected sections")):
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(RampartError, match=says):
            load_config(tmp_path / "bad.yaml")


def test_unknown_name_is_the_exception_for_names():
    with pytest.raises(UnknownName):
        load("schedule=none")


def test_another_name_drops_the_options_of_the_previous_one():
    as_whole, by_name = (
        load("attack=pgd", "attack.steps=2", f"attack{name}=fgsm").attack for name in ("", ".name")
    )
    assert by_name == as_whole
    assert load("evaluation.attack.name=fgsm").evaluation.attack.name == "fgsm"
    same = load("attack=pgd", "attack.steps=2", "attack.name=pgd")
    assert same.attack.options["steps"] == 2


CONFIGS = sorted((Path(__file__).parents[3] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configurations_are_valid(path):
    config = load_config(path, ["data.name=photos"])
    config.components.schedule.check(Horizon(config.training.epochs, 10))


def test_a_short_name_of_a_backbone_is_written_out():
    config = load_config(None, ["model=vit", "data=photos"])
    assert config.model.name == "vit_base_patch16_224.augreg_in1k"
    assert config == load_config(None, [f"model={config.model.name}", "data=photos"])
    for name in ("ares:swinb_at", "resnet18"):
        assert load_config(None, [f"model={name}", "data=photos"]).model.name == name
