"""Ray: which resources a run may ask for, and the advice without the package."""

import sys
from types import SimpleNamespace

import pytest

from rampart import extras
from rampart.errors import InvalidArgument, MissingExtra, RunError
from rampart.experiments.ray_session import Resources, fit_resources, ray_session, require_ray

LAPTOP = [{"CPU": 2.0}]
CLUSTER = [{"CPU": 64.0}, {"CPU": 8.0, "GPU": 4.0}]


@pytest.mark.parametrize(
    ("wanted", "nodes", "cpus", "gpus", "workers"),
    [
        (Resources(), LAPTOP, 1, 0, 2),
        (Resources(cpus=2), LAPTOP, 2, 0, 1),
        (Resources(workers=1), LAPTOP, 1, 0, 1),
        (Resources(workers=9), LAPTOP, 1, 0, 2),
        (Resources(), CLUSTER, 1, 1, 4),
        (Resources(gpus=0.5), CLUSTER, 1, 0.5, 8),
        (Resources(gpus=0.1), CLUSTER, 1, 0.1, 8),
        (Resources(cpus=8, gpus=0), CLUSTER, 8, 0, 9),
    ],
)
def test_as_many_runs_as_fit(wanted, nodes, cpus, gpus, workers):
    assert fit_resources(wanted, nodes) == Resources(cpus, gpus, workers)


@pytest.mark.parametrize(
    ("wanted", "nodes", "name"),
    [
        (Resources(cpus=3), LAPTOP, "--cpus"),
        (Resources(gpus=1), LAPTOP, "--gpus"),
        (Resources(gpus=5), CLUSTER, "--gpus"),
        (Resources(cpus=16), CLUSTER, "--cpus"),
        (Resources(cpus=65, gpus=0), CLUSTER, "--cpus"),
    ],
)
def test_a_run_that_fits_nowhere_is_refused(wanted, nodes, name):
    with pytest.raises(InvalidArgument, match=f"^{name}=.* wait forever"):
        fit_resources(wanted, nodes)


@pytest.mark.parametrize(
    "wrong", [{"cpus": 0}, {"workers": 0}, {"gpus": -1.0}, {"gpus": float("nan")}]
)
def test_impossible_resources_are_refused(wrong):
    with pytest.raises(InvalidArgument, match=f"^--{next(iter(wrong))}="):
        Resources(**wrong)


@pytest.mark.parametrize(
    ("address", "kind", "says"),
    [
        (None, RunError, r"does not start on this machine \(.*timed out.*--engine processes"),
        ("10.0.0.1:6379", InvalidArgument, r"^address=10.0.0.1:6379: .*timed out.*ray start"),
    ],
)
@pytest.mark.parametrize("error", [Exception, ConnectionError, ValueError])
def test_a_ray_that_does_not_start_is_one_sentence(monkeypatch, address, kind, says, error):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    def init(place, **options):
        raise error("the node timed out")

    fake = SimpleNamespace(init=init, shutdown=lambda: ended.append(True))
    ended = []
    monkeypatch.setitem(sys.modules, "ray", fake)
    with pytest.raises(kind, match=says), ray_session(address):
        pass
    assert ended


def test_a_missing_ray_is_answered_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"rampart-rft\[tune\]"):
        require_ray("rampart tune", "tune")
