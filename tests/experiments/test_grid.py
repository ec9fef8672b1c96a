"""The grid of a study: axes, settings and exclusions, and the identity of runs."""

import json
import re
from pathlib import Path

import pytest

from rampart.errors import RampartError
from rampart.experiments.loading import load_study
from rampart.recipes.config.identity import identity

TREE = {
    "base": {"model": {"batch_norm": "frozen"}, "data": {"image_size": 64}},
    "seeds": [0, 1],
    "axes": {
        "backbone": ["vit_tiny_patch16_224", "resnet18"],
        "dataset": ["aircraft", "cars"],
        "eps": ["4/255", "8/255"],
        "size": {"small": ["data.image_size=32"], "usual": []},
    },
    "methods": ["fix", "two-hinge"],
}


@pytest.fixture
def load(tmp_path):
    """Load the study with changes."""

    def call(**changes):
        file = tmp_path / "study.yaml"
        file.write_text(json.dumps(TREE | changes))
        return load_study(file)

    return call


def test_the_product_of_the_axes_gives_the_tasks(load):
    study = load()
    tasks = study.tasks
    assert len(tasks) == 16
    assert tasks[1].name == "vit_tiny_patch16_224, aircraft, 4/255, usual"
    assert len(list(study.runs())) == 16 * 2 * 2
    config = study.config(tasks[-2], "two-hinge", 1)
    assert (config.model.name, config.data.name, config.seed) == ("resnet18", "cars", 1)
    assert (config.threat.eps, config.schedule.name) == (8 / 255, "two-hinge")
    assert config.data.image_size == 32
    assert config.model.batch_norm == "frozen", "base keeps the other keys of the section"


def test_a_list_is_values_of_any_key(load):
    axes = {
        "schedule": ["fix", "linear"],
        "training.epochs": [3, 5],
        "data.augment.flip": [0.0, 0.5],
        "training.channels_last": [False, True],
        "evaluation.limit": [None, 30],
        # What YAML reads as something else without quotes.
        "model.weights": ["1e3", "no"],
    }
    base = {"model": "resnet18", "data": "cars"}
    study = load(base=base, axes=axes, methods={"one": []}, seeds=[0])
    assert len(study.tasks) == 2**6
    config = study.config(study.tasks[-1], "one", 0)
    assert (config.schedule.name, config.training.epochs) == ("linear", 5)
    assert config.data.augment.flip == 0.5
    assert (config.training.channels_last, config.evaluation.limit) == (True, 30)
    assert study.config(study.tasks[0], "one", 0).model.weights == "1e3"
    assert study.tasks[0].name == "fix, 3, 0.0, false, null, 1e3"


def test_a_name_keeps_the_other_keys_of_its_section_however_it_is_written(load):
    base = {
        "model": {"name": "resnet18", "batch_norm": "frozen"},
        "data": {"name": "cars", "image_size": 98},
        "attack": {"name": "pgd", "steps": 3},
        "schedule": {"name": "two-hinge", "start": 0.1, "interval": "epoch"},
    }
    identities = []
    for name in ("", ".name"):
        study = load(
            base=base,
            axes={
                "data": {"other": [f"data{name}=dogs"], "same": [f"data{name}=cars"]},
                f"model{name}": ["resnet50", "resnet18"],
                f"attack{name}": ["pgd", "fgsm"],
            },
            methods={"linear": [f"schedule{name}=linear"], "ours": [f"schedule{name}=two-hinge"]},
        )
        configs = [study.config(*run) for run in study.runs()]
        assert {one.data.image_size for one in configs} == {98}
        assert {one.model.batch_norm for one in configs} == {"frozen"}
        assert {one.schedule.interval for one in configs} == {"epoch"}
        assert {one.attack.options.get("steps") for one in configs} == {3, None}
        assert {one.schedule.options.get("start") for one in configs} == {0.1, None}
        identities.append([identity(one) for one in configs])
    assert identities[0] == identities[1]


