"""Several processes are refused where one has to have every image, before any work."""

from types import SimpleNamespace

import pytest

from rampart.errors import InvalidArgument
from rampart.recipes import check_labels, train
from rampart.recipes.accelerator import require_one_process
from rampart.recipes.config.loading import load_config

TWO = SimpleNamespace(num_processes=2)


def config(*settings):
    return load_config(None, ["model=a", "data=b", *settings])


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (
            ["training.warm_start=true", "attack=pgd", "data.augment.rotation=0"],
            "training.warm_start",
        ),
        (["objective=noisy-labels"], "objective"),
        (["data.labels=check"], "data.labels"),
    ],
)
def test_a_part_of_one_process_is_refused_before_any_work(settings, name, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "make_accelerator", lambda *_: TWO)
    with pytest.raises(InvalidArgument) as caught:
        train.train_run(config(*settings), tmp_path / "run")
    assert caught.value.name == name
    assert not (tmp_path / "run").exists()
    require_one_process(config(*settings), SimpleNamespace(num_processes=1))


def test_other_runs_may_have_several():
    require_one_process(config("objective=trades"), TWO)


def test_a_check_of_labels_alone_is_refused_too(tmp_path, monkeypatch):
    pytest.importorskip("cleanlab")
    monkeypatch.setattr(check_labels, "make_accelerator", lambda *_: TWO)
    with pytest.raises(InvalidArgument) as caught:
        check_labels.check_labels(config(), tmp_path / "labels")
    assert caught.value.name == "data.labels"
    assert not (tmp_path / "labels").exists()
