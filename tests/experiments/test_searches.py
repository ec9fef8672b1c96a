"""A study whose methods have the values that searches found."""

import csv
import json
import re
import shutil

import pytest
import yaml

from made_up_search import write_search
from rampart.cli.study.plan import plan
from rampart.errors import InvalidArgument, RampartError, RunError
from rampart.experiments.loading import load_study
from rampart.experiments.planning.plan import plan_study
from rampart.experiments.running import run_study
from rampart.experiments.study_cells import method_cells, planned_runs, search_budgets
from rampart.experiments.study_folder import keep_file
from rampart.experiments.study_state import open_study, read_state
from rampart.experiments.study_table import write_table
from rampart.recipes.config.loading import load_config

SETTINGS = ["training.epochs=2", "attack.steps=1"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The working folder, at which relative folders begin."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tree(tiny_settings):
    """A study of four methods; two have searched values, of one search each."""
    return {
        "base": {"model": "none", "data": "none"},
        "seeds": [0, 1],
        "axes": {"task": {"photos": [*tiny_settings, *SETTINGS]}, "eps": ["1/255", "2/255"]},
        "methods": {
            "fix": ["schedule=fix"],
            "standard": ["schedule=standard"],
            "tuned fix": ["schedule=fix"],
            "tuned two-hinge": ["schedule=two-hinge"],
        },
        "settings": [{"where": {"method": "tuned fix"}, "set": ["optimizer.head_lr=0.5"]}],
        "searches": [
            {"where": {"method": method, "eps": "1/255"}, "folder": f"searches/{method}"}
            for method in ("tuned fix", "tuned two-hinge")
        ],
    }


@pytest.fixture(scope="module")
def written(tiny_settings, tmp_path_factory):
    """Write each search once; return its folder and its best values."""
    known = {}

    def write(method, overrides, runs, per_phase):
        key = method, overrides, runs, per_phase
        if key not in known:
            folder = tmp_path_factory.mktemp("searches") / "search"
            schedule = f"schedule={method.removeprefix('tuned ')}"
            settings = [*tiny_settings, *SETTINGS, "threat.eps=1/255", schedule, "seed=9"]
            best = write_search(
                folder, [*settings, *overrides], runs=runs, epochs=2, per_phase=per_phase
            )
            known[key] = folder, best
        return known[key]

    return write


@pytest.fixture
def search(place, written):
    """Put the search of a method below the working folder; return its best values."""

    def write(method, *overrides, folder="", runs=2, per_phase=False):
        source, best = written(method, overrides, runs, per_phase)
        shutil.copytree(source, place / "searches" / (folder or method))
        return best

    return write


@pytest.fixture
def file(tree, place):
    """The file of the study, written anew with changes."""

    def write(**changes):
        path = place / "file.yaml"
        path.write_text(yaml.safe_dump(tree | changes, sort_keys=False))
        return path

    return write


def values_of(config, keys):
    return {key: getattr(config.optimizer, key.rpartition(".")[2]) for key in keys}


def identities(file, place):
    return {cell.name: cell.identity for cell in method_cells(load_study(file), place)}


def test_the_values_found_are_settings_of_their_part_and_win_over_others(search, file):
    fix, hinge = search("tuned fix"), search("tuned two-hinge", per_phase=True)
    study = load_study(file())
    for task, method, seed in study.runs():
        config = study.config(task, method, seed)
        found = {"tuned fix": fix, "tuned two-hinge": hinge}.get(method, {})
        if task.coordinates["eps"] == "1/255" and found:
            assert values_of(config, found) == found
        else:
            assert values_of(config, fix) != fix
            assert config.optimizer.head_lr == (0.5 if method == "tuned fix" else 4e-3)
        assert (config.seed, config.training.epochs) == (seed, 2)


def test_the_identity_follows_from_the_values_and_not_from_the_folder(search, file, tree, place):
    search("tuned fix"), search("tuned two-hinge")
    before = identities(file(), place)
    shutil.move(place / "searches", place / "moved")
    moved = [
        one | {"folder": one["folder"].replace("searches", "moved")} for one in tree["searches"]
    ]
    after = {
        cell.name: cell.identity for cell in method_cells(load_study(file(searches=moved)), place)
    }
    assert after == before
    shutil.rmtree(place / "moved" / "tuned fix")
    search("tuned fix", runs=3, folder="../moved/tuned fix")
    again = {
        cell.name: cell.identity for cell in method_cells(load_study(file(searches=moved)), place)
    }
    changed = {name for name, identity in again.items() if identity != before[name]}
    assert changed == {f"photos, 1/255, tuned fix, seed {seed}" for seed in (0, 1)}


def test_the_last_search_of_a_part_wins_alone(search, file, tree):
    search("tuned fix"), search("tuned two-hinge", per_phase=True)
    other = search("tuned two-hinge", runs=4, folder="other")
    last = {
        "where": {"method": "tuned two-hinge", "eps": "1/255", "seed": 1},
        "folder": "searches/other",
    }
    study = load_study(file(searches=[*tree["searches"], last]))
    first, second = (study.config(study.tasks[0], "tuned two-hinge", seed) for seed in (0, 1))
    assert values_of(second, other) == other
    assert second.optimizer.ramp_lr_factor == 1 != first.optimizer.ramp_lr_factor


def test_a_choice_takes_the_search_of_its_method_and_its_options_win(search, file, tree):
    best = search("tuned fix")
    search("tuned two-hinge")
    among = {"low": [], "high": ["optimizer.head_lr=0.25"]}
    study = load_study(file(choices={"tuned again": {"method": "tuned fix", "among": among}}))
    option = study.choices["tuned again"].among["high"]
    config = study.config(study.tasks[0], "tuned fix", 100, option)
    assert values_of(config, best) == best | {"optimizer.head_lr": 0.25}
    assert search_budgets(study)["photos, 1/255", "tuned again", 0].runs == 2


def test_a_search_may_find_the_values_of_another_method(search, file):
    best = search("tuned fix")
    search("tuned two-hinge")
    same = [f"{key}={value}" for key, value in best.items()]
    part = {"where": {"method": "fix"}, "set": same}
    study = load_study(file(settings=[part]))
    cells = [cell for cell in method_cells(study, file().parent) if cell.task == "photos, 1/255"]
    (fix, tuned) = (
        cell for cell in cells if cell.method in ("fix", "tuned fix") and cell.config.seed == 0
    )
    assert fix.identity == tuned.identity
    assert fix.folder != tuned.folder


def test_one_search_for_two_methods_of_the_same_settings_is_refused(search, file, tree):
    search("tuned fix"), search("tuned two-hinge")
    both = {
        "where": {"method": ["fix", "tuned fix"], "eps": "1/255"},
        "folder": "searches/tuned fix",
    }
    with pytest.raises(RunError, match="one run under two names"):
        load_study(file(searches=[both], settings=[]))


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("training.epochs=3", "training.epochs: 3 -> 2"),
        ("threat.eps=2/255", "threat.eps: "),
        ("schedule=linear", "schedule.name: linear -> fix"),
        ("objective=trades", "objective.beta: "),
        ("data.name=elsewhere", "data.name: elsewhere -> "),
        ("data.seed=3", "data.seed: 3 -> 0"),
        ("model={name: resnet18}", "model.name: resnet18"),
        ("optimizer.ramp_lr_factor=2", "optimizer.ramp_lr_factor: 2.0 -> 1.0"),
    ],
)
def test_a_search_of_other_settings_is_refused_with_the_first_keys(search, file, override, key):
    search("tuned fix", override), search("tuned two-hinge")
    with pytest.raises(InvalidArgument, match=re.escape(key)) as caught:
        load_study(file())
    assert (caught.value.name, caught.value.got) == ("searches.folder", "searches/tuned fix")
    assert "for photos, 1/255, tuned fix, seed 0 they" in str(caught.value)


