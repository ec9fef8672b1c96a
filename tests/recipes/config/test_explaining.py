"""One clear sentence for a bad value, about the key that was given."""

import re

import pytest

from rampart.errors import InvalidArgument, RampartError, UnknownName
from rampart.experiments.loading import load_study
from rampart.plain import read_plain, write_plain
from rampart.recipes.config.loading import load_config
from rampart.schema.fields import RunFields
from rampart.schema.sections import Section

NEEDED = ("model=resnet50.a1_in1k", "data=photos")


def load(*overrides):
    return load_config(None, [*NEEDED, *overrides])


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("trainig.epochs=3", r"unknown key 'trainig': did you mean training"),
        ("attack=APGD", r"unknown attack 'APGD': did you mean apgd"),
        ("schedule.two-hinge={start: 0.2}", r"name of another schedule: write {name: two-hinge"),
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
        ("model.options=drop_rate", r"model.options=drop_rate:.*model.options.drop_rate=VALUE"),
        ("data.options=3", r"data.options=3: expected names .*data.options.NAME=VALUE"),
        ("strategies.0=lora", r"strategies=.*write strategies=\[NAME\]"),
        ("callbacks.ema=1", r"callbacks=.*write callbacks=\[NAME\]"),
        ("training=5", r"training=5: expected a section with keys such as training.epochs"),
        ("data.splits.train=0", r"""data.splits.train='"0"' on a command line"""),
        ("data.root=true", r"""data.root=.*expected text"""),
        ("data=2024", r"""data=2024: expected a name; .*'"2024"' on a command line"""),
        ("strategies=[null]", r"strategies=None: .*write strategies=\[NAME\]"),
        ("strategies=[[full]]", r"strategies=.*write strategies=\[NAME\]"),
        ("schedule.points=5", r"'points': piecewise has it"),
        ("attack.loss=targeted-dlr", r"attack.loss=targeted-dlr: expected an untargeted loss"),
        ("schedule.intervl=epoch", r"did you mean interval"),
        ("threat.eps=much", r"threat.eps=much.*such as 4/255"),
        ("training.epochs=0", r"training.epochs=0: expected greater than or equal to 1"),
        ("training.epochs=many", r"training.epochs=many"),
        ("training.checkpoint=first", r"training.checkpoint=first: expected 'last' or 'best'"),
        ("data.validation_fraction=1.5", r"data.validation_fraction=1.5"),
        ("data.validation_fraction=0", r"data.validation_fraction=0.*write 0.1"),
        ("data.test_fraction=1", r"data.test_fraction=1"),
        (
            "attack={name: fgsm, steps: 3}",
            r"apgd, .*pgd.* have it. Known: loss, mode, norm, start, step_size",
        ),
        ("schedule.ramp=1.5", r"schedule.ramp=1.5: expected a fraction of the run in \[0, 1\].$"),
        ("schedule.start=0.9", r"start"),
        ("epochs", r"key=value"),
        ("model={name: a, weights: b, pretrained: false}", r"model.weights=b: expected no weights"),
        ("data.augment.flop=1", r"did you mean data.augment.flip"),
    ],
)
def test_bad_input_gives_a_one_line_error(override, says):
    with pytest.raises(RampartError, match=says) as caught:
        load(override)
    assert "\n" not in str(caught.value)


def test_a_missing_key_is_named():
    with pytest.raises(RampartError, match=r"data is not set: add data=VALUE"):
        load_config(None, ["model=resnet50"])