def test_settings_of_a_part_win_in_their_order(load):
    study = load(
        methods={"fix": ["schedule=fix", "training.epochs=9"], "linear": ["schedule=linear"]},
        settings=[
            {"where": {"backbone": "resnet18"}, "set": ["training.epochs=20"]},
            {"where": {"eps": ["8/255"], "method": "fix"}, "set": ["training.epochs=30"]},
            {"where": {"seed": 1, "size": "small"}, "set": ["data.image_size=16"]},
        ],
    )

    def found(task, method, seed):
        config = study.config(study.tasks[task], method, seed)
        return config.training.epochs, config.data.image_size

    assert found(0, "fix", 0) == (9, 32)
    assert found(2, "fix", 1) == (30, 16)
    assert found(8, "fix", 0) == (20, 32)
    assert found(8, "linear", 1) == (20, 16)
    assert found(11, "fix", 1) == (30, 64)
    assert found(11, "linear", 1) == (20, 64)


def test_a_choice_takes_what_holds_for_its_method_and_its_own_settings_win(load):
    lr = "optimizer.head_lr="
    study = load(
        settings=[{"where": {"method": "fix"}, "set": [lr + "0.5", "training.epochs=7"]}],
        choices={"tuned": {"method": "fix", "among": {"a": [lr + "0.1"], "b": [lr + "0.2"]}}},
    )
    config = study.config(study.tasks[0], "fix", 100, study.choices["tuned"].among["b"])
    assert (config.training.epochs, config.optimizer.head_lr) == (7, 0.2)


def test_excluded_runs_are_left_out(load):
    study = load(
        exclude=[
            {"backbone": "resnet18", "eps": "8/255"},
            {"method": "two-hinge", "dataset": ["cars"], "seed": 1},
        ]
    )
    runs = [{**task.coordinates, "method": m, "seed": s} for task, m, s in study.runs()]
    assert len(runs) == 64 - 16 - (6 * 1)
    assert not [r for r in runs if (r["backbone"], r["eps"]) == ("resnet18", "8/255")]
    assert [r["seed"] for r in runs if (r["method"], r["dataset"]) == ("two-hinge", "cars")] == (
        [0] * 6
    )


def test_one_line_shrinks_a_study_and_the_rest_of_the_file_stays(load):
    changes = {
        "exclude": [{"dataset": "aircraft", "method": "two-hinge"}],
        "settings": [{"where": {"dataset": "aircraft"}, "set": ["training.epochs=7"]}],
    }
    whole = [run for run in load(**changes).runs() if run[0].coordinates["dataset"] == "cars"]
    only = [{"dataset": "cars", "seed": 0}, {"dataset": "cars", "seed": 1, "method": "fix"}]
    study = load(**changes, only=only)
    assert list(study.runs()) == [run for run in whole if run[1] == "fix" or run[2] == 0]
    for run in study.runs():
        assert identity(study.config(*run)) == identity(load(**changes).config(*run))


