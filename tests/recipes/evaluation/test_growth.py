"""An evaluation of a part of the images grows: no image is attacked a second time."""

import numpy as np
import pytest
import torch
from evaluating import Killed
from torch import nn

import rampart
from rampart.errors import RunError
from rampart.evaluation import whole
from rampart.records.storage import load_record
from rampart.runs.evaluation_folder import EvaluationFolder

N = 300


@pytest.fixture(scope="module")
def task():
    """A linear model, and images of which it classifies most as they are labelled."""
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    with torch.no_grad():
        model[1].weight.copy_(torch.randn(3, 48, generator=generator))
        images = torch.rand(N, 3, 4, 4, generator=generator)
        labels = model(images).argmax(1)
    labels[::5] = (labels[::5] + 1) % 3
    return model, (images, labels)


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    """Drawing takes longer than the attacks."""
    monkeypatch.setattr("rampart.recipes.evaluation.output._draw", lambda *args: None)


@pytest.fixture
def attacked(monkeypatch):
    """The numbers of the images in the order in which attacks on them end."""
    numbers, real = [], whole.stream

    def stream(*args, **options):
        for part in real(*args, **options):
            numbers.extend(part.indices.tolist())
            yield part

    monkeypatch.setattr(whole, "stream", stream)
    return numbers


def evaluate(task, output=None, **settings):
    model, data = task
    usual = {"attack": {"name": "apgd", "steps": 2}, "mode": "exact", "checks": False}
    usual |= {"strengths": ["8/255", "16/255"]}
    return rampart.evaluate(model, data, "16/255", output=output, **{**usual, **settings})


def same(first, second):
    return (
        first.ids == second.ids
        and first.critical.tolist() == second.critical.tolist()
        and np.array_equal(first.distance, second.distance, equal_nan=True)
        and first.metadata["forwards"] == second.metadata["forwards"]
    )


def test_more_precision_attacks_only_new_images(task, attacked, tmp_path):
    first = evaluate(task, tmp_path / "e", until="10%")
    n = len(first)
    grown = evaluate(task, tmp_path / "e", until="7%")
    assert n < len(grown) < N
    assert len(attacked) == len(set(attacked))
    assert grown.metadata["resumed"] == n
    assert set(first.ids) < set(grown.ids)
    direct = evaluate(task, until=0.07)
    assert same(grown, direct)
    assert grown.metadata["until"] == direct.metadata["until"]
    assert same(load_record(tmp_path / "e"), direct)


def test_a_larger_limit_goes_on_where_the_images_ended(task, attacked, tmp_path):
    short = evaluate(task, tmp_path / "e", until="7%", limit=90)
    assert (len(short), short.metadata["until"]["reached"]) == (90, False)
    grown = evaluate(task, tmp_path / "e", until="7%")
    assert grown.metadata["until"]["reached"]
    assert len(attacked) == len(set(attacked))
    assert same(grown, evaluate(task, until="7%"))


def test_a_limit_grows_into_a_larger_one_and_into_a_precision(task, attacked, tmp_path):
    for settings in ({"limit": 40}, {"limit": 60}, {"until": "10%"}):
        record = evaluate(task, tmp_path / "e", stratified="limit" in settings, **settings)
    assert len(attacked) == len(set(attacked)) >= len(record) > 60
    assert same(record, evaluate(task, until="10%"))


@pytest.mark.parametrize(
    "settings",
    [
        {"until": "10%", "limit": 250},
        {"until": "12%"},
        {"until": "7%", "limit": 100},
        {"until": "7%", "attack": {"name": "apgd", "steps": 3}},
        {"limit": 200, "stratified": True},
        {"limit": 280},
    ],
)
def test_other_changes_are_refused(task, tmp_path, settings):
    evaluate(task, tmp_path / "e", until="10%", limit=250)
    with pytest.raises(RunError, match="finished evaluation.*--overwrite"):
        evaluate(task, tmp_path / "e", **settings)


def test_another_model_is_refused_and_leaves_the_record(task, tmp_path):
    record = evaluate(task, tmp_path / "e", until="10%")
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    with pytest.raises(RunError, match="fingerprint"):
        evaluate((model, task[1]), tmp_path / "e", until="7%")
    assert EvaluationFolder(tmp_path / "e").is_finished()
    assert same(load_record(tmp_path / "e"), record)


def test_an_interrupted_growth_resumes(task, attacked, tmp_path):
    n = len(evaluate(task, tmp_path / "e", until="10%"))

    def kill(done, total):
        if done > n + 10:
            raise Killed

    with pytest.raises(Killed):
        evaluate(task, tmp_path / "e", until="7%", batch_size=4, on_progress=kill)
    assert len(load_record(tmp_path / "e")) == n
    before = len(attacked)
    grown = evaluate(task, tmp_path / "e", until="7%")
    assert len(attacked) - before <= len(grown) - n - 10
    assert same(grown, evaluate(task, until="7%"))


def test_damaged_results_of_attacked_images_are_not_used(task, attacked, tmp_path):
    evaluate(task, tmp_path / "e", until="10%")
    for part in (tmp_path / "e" / "attacked").rglob("*.parquet"):
        content = bytearray(part.read_bytes())
        content[len(content) // 2] ^= 1
        part.write_bytes(content)
    grown = evaluate(task, tmp_path / "e", until="7%")
    assert len(attacked) > len(set(attacked))
    assert same(grown, evaluate(task, until="7%"))


def test_overwriting_starts_afresh(task, attacked, tmp_path):
    n = len(evaluate(task, tmp_path / "e", until="10%"))
    again = evaluate(task, tmp_path / "e", until="10%", overwrite=True)
    assert (len(again), len(attacked)) == (n, 2 * n)


def test_only_an_evaluation_of_drawn_images_keeps_them(task, tmp_path):
    evaluate(task, tmp_path / "whole")
    evaluate(task, tmp_path / "part", limit=20)
    assert not EvaluationFolder(tmp_path / "whole").attacked.exists()
    assert EvaluationFolder(tmp_path / "part").attacked.is_dir()