#: A bad value for every kind of key, and the key that the error must name.
MISNAMED = {
    "threat.eps=4": "threat.eps",
    "threat.norm=l3": "threat.norm",
    "evaluation.strengths=[much]": "evaluation.strengths",
    "evaluation.strengths=[1/255, -4/255]": "evaluation.strengths",
    "evaluation.strengths=5000": "evaluation.strengths",
    "attack.steps=true": "attack.steps",
    "attack={name: pgd, step_size: .inf}": "attack.step_size",
    "evaluation.confidence=2": "evaluation.confidence",
    "evaluation.attack=5": "evaluation.attack",
    "evaluation.attack.steps=0": "evaluation.attack.steps",
    "evaluation.attack.steps=many": "evaluation.attack.steps",
    "evaluation.attack.norm=l2": "evaluation.attack.norm",
    "evaluation.attack.loss=targeted-dlr": "evaluation.attack.loss",
    "attack=5": "attack",
    "attack.steps=0": "attack.steps",
    "attack.restarts=many": "attack.restarts",
    "callbacks={name: ema, decay: 2}": "callbacks.decay",
    "callbacks={name: ema, decay: much}": "callbacks.decay",
    "callbacks=[{name: awp, gamma: 2}]": "callbacks.gamma",
    "callbacks=5": "callbacks",
    "strategies={name: lora, rank: 0}": "strategies.rank",
    "strategies={name: lora, rank: many}": "strategies.rank",
    "strategies=[5]": "strategies",
    "objective.label_smoothing=1": "objective.label_smoothing",
    "objective={name: trades, beta: -1}": "objective.beta",
    "schedule.ramp=1.5": "schedule.ramp",
    "schedule.ramp=much": "schedule.ramp",
    "schedule.interval=hour": "schedule.interval",
    "data.cache=perhaps": "data.cache",
    "model.mean=[much]": "model.mean",
    "model=5": "model",
    "optimizer.warmup=1": "optimizer.warmup",
    "data.augment.jitter=1": "data.augment.jitter",
    "training.trackers=5": "training.trackers",
}


@pytest.mark.parametrize("override", MISNAMED)
def test_an_error_names_the_key_that_was_given(override):
    with pytest.raises(InvalidArgument) as caught:
        load(override)
    assert caught.value.name == MISNAMED[override]
    assert str(caught.value).startswith(f"{MISNAMED[override]}=")


@pytest.mark.parametrize("key", ["evaluation.strengths", "training.trackers", "model.std"])
def test_a_list_is_asked_for_where_there_is_one(key):
    with pytest.raises(InvalidArgument, match=f"{key}=.*: expected a list"):
        load(f"{key}={{a: 5}}")


def test_a_list_needs_no_brackets():
    config = load("evaluation.strengths=2/255,4/255", "model.mean=0.5", "model.std=0.1, 0.2, 0.3")
    assert config.evaluation.strengths == (2 / 255, 4 / 255)
    assert (config.model.mean, config.model.std) == ((0.5,), (0.1, 0.2, 0.3))
    config = load("training.trackers=tensorboard", "strategies=lp-ft,lora", "callbacks=ema")
    assert config.training.trackers == ("tensorboard",)
    assert [one.name for one in config.strategies] == ["lp-ft", "lora"]


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("match=by_name", "unknown key 'match': did you mean evaluation.match"),
        ("limit=8", "did you mean evaluation.limit"),
        ("steps=3", "did you mean attack.steps or evaluation.attack.steps"),
        ("strengths=2/255", "did you mean evaluation.strengths"),
        ("limt=8", "did you mean evaluation.limit"),
        ("norm=l2", "did you mean threat.norm[?]"),
        ("training.steps=8", "did you mean attack.steps or evaluation.attack.steps"),
        ("attack.eps=4/255", "threat.eps may be meant"),
        ("data.augment.name=a", r"unknown key 'data.augment.name': .*data.augment"),
    ],
)
def test_a_key_without_its_section_gets_the_full_key(override, says):
    with pytest.raises(UnknownName, match=says):
        load_config(None, [override] if override == "limit=8" else [*NEEDED, override])


SECTIONS = ["data", "evaluation", "model", "optimizer", "threat", "training"]


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize(
    "word", ["foo", "zzqx", "dropout", pytest.param("nesterov", id="momentum")]
)
def test_a_key_that_is_like_none_gets_the_keys_of_its_section(section, word):
    with pytest.raises(RampartError) as caught:
        load(f"{section}.{word}=3")
    said = str(caught.value)
    assert "did you mean" not in said
    assert all(f"{section}." in key for key in said.split("known: ")[1].split(", "))