def test_a_part_of_the_published_study(tmp_path):
    text = (Path(__file__).parents[2] / "configs" / "published" / "study.yaml").read_text("utf-8")
    file = tmp_path / "study.yaml"
    file.write_text(f"{text}only: [{{backbone: swin, dataset: cars}}]\n", "utf-8")
    runs = [(task.coordinates["eps"], method) for task, method, _ in load_study(file).runs()]
    assert runs == [
        *(("4/255", method) for method in ("fix", "two-hinge", "auto", "uniform")),
        *(("8/255", method) for method in ("fix", "two-hinge")),
    ]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"axes": {"method": ["fix"]}}, "axes=method: expected another name"),
        ({"axes": {"seed": [1]}}, "axes=seed: expected another name"),
        ({"axes": {"clean": {"a": []}}}, "axes=clean: expected another name"),
        ({"axes": {"colour": ["red"]}}, "axes=colour: expected a key"),
        ({"axes": {"epochs": [1]}}, "training.epochs"),
        ({"axes": {"eps": []}}, "axes.eps=: expected at least one value"),
        ({"axes": {"task": {}}}, "axes.task=: expected at least one value"),
        ({"axes": {"eps": "4/255"}}, "for example eps: [4/255]"),
        ({"axes": {"eps": ["4/255", "4/255"]}}, "each value once"),
        ({"axes": {"schedule": [{"name": "fix"}]}}, "a single value"),
        ({"axes": {"task": {"a": "x=1"}}}, "axes.task.a: expected a list such as"),
        ({"axes": {"t": {"a b": ["seed=1"]}}}, "axes.t.a b=seed=1: expected no seed"),
        ({"axes": TREE["axes"] | {"x": {"a b": [], "a+b": []}}}, "a name whose folder differs"),
        ({"tasks": {"one": []}}, "key of a study 'tasks'"),
        ({"exclude": [{"bakbone": "resnet18"}]}, "axis in exclude.0 'bakbone': did you mean back"),
        ({"exclude": [{"eps": "2/255"}]}, "value in exclude.0.eps '2/255'"),
        ({"exclude": [{"method": "standard"}]}, "value in exclude.0.method 'standard'"),
        ({"exclude": [{}]}, "exclude.0"),
        ({"exclude": [{"eps": "4/255"}, {"eps": "4/255", "seed": 1}]}, "exclude.1=eps: 4/255, se"),
        ({"exclude": [{"eps": ["4/255", "8/255"]}]}, "leaves no run"),
        ({"only": [{"eps": "2/255"}]}, "value in only.0.eps '2/255'"),
        ({"only": {"eps": "4/255"}}, "only: expected a list such as [{backbone: vit"),
        (
            {"only": [{"seed": 0}, {"eps": "8/255"}], "exclude": [{"eps": "8/255"}]},
            "only.1=eps: 8/255: expected a part of the grid with runs",
        ),
        ({"settings": [{"where": {"sead": 0}, "set": ["seed=1"]}]}, "axis in settings.0.where 's"),
        ({"settings": [{"where": {"eps": "8/255"}}]}, "has no settings.0.set"),
        ({"settings": [{"where": {"eps": "8/255"}, "set": []}]}, "settings.0.set: expected at le"),
        ({"settings": [{"were": {}, "set": []}]}, "key of settings.0 'were': did you mean where"),
        ({"settings": [{"where": {"eps": "8/255"}, "set": ["x=1"]}]}, "unknown key 'x'"),
        (
            {"settings": [{"where": {"eps": "8/255"}, "set": ["seed=1"]}]},
            "settings.0.set=seed=1: expected no seed",
        ),
        (
            {
                "exclude": [{"eps": "8/255"}],
                "settings": [{"where": {"eps": "8/255"}, "set": ["training.epochs=1"]}],
            },
            "settings.0.where=eps: 8/255: expected a part of the grid with runs",
        ),
    ],
)
def test_a_grid_that_names_nothing_is_refused(load, changes, says):
    with pytest.raises(RampartError, match=re.escape(says)):
        load(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"methods": {"fix": ["schedule=fix"], "same": ["schedule.name=fix"]}},
        {"methods": {"a": [], "b": ["evaluation.checks=false", "data.workers=3"]}},
        {"axes": TREE["axes"] | {"size": {"usual": [], "same": ["data.image_size=64"]}}},
        {
            "choices": {
                "t": {"method": "fix", "among": {"a": [], "b": ["optimizer.head_lr=4e-3"]}},
            }
        },
    ],
)
def test_two_runs_with_one_identity_are_refused_with_both_names(load, changes):
    with pytest.raises(RampartError, match=r"'vit_tiny.*' and 'vit_tiny.*': their settings give"):
        load(**changes)


def test_the_identity_is_that_of_the_settings(load):
    study = load()
    every = {identity(study.config(*run)) for run in study.runs()}
    assert len(every) == 64
    again = load(base=TREE["base"] | {"data": {"image_size": 64, "root": "/elsewhere"}})
    assert {identity(again.config(*run)) for run in again.runs()} == every
    longer = load(base=TREE["base"] | {"training": {"epochs": 51}})
    assert not {identity(longer.config(*run)) for run in longer.runs()} & every
