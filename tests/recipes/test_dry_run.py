"""The last operations of a run are tried before its first step."""

import pytest

from own_architectures import BAD, GOOD
from rampart.errors import RampartError
from rampart.recipes.config.loading import load_config
from rampart.recipes.evaluation.evaluate_named import evaluate_run
from rampart.recipes.train import train_run
from rampart.training.reporting import Silent


@pytest.fixture
def settings(tiny_settings):
    left_out = ("model.options",)
    kept = [text for text in tiny_settings if not text.startswith(left_out)]
    return [*kept, "training.epochs=1", "evaluation.checks=false", "evaluation.attack.steps=1"]


class Never(Silent):
    """No step may be taken."""

    def start(self, name, horizon, done, cost=float):
        raise AssertionError("the run has begun")


@pytest.mark.parametrize("name", GOOD)
def test_users_architectures_train_and_evaluate(name, settings, tmp_path):
    config = load_config(None, [*settings, f"model.name={name}"])
    folder = train_run(config, tmp_path / "run")
    _, record = evaluate_run(folder.path)
    assert len(record) == 15


@pytest.mark.parametrize("name", BAD)
def test_a_model_that_cannot_be_evaluated_is_refused_before_training(name, settings, tmp_path):
    config = load_config(None, [*settings, f"model.name={name}"])
    with pytest.raises(RampartError, match=BAD[name]):
        train_run(config, tmp_path / "run", reporter=Never())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("setting", "names"),
    [
        ("evaluation.strengths=[9/255]", "evaluation.strengths"),
        ("evaluation.strengths=[4/255, 2/255, 8/255]", "evaluation.strengths"),
        ("evaluation.ids=nowhere.txt", "nowhere.txt"),
        ("evaluation.limit=1000", "evaluation.limit|1000"),
        ("evaluation.top_k=3", "evaluation.top_k"),
        ("evaluation.attack.mode=train", "evaluation.attack.mode"),
    ],
)
def test_an_impossible_evaluation_is_refused_before_training(setting, names, settings, tmp_path):
    with pytest.raises(RampartError, match=names):
        train_run(
            load_config(None, [*settings, "model.name=own_bare", setting]),
            tmp_path / "run",
            reporter=Never(),
        )
    assert not (tmp_path / "run").exists()


def test_the_dry_run_changes_nothing(settings, tmp_path, monkeypatch):
    """A run with it and one without get the same weights."""

    config = load_config(None, [*settings, "model.name=own_bare"])
    first = train_run(config, tmp_path / "first")
    monkeypatch.setattr("rampart.recipes.train.try_end", lambda *_: None)
    second = train_run(config, tmp_path / "second")
    files = [(folder.model / "model.safetensors").read_bytes() for folder in (first, second)]
    assert files[0] == files[1]
