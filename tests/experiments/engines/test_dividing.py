"""Runs of several processes: what is refused before anything starts."""

import pytest
import torch

from rampart.errors import InvalidArgument
from rampart.experiments.engines.choosing import Wanted, open_engine
from rampart.experiments.engines.dividing import require_divisible, require_enough
from rampart.experiments.engines.in_process import InProcess
from rampart.experiments.engines.launcher import Launcher
from rampart.experiments.engines.options import RunResources
from rampart.experiments.engines.processes import Processes


@pytest.mark.parametrize(
    ("resources", "name"),
    [
        (RunResources(processes=2, cpus=1), "resources.cpus=1"),
        (RunResources(processes=2, gpus=0.5), "resources.gpus=0.5"),
        (RunResources(processes=2, gpus=1), "resources.gpus=1"),
        (RunResources(processes=2, gpus=2.5), "resources.gpus=2.5"),
        (RunResources(processes=2, gpus=4), "resources.gpus=4"),
    ],
)
@pytest.mark.parametrize("engine", ["processes", "ray", "slurm"])
def test_every_process_needs_a_cpu_and_a_whole_gpu_or_none(resources, name, engine, tmp_path):
    wanted = Wanted(resources)
    with pytest.raises(InvalidArgument, match=f"^{name}"), open_engine(engine, wanted, tmp_path):
        pass


@pytest.mark.parametrize(
    "resources",
    [
        RunResources(),
        RunResources(gpus=0.5),
        RunResources(processes=2),
        RunResources(processes=2, cpus=4, gpus=2),
        RunResources(processes=2, gpus=0),
    ],
)
def test_enough_is_not_refused(resources):
    require_enough(resources)


def test_the_cpus_of_a_run_are_one_for_each_process():
    assert RunResources().all_cpus == 1
    assert RunResources(processes=3).all_cpus == 3
    assert RunResources(processes=3, cpus=6).all_cpus == 6


def test_processes_have_to_divide_the_batches_of_every_run(some_cells):
    require_divisible(2, some_cells)
    with pytest.raises(InvalidArgument, match=r"^training.batch_size=8: .* 3 x 1"):
        require_divisible(3, some_cells)


@pytest.mark.parametrize(
    ("here", "resources", "workers", "name"),
    [
        (1, RunResources(processes=2), 1, "resources.processes=2"),
        (0, RunResources(processes=2, gpus=2), 1, "resources.gpus=2"),
        (2, RunResources(processes=2), 2, "--workers=2"),
    ],
)
def test_gpus_that_this_machine_lacks_or_that_runs_would_share_are_refused(
    monkeypatch, tmp_path, here, resources, workers, name
):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: here)
    wanted = Wanted(resources, workers=workers)
    with (
        pytest.raises(InvalidArgument, match=f"^{name}"),
        open_engine("processes", wanted, tmp_path),
    ):
        pass


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("name", ["cpus", "gpus"])
def test_a_run_gets_at_most_what_this_machine_has(monkeypatch, tmp_path, name, workers):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr("rampart.experiments.engines.dividing.cpus_here", lambda: 2)
    with open_engine("processes", Wanted(RunResources(**{name: 2}), workers=workers), tmp_path):
        pass
    more = Wanted(RunResources(**{name: 3}), workers=workers)
    with (
        pytest.raises(InvalidArgument, match=f"^resources.{name}=3: .* 2 .*--{name} 2"),
        open_engine("processes", more, tmp_path),
    ):
        pass


@pytest.mark.parametrize(
    ("resources", "workers", "engine"),
    [
        (RunResources(cpus=1), 1, Processes(1, threads=1)),
        (RunResources(cpus=1), 2, Processes(2, threads=1)),
        (RunResources(gpus=0), 1, Processes(1, gpu=False)),
        (RunResources(processes=2, cpus=2, gpus=0), 1, InProcess(Launcher(2, 2, gpu=False))),
        (RunResources(gpus=0.5), 1, InProcess()),
    ],
)
def test_a_run_on_this_machine_has_the_resources_of_the_file(
    monkeypatch, tmp_path, resources, workers, engine
):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr("rampart.experiments.engines.dividing.cpus_here", lambda: 2)
    with open_engine("processes", Wanted(resources, workers=workers), tmp_path) as opened:
        assert opened == engine


@pytest.mark.parametrize(
    ("here", "gpus", "gpu"), [(0, None, False), (2, None, True), (4, 2, True), (2, 0, False)]
)
def test_the_processes_use_gpus_where_there_are_some(monkeypatch, tmp_path, here, gpus, gpu):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: here)
    resources = RunResources(processes=2, gpus=gpus)
    with open_engine("processes", Wanted(resources), tmp_path) as engine:
        assert (engine.run.processes, engine.run.gpu) == (2, gpu)
