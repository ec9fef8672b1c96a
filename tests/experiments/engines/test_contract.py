"""What every engine promises, with runs that take no time."""

import pytest
from fake_ray import FakeRay

from rampart.experiments.cells import FailedRun
from rampart.experiments.engines import in_process, ray_tasks
from rampart.experiments.engines.in_process import InProcess
from rampart.experiments.engines.outcome import Outcome
from rampart.experiments.engines.ray_tasks import RayTasks
from rampart.experiments.ray_session import Resources

ENGINES = {"in process": InProcess, "Ray": lambda: RayTasks(FakeRay(), Resources(1, 0, 2))}


@pytest.fixture
def carried_out(monkeypatch):
    """Seeds of the runs that were carried out; the second fails, and "stop" interrupts."""
    import pickle

    seen = []

    def attempt(cell, report, carry_out):
        seen.append(cell.config.seed)
        report("a line")
        if cell.method == "stop":
            raise KeyboardInterrupt(15)
        return FailedRun(cell, "planted") if cell.config.seed == 1 else None

    def carry_out(run, report):
        failure = attempt(pickle.loads(run.pickled), report, None)
        return Outcome(failure.reason if failure else "")

    monkeypatch.setattr(in_process, "attempt", attempt)
    monkeypatch.setattr(ray_tasks, "carry_out", carry_out)
    return seen


@pytest.mark.parametrize("name", ENGINES)
def test_every_run_is_carried_out_and_yielded_once(some_cells, carried_out, name):
    lines = []
    engine = ENGINES[name]()
    ended = list(engine.carry_out(some_cells, lambda cell, line: lines.append((cell, line))))
    assert sorted(carried_out) == [0, 1, 2]
    assert [cell for cell, _ in ended] == some_cells
    assert [failure and failure.reason for _, failure in ended] == [None, "planted", None]
    assert lines == [(cell, "a line") for cell in some_cells]


@pytest.mark.parametrize("name", ENGINES)
def test_nothing_to_do_starts_nothing(name):
    assert list(ENGINES[name]().carry_out([], print)) == []


@pytest.mark.parametrize("name", ENGINES)
def test_an_interrupt_passes(some_cells, carried_out, name):
    def stop(cell, line):
        raise KeyboardInterrupt(15)

    with pytest.raises(KeyboardInterrupt) as interrupt:
        list(ENGINES[name]().carry_out(some_cells, stop))
    assert interrupt.value.args == (15,)
    assert carried_out == [0]
