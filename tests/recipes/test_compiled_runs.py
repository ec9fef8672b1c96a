"""A run whose network is compiled equals one whose network is not."""

import shutil

import pytest
import torch
from safetensors.torch import load_file
from torch._dynamo.backends.registry import lookup_backend

from rampart import compiling
from rampart.errors import InvalidArgument
from rampart.recipes.config.loading import load_config
from rampart.recipes.train import train_run
from rampart.runs.history import History
from rampart.training.reporting import Silent

TIMES = ("seconds", "data_seconds", "images_per_second")


@pytest.fixture
def settings(tiny_settings):
    """Steps with and without an attack, in train mode, and a validation of another batch size."""
    return [*tiny_settings, "schedule=switch", "training.epochs=3", "attack=pgd", "attack.steps=2"]


class CountsPrograms(Silent):
    """How many programs torch has made at the end of each epoch."""

    def __init__(self, backend):
        self.made, self.after = 0, []
        self._backend = backend

    def __call__(self, graph, inputs):
        self.made += 1
        return self._backend(graph, inputs)

    def epoch(self, row):
        self.after.append(self.made)


def result(folder):
    rows = [{k: v for k, v in r.items() if k not in TIMES} for r in History(folder.history).rows()]
    return load_file(folder.model / "model.safetensors"), rows


def test_a_compiled_run_is_the_same_and_compiles_nothing_after_the_first_attack(
    settings, tmp_path, monkeypatch
):
    """The backend runs torch's own kernels, through the graphs that compiled code would use."""
    plain, rows = result(train_run(load_config(None, settings), tmp_path / "plain"))
    torch._dynamo.reset()
    counted = CountsPrograms(lookup_backend("aot_eager"))
    monkeypatch.setattr(compiling, "BACKEND", counted)
    config = load_config(None, [*settings, "training.compile=true"])
    weights, compiled = result(train_run(config, tmp_path / "compiled", reporter=counted))
    assert compiled == rows
    assert all(torch.equal(weights[name], value) for name, value in plain.items())
    # Without an attack: training step, validation, and its attack. Then that of training.
    assert counted.after == [3, 4, 4]


@pytest.mark.slow
def test_compiled_kernels_change_rounding_only(settings, tmp_path):
    """After one attacked step of a whole batch; further steps would amplify the rounding."""
    compiling.require_compiler(torch.device("cpu"), "training.compile")
    torch._dynamo.reset()
    one_step = [*settings, "schedule=fix", "training.epochs=1", "training.batch_size=24"]
    (plain, (row,)), (weights, (other,)) = (
        result(train_run(load_config(None, [*one_step, f"training.compile={on}"]), folder))
        for on, folder in (("false", tmp_path / "plain"), ("true", tmp_path / "compiled"))
    )
    assert other["train_loss"] == pytest.approx(row["train_loss"], rel=1e-4)
    moved = torch.cat([(weights[name] - value).abs().flatten() for name, value in plain.items()])
    assert (moved > 1e-4).double().mean() < 0.01


def test_monitors_and_the_dry_run_call_the_network_itself():
    network = torch.nn.Linear(2, 2)
    compiling.compile_in_place(network)
    assert compiling.is_compiled(network)
    with compiling.eagerly(network):
        assert not compiling.is_compiled(network)
    assert compiling.is_compiled(network)
    assert not compiling.is_compiled(torch.nn.Linear(2, 2))


@pytest.mark.parametrize(("device", "lacks"), [("cpu", "C++ compiler"), ("cuda", "Triton")])
def test_a_machine_without_a_compiler_is_told_what_to_install(device, lacks, monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(compiling, "find_spec", lambda name: None)
    with pytest.raises(InvalidArgument, match=lacks.replace("+", r"\+")) as caught:
        compiling.require_compiler(torch.device(device), "training.compile")
    assert caught.value.name == "training.compile"
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/" + name)
    monkeypatch.setattr(compiling, "find_spec", lambda name: object())
    compiling.require_compiler(torch.device(device), "training.compile")