def test_every_run_of_the_part_is_compared(search, file, tree):
    """Also one that differs by a setting for its seed, and the options of a choice."""
    search("tuned fix"), search("tuned two-hinge")
    longer = {"where": {"seed": 1}, "set": ["training.epochs=3"]}
    with pytest.raises(
        InvalidArgument, match=r"tuned fix, seed 1 they differ \(training.epochs: 2 -> 3"
    ):
        load_study(file(settings=[longer]))
    among = {"a": [], "b": ["training.epochs=5"]}
    with pytest.raises(
        InvalidArgument, match=r"b for 'one more' they differ \(training.epochs: 2 -> 5"
    ):
        load_study(file(choices={"one more": {"method": "tuned fix", "among": among}}))


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"where": {"method": "fix"}}, "has no searches.0.folder"),
        ({"where": {"method": "fix"}, "folder": 3}, "searches.0.folder: expected a folder"),
        ({"where": {"method": "fix"}, "folder": ""}, "searches.0.folder: expected a folder"),
        ({"where": {"method": "fix"}, "folder": "gone"}, "folder gone holds no search"),
        ({"where": {"method": "fix"}, "foldr": "gone"}, "key of searches.0 'foldr'"),
        ({"where": {}, "folder": "searches/tuned fix"}, "searches.0.where"),
        ({"where": {"method": "fxi"}, "folder": "searches/tuned fix"}, "value in searches.0.wher"),
        ({"where": {"epps": 1}, "folder": "searches/tuned fix"}, "axis in searches.0.where 'epps'"),
        (
            {"where": {"eps": "2/255"}, "folder": "searches/tuned fix"},
            "searches.0.where=eps: 2/255: expected a part of the grid with runs",
        ),
    ],
)
def test_an_entry_that_names_nothing_is_refused(search, file, entry, says):
    search("tuned fix")
    with pytest.raises(RampartError, match=re.escape(says)):
        load_study(file(searches=[entry], exclude=[{"eps": "2/255"}]))
    with pytest.raises(RampartError, match=re.escape("searches: expected a list such as [{where")):
        load_study(file(searches=3))


