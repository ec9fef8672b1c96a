"""Whatever trains or evaluates is the only writer of its folder."""

import os
import shutil
from functools import partial

import pytest

from rampart.errors import RunError
from rampart.evaluation.partial_results import Buffer
from rampart.recipes.config.loading import change_config, load_config
from rampart.recipes.evaluation.evaluate_named import ensure_evaluated, evaluate_run
from rampart.recipes.interpolate import interpolate_runs
from rampart.recipes.train import train_run
from rampart.runs.history import History
from rampart.runs.lock import LOCK, only_writer, writer_of
from rampart.runs.run_folder import RunFolder
from rampart.training.reporting import Silent


@pytest.fixture
def config(tiny_settings):
    return load_config(None, [*tiny_settings, "training.epochs=1"])


def files_in(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("how", [{}, {"resume": True}, {"overwrite": True}])
def test_a_second_training_is_refused_and_changes_nothing(config, tmp_path, how):
    tried = []

    def start_another(run, splits):
        before = files_in(tmp_path)
        with pytest.raises(RunError) as caught:
            train_run(config, tmp_path / "run", **how)
        tried.append(str(caught.value))
        assert files_in(tmp_path) == before
        assert writer_of(tmp_path / "run").process == os.getpid()

    train_run(config, tmp_path / "run", announce=start_another)
    (said,) = tried
    assert f"process {os.getpid()} on" in said if how else "--resume" in said
    assert len(History(RunFolder(tmp_path / "run").history).rows()) == 1
    assert not (tmp_path / "run" / LOCK).exists()


def test_a_second_evaluation_is_refused_and_another_one_is_not(config, tmp_path):
    train_run(config, tmp_path / "run")
    tried = []

    def start_others(done, total):
        if tried:
            return
        for second in (evaluate_run, partial(evaluate_run, overwrite=True), ensure_evaluated):
            with pytest.raises(RunError, match=f"process {os.getpid()} on") as caught:
                second(tmp_path / "run")
            tried.append(str(caught.value))
        evaluate_run(tmp_path / "run", ("evaluation.limit=5",))

    folder, record = evaluate_run(tmp_path / "run", on_progress=start_others)
    assert len(tried) == 3
    assert not (folder / LOCK).exists()
    again, same = ensure_evaluated(tmp_path / "run")
    assert (again, len(same.critical)) == (folder, len(record.critical))


def test_a_start_that_was_killed_leaves_a_folder_that_can_be_used(config, tmp_path):
    """The lock is the first file; a process that dies then leaves nothing else."""
    with only_writer(tmp_path / "run"):
        text = (tmp_path / "run" / LOCK).read_text()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK).write_text(text.replace(str(os.getpid()), "999999999"))
    assert train_run(config, tmp_path / "run").status() == "complete"


def test_a_refused_training_leaves_no_folder(config, tmp_path):
    wrong = load_config(None, [*["model=none_such_model", "data=digit-pairs"]])
    with pytest.raises(Exception, match="none_such_model"):
        train_run(wrong, tmp_path / "new" / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("best", [[], ["training.checkpoint=best"]])
def test_a_folder_removed_in_mid_run_is_noticed_at_the_next_checkpoint(config, tmp_path, best):
    class Removes(Silent):
        steps = 0

        def step(self, epoch, eps):
            self.steps += 1
            if self.steps == 1:
                shutil.rmtree(tmp_path / "run")

    long, reporter = change_config(config, ["training.epochs=3", *best]), Removes()
    with pytest.raises(RunError, match="run was removed, moved or replaced"):
        train_run(long, tmp_path / "run", reporter=reporter)
    assert reporter.steps == 3, "the first epoch"
    assert list(tmp_path.iterdir()) == [], "nothing is written there again"


def test_a_folder_removed_in_mid_evaluation_is_noticed(config, tmp_path, monkeypatch):
    train_run(config, tmp_path / "run")
    monkeypatch.setattr(Buffer, "SECONDS", 0.0)
    monkeypatch.setattr(Buffer, "FRACTION", 0.0)

    def remove(done, total):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)

    with pytest.raises(RunError, match="out/partial was removed or moved"):
        evaluate_run(
            tmp_path / "run", ("evaluation.batch_size=2",), tmp_path / "out", on_progress=remove
        )
    assert not (tmp_path / "out").exists()


def test_an_interpolation_that_was_killed_is_made_again(config, tmp_path, monkeypatch):
    train_run(config, tmp_path / "run")
    shutil.copytree(tmp_path / "run", tmp_path / "other")
    out = tmp_path / "out"

    def kill(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("rampart.recipes.interpolate.save_model", kill)
        with pytest.raises(KeyboardInterrupt):
            interpolate_runs(tmp_path / "run", tmp_path / "other", out, fractions=[0.5])
    assert (out / "run.json").exists()
    folder, _ = interpolate_runs(tmp_path / "run", tmp_path / "other", out, fractions=[0.5])
    assert folder.status() == "complete"
