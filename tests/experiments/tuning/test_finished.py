"""A finished search is read from its folder; others are refused."""

import json

import pytest

from checked_files import sign
from made_up_search import write_search
from rampart.errors import RampartError, RunError
from rampart.experiments.tuning.finished import read_finished
from rampart.experiments.tuning.outcome import Spent
from rampart.recipes.config.loading import change_config, load_config


@pytest.mark.parametrize("per_phase", [False, True])
def test_the_values_and_the_budget_are_those_of_the_search(tiny_settings, tmp_path, per_phase):
    best = write_search(tmp_path / "search", tiny_settings, runs=3, per_phase=per_phase)
    found = read_finished(tmp_path / "search")
    assert found.settings == best
    assert ("optimizer.ramp_lr_factor" in best) == per_phase
    assert found.spent == Spent(runs=3, passes=3 * 3 * 5000, minutes=3.0)
    assert found.config == load_config(overrides=tiny_settings)


def test_runs_may_differ_in_seed_and_searched_keys_and_in_what_changes_no_training(
    tiny_settings, tmp_path
):
    best = write_search(tmp_path / "search", tiny_settings)
    found = read_finished(tmp_path / "search")
    same = ["seed=7", "data.workers=3", "training.monitors=false", "evaluation.limit=5"]
    values = [f"{key}=0.5" for key in best]
    assert not found.unlike(change_config(found.config, [*same, *values]))
    others = ["training.epochs=4", "optimizer.ramp_lr_factor=2", "threat.eps=4/255"]
    unlike = found.unlike(change_config(found.config, [*others, *same]))
    assert [one.key for one in unlike] == [
        "optimizer.ramp_lr_factor",
        "threat.eps",
        "training.epochs",
    ]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("search.json", "holds no search .it has no search.json"),
        ("tuned.yaml", "not finished .it has no tuned.yaml"),
        ("spent.json", "not finished .it has no spent.json"),
    ],
)
def test_a_folder_that_lacks_a_file_is_not_a_finished_search(tiny_settings, tmp_path, name, says):
    write_search(tmp_path / "search", tiny_settings)
    (tmp_path / "search" / name).unlink()
    with pytest.raises(RunError, match=says):
        read_finished(tmp_path / "search")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(RunError, match=r"gone holds no search \(it does not exist\).*working"):
        read_finished(tmp_path / "gone")


def changed_rate(folder):
    file = folder / "tuned.yaml"
    text = file.read_text()
    rate = load_config(file).optimizer.head_lr
    assert str(rate) in text
    file.write_text(text.replace(str(rate), "0.77"))


def changed_epochs(folder):
    file = folder / "tuned.yaml"
    file.write_text(file.read_text().replace("epochs: 3", "epochs: 9"))


def cut(folder):
    file = folder / "tuned.yaml"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:8]))


def another_best(folder):
    file = folder / "spent.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"best": "0123abcd"}))
    sign(file)


@pytest.mark.parametrize("change", [changed_rate, changed_epochs, cut, another_best])
def test_values_that_the_search_did_not_find_are_refused(tiny_settings, tmp_path, change):
    write_search(tmp_path / "search", tiny_settings)
    change(tmp_path / "search")
    with pytest.raises(RunError, match="tuned.yaml is not what the search found"):
        read_finished(tmp_path / "search")


@pytest.mark.parametrize("text", ["{", "[]", '{"runs": 3}'])
def test_a_damaged_budget_is_refused(tiny_settings, tmp_path, text):
    write_search(tmp_path / "search", tiny_settings)
    (tmp_path / "search" / "spent.json").write_text(text)
    with pytest.raises(RunError, match="spent.json is damaged"):
        read_finished(tmp_path / "search")


@pytest.mark.parametrize("name", ["search.json", "spent.json", "tuned.yaml"])
def test_no_flipped_bit_changes_what_is_read(tiny_settings, tmp_path, name):
    write_search(tmp_path / "search", tiny_settings)
    file, expected = tmp_path / "search" / name, read_finished(tmp_path / "search")
    whole, refused = file.read_bytes(), 0
    for place in range(0, len(whole), 1 + len(whole) // 60):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 7
        file.write_bytes(changed)
        try:
            assert read_finished(tmp_path / "search") == expected
        except RampartError:
            refused += 1
    assert refused > 20