def test_the_plan_counts_the_runs_with_the_values_found(search, file):
    search("tuned fix"), search("tuned two-hinge")
    runs = plan_study(load_study(file()), None)
    assert len(runs) == 16
    assert {one.training for one in runs if one.method == "tuned fix"} == {
        one.training for one in runs if one.method == "fix"
    }


def test_the_folder_of_the_study_suffices_when_those_of_the_searches_are_gone(
    search, file, place, capsys
):
    search("tuned fix"), search("tuned two-hinge")
    study, out = open_study(file(), place / "out")
    keep_file(study, file(), out)
    shutil.rmtree(place / "searches")
    assert open_study(out) == (study, out)
    assert load_study(file(), out) == study
    plan(out / "study.yaml", calibration=False, as_json=False)
    assert capsys.readouterr().out.startswith("16 runs: ")
    with pytest.raises(RunError, match="tuned fix holds no search"):
        load_study(file())


def test_a_search_that_went_on_changes_the_study_with_its_next_run_only(search, file, place):
    search("tuned fix"), search("tuned two-hinge")
    before, out = open_study(file(), place / "out")
    keep_file(before, file(), out)
    shutil.rmtree(place / "searches" / "tuned fix")
    search("tuned fix", runs=3)
    assert open_study(out)[0] == before
    after = load_study(file(), out)
    assert after != before
    keep_file(after, file(), out)
    assert open_study(out)[0] == after
    keep_file(load_study(file(searches=[])), file(searches=[]), out)
    assert not (out / "searches.json").exists()


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"searches": [{"folder": "searches/tuned fix"}]}']
)
def test_damaged_values_are_refused(search, file, place, text):
    search("tuned fix"), search("tuned two-hinge")
    study, out = open_study(file(), place / "out")
    keep_file(study, file(), out)
    (out / "searches.json").write_text(text)
    with pytest.raises(RunError, match=r"searches.json is damaged.*delete it"):
        open_study(out)


def test_a_value_that_was_changed_is_refused(search, file, place):
    search("tuned fix"), search("tuned two-hinge")
    study, out = open_study(file(), place / "out")
    keep_file(study, file(), out)
    kept = out / "searches.json"
    content = json.loads(kept.read_text())
    content["searches"][0]["spent"]["runs"] = 99
    kept.write_text(json.dumps(content))
    with pytest.raises(RunError, match="does not match its checksum"):
        open_study(out)


def test_the_runs_train_with_the_values_and_the_table_has_the_budgets(search, file, place, tree):
    best = search("tuned fix")
    search("tuned two-hinge", runs=3)
    axes = tree["axes"] | {"eps": ["1/255"]}
    path = file(
        seeds=[0], axes=axes, methods={k: v for k, v in tree["methods"].items() if k != "fix"}
    )
    study, out = open_study(path, place / "out")
    keep_file(study, path, out)
    assert not run_study(study, out).failures
    (config,) = out.glob("runs/photos/1_255/tuned_fix/*/config.yaml")
    assert values_of(load_config(config), best) == best
    shutil.rmtree(place / "searches")
    study, out = open_study(out)
    state = read_state(study, out)
    assert state.count("done") == 3
    text = write_table(state.figures, planned_runs(study), out, searches=search_budgets(study))
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if "|" in line]
    assert [row[2] for row in rows if row[1] != ":--"] == [
        "search",
        "",
        "2 runs, 20 k passes",
        "3 runs, 30 k passes",
    ]
    assert "unequal budgets: 2 runs for tuned fix; 3 runs for tuned two-hinge." in text
    with (out / "results.csv").open() as results:
        found = {row["method"]: row["search"] for row in csv.DictReader(results)}
    assert found == {
        "standard": "",
        "tuned fix": "2 runs, 20 k passes",
        "tuned two-hinge": "3 runs, 30 k passes",
    }


def test_without_searches_the_table_has_no_column(file, place):
    study = load_study(file(searches=[]))
    text = write_table([], planned_runs(study), place, searches=search_budgets(study))
    assert "search" not in text
    assert "search" not in (place / "results.csv").read_text()
