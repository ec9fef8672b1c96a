"""Interpolation between two runs: its ends, the choice, and refusals."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from rampart.errors import InvalidArgument, ModelError, RunError
from rampart.models.interpolation import interpolate
from rampart.recipes.config.loading import load_config
from rampart.recipes.evaluation.evaluate_named import evaluate_run
from rampart.recipes.interpolate import interpolate_runs
from rampart.recipes.train import train_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_settings):
    settings = [*tiny_settings, "training.epochs=2", "optimizer.backbone_lr=1e-2"]
    folder = tmp_path_factory.mktemp("runs")
    for name in ("fix", "standard"):
        train_run(load_config(None, [*settings, f"schedule={name}"]), folder / name)
    other = [*settings, "schedule=standard", "model.options={norm: group, in_chans: 3}"]
    train_run(load_config(None, other), folder / "other")
    return folder


def weights(folder):
    return load_file(folder / "model" / "model.safetensors")


@pytest.mark.parametrize(("fraction", "end"), [(0.0, "fix"), (1.0, "standard")])
def test_the_ends_are_the_runs(runs, tmp_path, fraction, end):
    folder, best = interpolate_runs(
        runs / "fix", runs / "standard", tmp_path / "out", fractions=[fraction]
    )
    assert best.fraction == fraction
    ours, theirs = weights(folder.path), weights(runs / end)
    assert ours.keys() == theirs.keys()
    assert all(ours[name].equal(theirs[name]) for name in ours)


def test_the_best_on_validation_is_saved_and_can_be_evaluated(runs, tmp_path):
    found = []
    folder, best = interpolate_runs(
        runs / "fix", runs / "standard", tmp_path / "out", on_found=found.append
    )
    assert [one.fraction for one in found] == [step / 10 for step in range(11)]
    assert best.expected == max(one.expected for one in found)
    recorded = folder.facts()["interpolation"]
    assert recorded["fraction"] == best.fraction
    assert [row["expected"] for row in recorded["validation"]] == [one.expected for one in found]
    assert recorded["runs"]["second"]["schedule.name"] == "standard"
    _, record = evaluate_run(
        folder.path, ("evaluation.split=validation", "evaluation.checks=false")
    )
    assert float(record.accuracy[0]) == pytest.approx(best.clean)
    assert float(record.accuracy[-1]) == pytest.approx(best.adversarial)


def test_half_way_is_the_mean():
    first, second = (
        {"w": torch.tensor([0.0, 2.0]), "n": torch.tensor(3)},
        {
            "w": torch.tensor([4.0, 2.0]),
            "n": torch.tensor(5),
        },
    )
    between = interpolate(first, second, 0.25)
    assert between["w"].tolist() == [1.0, 2.0]
    assert int(between["n"]) == 3


def test_other_architectures_are_refused(runs, tmp_path):
    with pytest.raises(RunError, match="differ in the architecture"):
        interpolate_runs(runs / "fix", runs / "other", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_fractions_beyond_the_ends_are_refused(runs, tmp_path):
    with pytest.raises(InvalidArgument, match="fractions"):
        interpolate_runs(runs / "fix", runs / "standard", tmp_path / "out", fractions=[0.5, 1.5])


def test_an_unfinished_run_is_refused(runs, tmp_path):
    with pytest.raises(RunError, match="holds no run"):
        interpolate_runs(runs / "fix", tmp_path / "nothing", tmp_path / "out")


def test_a_folder_in_use_does_not_change(runs):
    with pytest.raises(RunError, match="exists: --overwrite replaces it"):
        interpolate_runs(runs / "fix", runs / "standard", runs / "other")
    with pytest.raises(RunError, match="one of the two runs"):
        interpolate_runs(runs / "fix", runs / "standard", runs / "standard", overwrite=True)
    assert (runs / "standard" / "model").exists()


def test_interpolation_towards_a_run_fine_tuned_from_the_first(runs, tmp_path, tiny_settings):
    start = f"model.name=local-dir:{runs / 'fix' / 'model'}"
    drop = ("model", "schedule", "training.epochs")
    rest = [one for one in tiny_settings if not one.startswith(drop)]
    went_on = [start, *rest, "model.head=pretrained", "schedule=standard", "training.epochs=1"]
    still = ["optimizer.backbone_lr=1e-12", "optimizer.head_lr=1e-12"]
    train_run(load_config(None, [*went_on, *still]), tmp_path / "on")
    before, after = weights(runs / "fix"), weights(tmp_path / "on")
    (head,) = [name for name in before if name.endswith("head.weight")]
    torch.testing.assert_close(after[head], before[head], msg="the head is the one that was kept")
    folder, best = interpolate_runs(
        runs / "fix", tmp_path / "on", tmp_path / "out", fractions=[0.5]
    )
    assert best.fraction == 0.5
    assert weights(folder.path)[head].shape == before[head].shape
    second = folder.facts()["interpolation"]["runs"]["second"]
    assert second["model.name"] == "the first run", "so that seeds form one method"
    assert "seed" not in second


def test_a_head_for_other_classes_is_refused(runs, tmp_path, tiny_settings, photo_folder):
    for split in ("train", "validation", "test"):
        (tmp_path / "photos" / split).mkdir(parents=True)
        for old, new in (("blue", "azure"), ("green", "green"), ("red", "red")):
            (tmp_path / "photos" / split / new).symlink_to(photo_folder / split / old)
    rest = [one for one in tiny_settings if not one.startswith(("model", "data.name"))]
    start = [f"model.name=local-dir:{runs / 'fix' / 'model'}", "model.head=pretrained"]
    config = load_config(None, [*start, *rest, f"data.name={tmp_path / 'photos'}"])
    with pytest.raises(ModelError, match="'blue' where the data has 'azure'"):
        train_run(config, tmp_path / "run")


def test_the_same_weights_in_another_network_are_another_network(runs, tmp_path):
    baseline = tmp_path / "clean baseline"
    shutil.copytree(runs / "fix", baseline)
    described = baseline / "model" / "config.json"
    config = json.loads(described.read_text())
    config["model_args"]["drop_rate"] = 0.5
    described.write_text(json.dumps(config))
    (baseline / "model" / "checksums.json").unlink()
    interpolate_runs(runs / "fix", baseline, tmp_path / "alike", fractions=[0])
    config["model_args"]["global_pool"] = "max"
    described.write_text(json.dumps(config))
    with pytest.raises(RunError, match="differ in the architecture"):
        interpolate_runs(runs / "fix", baseline, tmp_path / "other", fractions=[0])


def test_a_pretrained_head_needs_weights(tiny_settings):
    with pytest.raises(InvalidArgument, match="head"):
        load_config(None, [*tiny_settings, "model.head=pretrained"])


def test_the_module_of_a_user_is_refused(runs, tmp_path):
    own = shutil.copytree(runs / "fix", tmp_path / "own")
    (own / "model" / "config.json").write_text(json.dumps({"module": "net.Net"}))
    (own / "model" / "checksums.json").unlink()
    with pytest.raises(RunError, match="own holds the weights of your own module"):
        interpolate_runs(runs / "standard", own, tmp_path / "out")
