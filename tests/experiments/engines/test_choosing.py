"""The engine by its name, and what it needs before anything starts."""

from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from rampart import extras
from rampart.errors import InvalidArgument, MissingExtra
from rampart.experiments.engines import choosing
from rampart.experiments.engines.choosing import Wanted, open_engine
from rampart.experiments.engines.in_process import InProcess
from rampart.experiments.engines.launcher import Launcher
from rampart.experiments.engines.options import RayOptions, RunResources
from rampart.experiments.engines.processes import Processes
from rampart.experiments.ray_session import Resources

OUT = Path("out")


@pytest.fixture
def addresses(monkeypatch):
    """A cluster of two machines; the addresses at which it was asked for."""
    nodes = [
        {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 2.0}},
        {"Alive": True, "Resources": {"CPU": 4.0}},
        {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}},
    ]
    seen = []

    @contextmanager
    def session(address):
        seen.append(address)
        yield SimpleNamespace(nodes=lambda: nodes)

    monkeypatch.setattr(choosing, "ray_session", session)
    monkeypatch.setattr(choosing, "require_ray", lambda purpose: None)
    return seen


@pytest.mark.parametrize(("workers", "kind"), [(None, InProcess), (1, InProcess), (2, Processes)])
def test_processes_by_the_number_of_workers(workers, kind):
    with open_engine("processes", Wanted(workers=workers), OUT) as engine:
        assert isinstance(engine, kind)


def test_several_processes_of_a_run_by_the_number_of_workers(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    two = RunResources(processes=2)
    with open_engine("processes", Wanted(two), OUT) as engine:
        assert engine == InProcess(Launcher(2, gpu=False))
    with open_engine("processes", Wanted(two, workers=3), OUT) as engine:
        assert engine == Processes(3, 2, gpu=False)


@pytest.mark.parametrize(
    ("workers", "wanted", "given"),
    [
        (None, RunResources(cpus=2, gpus=0.5), Resources(2, 0.5, 4)),
        (3, RunResources(cpus=2, gpus=0.5), Resources(2, 0.5, 3)),
        (None, RunResources(), Resources(1, 1, 2)),
        (None, RunResources(cpus=4, gpus=0), Resources(4, 0, 3)),
        (None, RunResources(processes=2), Resources(2, 2, 1)),
        (None, RunResources(processes=2, cpus=4, gpus=0), Resources(4, 0, 3)),
    ],
)
def test_ray_gets_the_resources_of_a_run(addresses, workers, wanted, given):
    ray = RayOptions(address="auto", results="pulled")
    with open_engine("ray", Wanted(wanted, ray, workers=workers), OUT) as one:
        assert (one.resources, one.pulled, one.processes) == (given, True, wanted.processes)
    assert addresses == ["auto"]


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        (RunResources(gpus=3), "resources.gpus"),
        (RunResources(cpus=9), "resources.cpus"),
        (RunResources(processes=3), "resources.gpus"),
        (RunResources(processes=9, gpus=0), "resources.cpus"),
    ],
)
def test_a_run_that_fits_nowhere_is_refused_by_the_key_of_the_file(addresses, wanted, name):
    with (
        pytest.raises(InvalidArgument, match=f"^{name}=.*wait forever"),
        open_engine("ray", Wanted(wanted), OUT),
    ):
        pass


def test_without_ray_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with (
        pytest.raises(MissingExtra, match=r"--engine ray.*rampart-rft\[ray\]"),
        open_engine("ray", Wanted(), OUT),
    ):
        pass


def test_only_slurm_goes_on_after_the_command():
    with (
        pytest.raises(InvalidArgument, match=r"^--detach=--engine processes: .*slurm"),
        open_engine("processes", Wanted(detach=True), OUT),
    ):
        pass
