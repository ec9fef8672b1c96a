"""Runs with label noise, with guidance, and with a check of labels."""

import csv

import pytest
import torch
from test_recipes_train import StopAfter, assert_same, result

from rampart.checksums import LISTING, require_unchanged
from rampart.errors import InvalidArgument, RunError
from rampart.models.backbones import build_model
from rampart.objectives.noisy_labels import Guided
from rampart.recipes import guidance
from rampart.recipes.check_labels import (
    PAGE,
    TABLE,
    check_labels,
    checked_labels,
    keep_label_check,
)
from rampart.recipes.config.loading import load_config
from rampart.recipes.data_identity import has_same_data
from rampart.recipes.guidance import (
    bound_objective,
    is_label_check,
    read_guidance,
    with_guidance,
)
from rampart.recipes.kept_guidance import FILE
from rampart.recipes.passes import preparation_passes
from rampart.recipes.splits import make_evaluated_splits, make_splits
from rampart.recipes.train import train_run
from rampart.records.whole_folders import check_files
from rampart.runs.passes import Passes
from rampart.runs.report_page import is_page
from rampart.training.interrupts import Interrupted
from settings import changed


@pytest.fixture
def short(tiny_settings):
    """Settings of a run of 2 epochs with 3 steps each, with noisy labels."""
    more = ["training.epochs=2", "training.monitors=false", "schedule=fix", "attack.steps=1"]
    return changed([*tiny_settings, *more, "data.label_noise=0.25"])


def table(path, splits, classes=None):
    """Write guidance that is certain of every given label."""
    names = classes or list(splits.class_names)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", *names])
        for identity, label in zip(splits.train.ids, splits.train.labels, strict=True):
            writer.writerow([identity, *(int(k == label) for k in range(len(names)))])
    return path