@pytest.mark.parametrize("key", ["optimizer.warmup", "data.image_size", "training.precision"])
def test_a_slip_in_a_key_gets_the_key(key):
    with pytest.raises(RampartError, match=f"did you mean {key}"):
        load(f"{key[:-2]}{key[-1]}{key[-2]}=3")


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("data.image_size=224x224", "square.*write data.image_size=224"),
        ("data.image_size=[224, 224]", "write data.image_size=224"),
        ("data.image_size=224*224", "write data.image_size=224"),
        ("seed=0,1,2", r"write seed=0\. .*seeds: \[0, 1, 2\].*`rampart study run FILE -o FOLDER`"),
        ("seed=[3, 4]", r"write seed=3\. .*seeds: \[3, 4\]"),
        ("seed=0-2", r"seeds: \[0, 1, 2\]"),
        ("threat.eps=4/255,8/255", "write threat.eps=4/255, or evaluation.strengths=4/255,8/255 "),
        ("threat.eps=4,8", "write threat.eps=4/255, or evaluation.strengths=4/255,8/255 "),
        ("threat.norm=linf,l2", r"write threat.norm=linf\.$"),
        ("evaluation.attack=apgd,pgd", r"write evaluation.attack=apgd\.$"),
        ("evaluation.attack.steps=10,20", r"write evaluation.attack.steps=10\.$"),
        ("evaluation.batch_size=16,32", r"write evaluation.batch_size=16\.$"),
        ("training.device=cuda", "auto takes the GPU.*cpu works without one"),
        ("training.device=gpu", "auto takes the GPU.*cpu works without one"),
        ("seed=1.5", "one whole number.$"),
    ],
)
def test_a_value_of_another_form_is_answered_with_what_to_write(override, says):
    with pytest.raises(InvalidArgument, match=says):
        load(override)


#: Lists for keys with one value, and the axes, methods or seeds of a study that take them.
SEVERAL = {
    "seed=[3, 4]": ("seeds", [3, 4]),
    "seed=0-2": ("seeds", [0, 1, 2]),
    "threat.eps=4/255,8/255": ("axes", {"eps": ["4/255", "8/255"]}),
    "threat.eps=[0.01, 0.02]": ("axes", {"eps": [0.01, 0.02]}),
    "training.epochs=10,20": ("axes", {"training.epochs": [10, 20]}),
    "optimizer.head_lr=1e-3,1e-4": ("axes", {"optimizer.head_lr": [1e-3, 1e-4]}),
    "attack.steps=10,20": ("axes", {"attack.steps": [10, 20]}),
    "attack.steps=[10, 20]": ("axes", {"attack.steps": [10, 20]}),
    "attack.loss=ce,dlr": ("axes", {"attack.loss": ["ce", "dlr"]}),
    "attack=pgd,apgd": ("axes", {"attack.name": ["pgd", "apgd"]}),
    "attack=[pgd, apgd]": ("axes", {"attack.name": ["pgd", "apgd"]}),
    "objective=trades,mart": ("axes", {"objective.name": ["trades", "mart"]}),
    "schedule.start=0.1,0.2": (
        "methods",
        {"0.1": ["schedule.start=0.1"], "0.2": ["schedule.start=0.2"]},
    ),
    "schedule=fix,two-hinge": ("methods", ["fix", "two-hinge"]),
    "schedule=[fix, two-hinge]": ("methods", ["fix", "two-hinge"]),
    "model=resnet18,resnet50": ("axes", {"backbone": ["resnet18", "resnet50"]}),
    "model=[resnet18, resnet50]": ("axes", {"backbone": ["resnet18", "resnet50"]}),
}


@pytest.mark.parametrize("override", SEVERAL)
def test_several_values_are_answered_with_the_lines_of_a_study(override, tmp_path):
    key, expected = SEVERAL[override]
    with pytest.raises(InvalidArgument) as refused:
        load(override)
    said = str(refused.value)
    assert said.endswith("in the file of a study: `rampart study run FILE -o FOLDER`.")
    line = said.rsplit("`", 4)[1]
    assert read_plain(line) == {key: expected}
    tree = {"base": {"data": "cars", "model": "resnet18"}, "seeds": [0], "methods": ["adaptive"]}
    tree["axes"] = {"dataset": ["cars"]}
    (tmp_path / "study.yaml").write_text(write_plain({**tree, **read_plain(line)}))
    assert len(load_study(tmp_path / "study.yaml").tasks) == (2 if key == "axes" else 1)
    found = re.search(r"write ([a-z_.]+=\S+?)[.,] ", said)
    assert found is not None
    load(found[1])


