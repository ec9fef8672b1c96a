"""Balanced sampling and class weights as settings of a run."""

import shutil

import pytest
import torch
from test_recipes_train import StopAfter, assert_same, result

from rampart.errors import InvalidArgument
from rampart.recipes.config.loading import load_config
from rampart.recipes.train import train_run
from rampart.runs.run_folder import RunFolder
from rampart.training.interrupts import Interrupted
from settings import changed


@pytest.fixture
def unbalanced(tiny_settings, photo_folder, tmp_path):
    """Settings of a run on 8, 5 and 2 training images of the three classes."""
    shutil.copytree(photo_folder, tmp_path / "photos")
    for name, kept in (("green", 5), ("red", 2)):
        for number in range(kept, 8):
            (tmp_path / "photos" / "train" / name / f"{number}.png").unlink()
    more = [f"data.name={tmp_path / 'photos'}", "training.batch_size=4", "schedule=fix"]
    return changed([*tiny_settings, *more, "training.epochs=2", "training.monitors=false"])


@pytest.mark.parametrize(
    "setting", ["training.sampler=balanced", "training.class_weights=balanced"]
)
def test_a_run_resumes_exactly_and_differs_from_an_unbalanced_one(unbalanced, tmp_path, setting):
    config = load_config(None, [*unbalanced, setting])
    whole = result(train_run(config, tmp_path / "whole"))
    with pytest.raises(Interrupted):
        train_run(config, tmp_path / "run", reporter=StopAfter(4))
    assert_same(result(train_run(config, tmp_path / "run", resume=True)), whole)
    weights, plain = (
        whole[0],
        result(train_run(load_config(None, unbalanced), tmp_path / "plain"))[0],
    )
    assert any(not torch.equal(weights[name], plain[name]) for name in weights)
    assert RunFolder(tmp_path / "run").settings()["training"][setting[9:].partition("=")[0]]


def test_a_balance_that_would_count_twice_is_refused():
    needed = ["model=a", "data=b", "training.sampler=balanced"]
    with pytest.raises(InvalidArgument, match=r"training.class_weights=balanced.*sampler"):
        load_config(None, [*needed, "training.class_weights=balanced"])
    with pytest.raises(InvalidArgument, match=r"training.warm_start"):
        load_config(None, [*needed, "training.warm_start=true"])
