from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rampart.errors import InvalidArgument, RampartError, UnknownName
from rampart.recipes.config.differences import differences
from rampart.recipes.config.loading import dump_config, load_config, parse_config, save_config
from rampart.units import Horizon

NEEDED = ("model=resnet50.a1_in1k", "data=photos")


def load(*overrides):
    return load_config(None, [*NEEDED, *overrides])


def test_defaults_are_filled_in_down_to_the_components():
    config = load()
    assert config.schedule.name == "adaptive"
    assert config.schedule.options["deadline"] == 0.75
    assert config.attack.options["steps"] == 7
    assert config.evaluation.attack.options["steps"] == 10
    assert config.evaluation.attack.options["keep"] == "broken"
    assert config.threat.eps == 4 / 255


def test_a_name_replaces_the_section_and_a_key_changes_it():
    assert load("schedule=fix").schedule.name == "fix"
    assert load("schedule.keep=0.5").schedule.options["keep"] == 0.5
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
    assert parse_config(dump_config(config)) == config
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["schedule"]["start"] == 0.25


@given(eps=st.one_of(st.floats(0, 1), st.integers(0, 255).map(lambda k: k / 255)))
def test_eps_survives_the_file_to_the_last_bit(eps):
    config = load(f"threat.eps={eps!r}")
    assert parse_config(dump_config(config)).threat.eps == eps


def test_whole_grey_levels_are_written_as_such():
    assert dump_config(load("threat.eps=4/255"))["threat"]["eps"] == "4/255"


def test_differences_name_the_keys():
    assert differences(load(), load("training.epochs=9", "schedule.keep=0.5")) == [
        "schedule.keep: 0.1 -> 0.5",
        "training.epochs: 50 -> 9",
    ]
    assert differences(load(), load()) == []


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("trainig.epochs=3", r"unknown key 'trainig': did you mean training"),
        ("training.epoch=3", r"unknown key 'training.epoch': did you mean training.epochs"),
        ("schedule.stat=0.1", r"option of schedule 'adaptive' 'stat'.*start"),
        ("schedule=two-hing", r"unknown schedule 'two-hing': did you mean two-hinge"),
        ("attack=agpd", r"unknown attack 'agpd': did you mean apgd"),
        ("objective=trade", r"unknown objective 'trade': did you mean trades"),
        ("attack.norm=l2", r"set threat.norm"),
        ("threat.norm=l3", r"norm=l3: expected linf, l2 or l1"),
        ("threat.eps=4", r"threat.eps=4.*write 4/255"),
        ("threat.eps=-1/255", r"threat.eps=-1/255: expected .* in \[0, 1\]"),
        ("threat.eps=40", r"threat.eps=40.* in \[0, 1\]"),
        ("threat.eps=true", r"threat.eps=True"),
        ("training.epochs.x=3", r"training.epochs"),
        ("epochs=3", r"unknown key 'epochs': did you mean training.epochs\?"),
        ("eps=4/255", r"did you mean threat.eps\?"),
        ("model.options={drop:1}", r"model.options=drop:1: expected a value for each"),
        ("training=5", r"training=5: expected a section with keys such as training.epochs"),
        ("data=2024", r"data=2024: expected a name"),
        ("attack.loss=targeted-dlr", r"attack.loss=targeted-dlr: expected an untargeted loss"),
        ("schedule.granularty=epoch", r"did you mean granularity"),
        ("threat.eps=much", r"threat.eps=much.*such as 4/255"),
        ("training.epochs=0", r"training.epochs=0: expected greater than or equal to 1"),
        ("training.epochs=many", r"training.epochs=many"),
        ("training.keep=first", r"training.keep=first: expected 'last' or 'best'"),
        ("data.validation_share=1.5", r"data.validation_share=1.5"),
        ("data.validation_share=0", r"in \(0, 1\), for every run is validated .* write 0.1"),
        ("data.test_share=1", r"data.test_share=1"),
        ("attack={name: fgsm, steps: 3}", r"step_size\? Known: loss, mode, norm, start, step_size"),
        ("schedule.ramp=1.5", r"schedule.ramp=1.5: expected a share of the run in \[0, 1\].$"),
        ("schedule.start=0.9", r"start"),
        ("epochs", r"key=value"),
        ("model={name: a, weights: b, pretrained: false}", r"model.weights=b: expected no weights"),
        ("data.augment.flop=1", r"did you mean data.augment.flip"),
    ],
)
def test_bad_input_is_one_clear_sentence(override, says):
    with pytest.raises(RampartError, match=says) as caught:
        load(override)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("idle", ["objective=standard", "threat.eps=0"])
def test_what_acts_on_perturbed_images_needs_some(idle):
    assert load("callbacks=awp").attacks
    assert not load(idle).attacks
    with pytest.raises(InvalidArgument, match="leave out awp"):
        load("callbacks=awp", idle)


def test_what_is_missing_is_named():
    with pytest.raises(RampartError, match=r"data is not set: add data=VALUE"):
        load_config(None, ["model=resnet50"])


def test_l2_has_its_own_range():
    assert load("threat.norm=l2", "threat.eps=3").threat.eps == 3.0
    with pytest.raises(InvalidArgument, match="128/255"):
        load("threat.norm=l2", "threat.eps=128")
    assert load("threat.norm=l1", "threat.eps=128").threat.eps == 128.0


def test_trades_has_its_own_loss():
    with pytest.raises(InvalidArgument, match=r"set objective.inner"):
        load("objective=trades", "attack.loss=dlr")
    assert load("objective=trades", "attack.loss=ce").objective.name == "trades"


def test_a_number_is_no_section(tmp_path):
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


def test_the_uniform_schedule_draws_by_the_runs_seed():
    assert load("schedule=uniform", "seed=3").schedule.options["seed"] == 3
    assert load("schedule=uniform", "schedule.seed=5", "seed=3").schedule.options["seed"] == 5


def test_another_name_comes_without_the_options_of_the_one_before():
    as_whole, by_name = (
        load("attack=pgd", "attack.steps=2", f"attack{name}=fgsm").attack for name in ("", ".name")
    )
    assert by_name == as_whole
    assert load("evaluation.attack.name=fgsm").evaluation.attack.name == "fgsm"
    same = load("attack=pgd", "attack.steps=2", "attack.name=pgd")
    assert same.attack.options["steps"] == 2


def test_single_step_attacks_have_nothing_to_keep():
    assert "keep" not in load("evaluation.attack=fgsm").evaluation.attack.options
    assert load("evaluation.attack=pgd").evaluation.attack.options["keep"] == "broken"


CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configurations_are_valid(path):
    config = load_config(path, ["data.name=photos"])
    config.components.schedule.check(Horizon(config.training.epochs, 10))


@pytest.mark.parametrize("override", ["attack.mode=train", "attack=pgd", "attack.restarts=2"])
def test_another_option_of_the_attack_leaves_its_steps(override):
    config = load_config(None, ["model=a", "data=b", override])
    assert config.attack.options["steps"] == 7
    assert (
        load_config(None, ["model=a", "data=b", override, "attack.steps=3"]).attack.options["steps"]
        == 3
    )