@pytest.mark.parametrize(
    "override", ["optimizer.betas=0.9,0.8,0.7", "evaluation.strengths=a,b", "strategies=full,lora"]
)
def test_a_key_that_takes_a_list_gets_no_advice_to_write_one_value(override):
    with pytest.raises(InvalidArgument) as refused:
        load(override)
    assert "study" not in str(refused.value)
    assert "write " not in str(refused.value)


def keys_of(section, prefix=""):
    """Every key of the configuration, of sections and of single values."""
    for name, field in section.model_fields.items():
        yield f"{prefix}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from keys_of(field.annotation, f"{prefix}{name}.")


#: What a key may get by a typing error: text, nothing, numbers, lists and sections.
SLIPS = ("drop_rate", "", "3.5", "[1, 2]", "{a: 1}", "{1: 2}", "[{name: 3}]", "{name: null}", "a,b")
#: No key takes these.
NEVER = (
    *(".nan", "[true]", "[[full]]", "!!bool maybe", "'"),
    *("9" * 5000, "10" * 30, "\udce9", "[" * 2000, "&a [*a]", "{a: 1, a: 2}"),
)
#: Keys of components, with an option each: a number, a list, text.
OPTIONS = {
    "schedule.start": "two-hinge",
    "schedule.points": "piecewise",
    "schedule.unit": "two-hinge",
    "schedule.window": "smoothed",
    "objective.beta": "trades",
    "objective.inner": "trades",
    "attack.steps": "pgd",
    "attack.loss": "apgd",
    "evaluation.attack.queries": "standard",
    "evaluation.attack.draws": "rand",
}


def refusal(*overrides):
    """The error for overrides; None if they are valid."""
    try:
        load(*overrides)
    except RampartError as error:
        return error
    return None


@pytest.mark.parametrize("key", [*keys_of(RunFields), *OPTIONS])
def test_a_value_of_the_wrong_kind_is_refused_by_its_key(key):
    component = [f"{key.rpartition('.')[0]}={OPTIONS[key]}"] if key in OPTIONS else []
    refused = {slip: refusal(*component, f"{key}={slip}") for slip in (*SLIPS, *NEVER)}
    assert all(refused[slip] for slip in NEVER)
    for error in filter(None, refused.values()):
        assert "\n" not in str(error)
        assert len(str(error)) < 500
        # The name of an unknown component tells which key is meant.
        assert isinstance(error, UnknownName) or key.removesuffix(".name") in str(error)


def numbers_of(section, prefix=""):
    for key in keys_of(section, prefix):
        field = section
        for part in key.split("."):
            info = field.model_fields[part]
            field = info.annotation
        if field in (int, float, int | None, float | None):
            yield key


@pytest.mark.parametrize("key", list(numbers_of(RunFields)))
def test_true_is_not_a_number(key):
    with pytest.raises(InvalidArgument) as caught:
        load(f"{key}=true")
    assert caught.value.name == key


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("threat.eps: 8/255", r"'threat.eps': .*in a file write threat: {eps: VALUE}"),
        ("schedule.end: 0.5", r"in a file write schedule: {end: VALUE}"),
        ("data: {augment.flip: 0}", r"in a file write data: {augment: {flip: VALUE}}"),
        ("a.b: 1", r"unknown key 'a.b': (?!.*in a file)"),
    ],
)
def test_a_key_with_dots_in_a_file_says_what_to_write(text, says, tmp_path):
    (tmp_path / "run.yaml").write_text(text)
    with pytest.raises(RampartError, match=says):
        load_config(tmp_path / "run.yaml", ["model=resnet18"])
