"""Ray's tasks: lost workers, the end of Ray, and interrupts."""

import pickle

import pytest
from fake_ray import FakeRay, LocalRayletDiedError, RayTaskError, WorkerCrashedError

from rampart.errors import RunError
from rampart.experiments.engines import ray_tasks
from rampart.experiments.engines.outcome import Outcome
from rampart.experiments.engines.ray_tasks import RayTasks
from rampart.experiments.ray_session import Resources


@pytest.fixture
def ends(monkeypatch):
    """By seed, how the tries of a run end: with an outcome or an error."""
    planned = {}

    def carry_out(run, report):
        seed = pickle.loads(run.pickled).config.seed
        end = planned[seed].pop(0) if planned.get(seed) else Outcome()
        if isinstance(end, BaseException):
            raise end
        return end

    monkeypatch.setattr(ray_tasks, "carry_out", carry_out)
    return planned


def study(cells, ray=None, on_progress=lambda cell, line: None):
    engine = RayTasks(ray or FakeRay(), Resources(2, 0.5, 2))
    return {
        cell.config.seed: failure and failure.reason
        for cell, failure in engine.carry_out(cells, on_progress)
    }


@pytest.mark.parametrize(
    "loss", [WorkerCrashedError("killed"), Outcome(signal_number=15)], ids=["killed", "stopped"]
)
def test_a_lost_run_is_tried_once_more_and_then_reported(some_cells, ends, loss):
    ends |= {0: [loss], 2: [loss, loss, Outcome()]}
    lines = []
    found = study(some_cells, on_progress=lambda cell, line: lines.append((cell, line)))
    assert found.keys() == {0, 1, 2}
    assert (found[0], found[1]) == (None, None)
    assert found[2].startswith(
        "in both tries its worker" if isinstance(loss, Outcome) else "in both tries it lost"
    )
    assert len(ends[2]) == 1
    assert [cell.config.seed for cell, line in lines if "tried again" in line] == [0, 2]
    assert found[2] in some_cells[2].error_file.read_text()


def test_the_resources_of_a_run_are_asked_from_ray_which_does_not_try_again(some_cells, ends):
    ray = FakeRay()
    study(some_cells, ray)
    task, mailbox = ray.options
    assert task == {"num_cpus": 2, "num_gpus": 0.5, "max_retries": 0}
    assert mailbox == {"num_cpus": 0}
    assert ray.most_at_once == 2


def test_the_processes_of_a_run_are_one_task(some_cells, monkeypatch):
    seen = []

    def carry_out(run, report):
        seen.append((run.processes, run.threads, run.gpu))
        return Outcome()

    monkeypatch.setattr(ray_tasks, "carry_out", carry_out)
    ray = FakeRay()
    list(RayTasks(ray, Resources(4, 2, 1), processes=2).carry_out(some_cells[:1], print))
    assert ray.options[0] == {"num_cpus": 4, "num_gpus": 2, "max_retries": 0}
    assert seen == [(2, 4, True)]


def test_an_error_around_a_run_is_its_failure(some_cells, ends):
    ends[1] = [RayTaskError(ModuleNotFoundError("No module named 'rampart'"))]
    assert "rampart" in study(some_cells)[1]


def test_the_end_of_ray_ends_the_study_and_fails_no_run(some_cells, ends):
    ends[0] = [LocalRayletDiedError("died")]
    with pytest.raises(RunError, match="same command"):
        study(some_cells)
    assert not some_cells[0].error_file.exists()


def test_an_interrupt_waits_for_the_checkpoints_of_all_runs(some_cells, ends):
    ray = FakeRay()
    ends[0] = [KeyboardInterrupt(15)]
    with pytest.raises(KeyboardInterrupt):
        study(some_cells, ray)
    # The one that ended and the one beside it were running.
    assert len(ray.cancelled) == 1
    assert ray.waited == ray.cancelled