def test_a_run_with_guidance_resumes_exactly_and_records_its_noise(short, tmp_path, monkeypatch):
    config = load_config(None, [*short, "objective=noisy-labels"])
    folder = train_run(config, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train_run(config, tmp_path / "run", reporter=StopAfter(4))
    # The guidance of the folder is taken, and none computed.
    monkeypatch.setattr(guidance, "_make", None)
    resumed = train_run(config, tmp_path / "run", resume=True)
    assert_same(result(resumed), result(folder))
    facts = folder.facts()
    assert facts["label_noise"] == {"wrong": 6, "of": 24}
    for run in (folder, resumed):
        assert run.facts()["guidance"] == {"forwards": 24}
        assert Passes.of([], run.facts()) == Passes(guidance=24)
    found = check_files(folder.path)
    assert not found.faults
    assert folder.guidance / FILE in found.matching
    (folder.guidance / FILE).write_bytes(b"other")
    assert any(FILE in fault for fault in check_files(folder.path).faults)
    # An evaluation reads the data again, and knows them by their noisy labels.
    assert has_same_data(folder, make_evaluated_splits(config, None))
    plain = load_config(None, changed([*short, "data.label_noise=0"]))
    assert not has_same_data(folder, make_splits(plain))


def test_a_run_checks_its_labels_and_trains_as_without_the_check(short, tmp_path):
    pytest.importorskip("cleanlab")
    settings = [*short, "training.epochs=1"]
    plain = train_run(load_config(None, changed(settings)), tmp_path / "plain")
    checked = train_run(
        load_config(None, changed([*settings, "data.labels=check"])), tmp_path / "run"
    )
    assert_same(result(checked), result(plain))
    assert is_page(checked.labels / PAGE)
    assert (checked.labels / TABLE).read_text().startswith("rank,image,label")
    assert not plain.labels.exists()
    assert not check_files(checked.path).faults
    with (checked.labels / TABLE).open("a") as file:
        file.write("x,y,z\n")
    assert str(checked.labels / TABLE) in "".join(check_files(checked.path).faults)
    assert Passes.of([], checked.facts()) == Passes(label_check=24)
    assert Passes.of([], plain.facts()) == Passes()


def test_what_a_killed_run_left_of_its_check_is_replaced(short, tmp_path):
    pytest.importorskip("cleanlab")
    config = load_config(None, changed([*short, "data.labels=check"]))
    splits, folder = make_splits(config), tmp_path / "labels"
    checked, _ = checked_labels(config, splits)
    folder.mkdir()
    (folder / TABLE).write_text("ra")
    (folder / "half").touch()
    keep_label_check(checked, splits, folder)
    assert {file.name for file in folder.iterdir()} == {TABLE, PAGE, LISTING}
    require_unchanged(folder, "")
    assert (folder / TABLE).read_text().startswith("rank,image,label")


def test_guidance_by_the_own_backbone_is_the_check_of_labels_too(short):
    pytest.importorskip("cleanlab")
    settings = [*short, "objective=noisy-labels", "data.labels=check"]
    config = load_config(None, changed(settings))
    guided, spent = with_guidance(make_splits(config), config)
    shared, free = checked_labels(config, guided, held_out=guided.guidance)
    own, cost = checked_labels(config, guided)
    assert (spent, free, cost) == (24, 0, 24)
    assert is_label_check(config)
    assert shared.summary() == own.summary()
    assert shared.rows() == own.rows()
    assert preparation_passes(config) == 1
    other = changed([*settings, "objective={name: noisy-labels, guide: neighbors}"])
    assert not is_label_check(load_config(None, other))
    assert preparation_passes(load_config(None, other)) == 2
    assert preparation_passes(load_config(None, changed(short))) == 0


def test_the_check_lists_suspects_with_pictures_and_changes_nothing(short, photo_folder, tmp_path):
    pytest.importorskip("cleanlab")
    before = sorted(path.stat().st_mtime_ns for path in photo_folder.rglob("*"))
    config = load_config(None, short)
    found = check_labels(config, tmp_path / "labels")
    assert sorted(path.stat().st_mtime_ns for path in photo_folder.rglob("*")) == before
    with (tmp_path / "labels" / TABLE).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [found.ids[place] for place in found.suspects]
    page = (tmp_path / "labels" / PAGE).read_text()
    assert page.count("data:image/png") == len(rows) > 0
    noise = found.found_noise()
    # The mean color tells the classes apart, so most of the six wrong labels are found.
    assert noise["recall"] >= 0.5
    with pytest.raises(RunError, match="--overwrite"):
        check_labels(config, tmp_path / "labels")


def test_guidance_from_a_table_reaches_every_objective_with_a_memory_of_its_own(short, tmp_path):
    splits = make_splits(load_config(None, short))
    path = table(tmp_path / "own.csv", splits)
    config = load_config(None, [*short, f"objective={{name: noisy-labels, guide: {path}}}"])
    guided, spent = with_guidance(splits, config)
    assert spent == 0, "a table costs no pass"
    certain = torch.nn.functional.one_hot(torch.from_numpy(splits.train.labels), 3).float()
    assert torch.equal(guided.guidance, certain)
    first, second = (bound_objective(config, guided, torch.nn.Linear(1, 1)) for _ in range(2))
    assert isinstance(first, Guided)
    assert first.separation is not second.separation
    assert first.separation.easy.all()


@pytest.mark.parametrize("guide", ["head", "neighbors"])
def test_guidance_comes_from_a_second_backbone(short, guide):
    options = f"{{name: noisy-labels, guide: {guide}, guide_model: test_resnet.r160_in1k}}"
    config = load_config(None, [*short, f"objective={options}"])
    splits = make_splits(config)
    with pytest.MonkeyPatch.context() as patch:
        named = []

        def build(name, **how):
            named.append(name)
            return build_model("rampart_glyphnet", **{**how, "pretrained": False})

        patch.setattr("rampart.recipes.guidance.build_model", build)
        found = with_guidance(splits, config)[0].guidance
    assert named == ["test_resnet.r160_in1k"]
    assert found.shape == (24, 3)
    torch.testing.assert_close(found.sum(1), torch.ones(24))


def test_guidance_that_does_not_fit_the_data_is_refused_before_training(short, tmp_path):
    splits = make_splits(load_config(None, short))
    other = table(tmp_path / "other.csv", splits, ["blue", "green", "pink"])
    with pytest.raises(InvalidArgument, match=r"objective\.guide.*pink"):
        read_guidance(other, splits)
    fewer = table(tmp_path / "fewer.csv", splits)
    fewer.write_text("\n".join(fewer.read_text().splitlines()[:-2]))
    config = load_config(None, [*short, f"objective={{name: noisy-labels, guide: {fewer}}}"])
    with pytest.raises(InvalidArgument, match=r"objective\.guide.*2 of 24 training images"):
        train_run(config, tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()
    damaged = table(tmp_path / "damaged.csv", splits)
    damaged.write_text(damaged.read_text().replace(",1", ",one", 1))
    with pytest.raises(InvalidArgument, match="no number"):
        read_guidance(damaged, splits)


def test_guidance_and_a_shared_baseline_exclude_each_other():
    needed = ["model=a", "data=b", "objective=noisy-labels", "schedule.pilot_restart=baseline"]
    with pytest.raises(InvalidArgument, match="pilot_restart.*noisy-labels"):
        load_config(None, needed)
