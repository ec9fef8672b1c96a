"""What `auto` stands for on each device; the devices are pretended."""

from dataclasses import astuple

import pytest
import torch
from tests.recipes.test_recipes_train import StopAfter

from rampart.devices import tf32
from rampart.errors import InvalidArgument
from rampart.recipes import computing as module
from rampart.recipes.build import make_start
from rampart.recipes.computing import Computing, computing, decoding_workers
from rampart.recipes.config.loading import load_config
from rampart.recipes.splits import make_splits
from rampart.recipes.train import train_run
from rampart.runs.run_folder import RunFolder
from rampart.training.interrupts import Interrupted

NEEDED = ("model=a", "data=b")
PLAIN = ("fp32", False, False, False)
MODERN = ("bf16", True, True, True)


@pytest.fixture
def device(monkeypatch):
    def pretend(kind, bf16=False):
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: kind != "cpu")
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device(kind))
        monkeypatch.setattr(module, "has_bf16", lambda: bf16)

    return pretend


def on(*overrides):
    return astuple(computing(load_config(None, [*NEEDED, *overrides])))


@pytest.mark.parametrize(
    ("kind", "bf16", "expected"),
    [
        ("cpu", False, PLAIN),
        ("mps", False, PLAIN),
        ("cuda", True, MODERN),
        ("cuda", False, ("fp32", False, False, True)),
    ],
)
def test_auto_follows_the_device(device, kind, bf16, expected):
    device(kind, bf16)
    assert on() == expected
    assert on("training.device=cpu") == PLAIN


def test_what_is_set_is_used_on_every_device(device):
    other = ["training.channels_last=false", "training.tf32=false", "optimizer.fused=false"]
    device("cuda", bf16=True)
    assert on("training.precision=fp32", *other) == PLAIN
    assert on("training.precision=fp16")[0] == "fp16"
    device("cpu")
    settings = ["training.precision=bf16", *(text.replace("false", "true") for text in other)]
    assert on(*settings) == MODERN
    with pytest.raises(InvalidArgument, match="auto, fp32 or bf16 on a CPU"):
        on("training.precision=fp16")


@pytest.mark.parametrize(
    ("kind", "cores", "setting", "expected"),
    [
        ("cpu", 16, "auto", 0),
        ("cuda", 16, "auto", 8),
        ("cuda", 4, "auto", 3),
        ("cuda", 1, "auto", 0),
        ("cpu", 2, "5", 5),
        ("cuda", 16, "0", 0),
    ],
)
def test_workers_follow_the_cores_of_a_machine_with_a_gpu(
    device, monkeypatch, kind, cores, setting, expected
):
    device(kind)
    monkeypatch.setattr(module, "cores_here", lambda: cores)
    config = load_config(None, [*NEEDED, f"data.workers={setting}"])
    assert decoding_workers(config) == expected
    with pytest.raises(InvalidArgument, match="data.workers"):
        load_config(None, [*NEEDED, "data.workers=-1"])


def test_the_optimizer_and_the_memory_layout_are_those_of_the_device(tiny_settings, monkeypatch):
    config = load_config(None, tiny_settings)
    splits = make_splits(config)
    _, plain = make_start(config, splits)
    assert not plain.defaults["fused"]
    monkeypatch.setattr("rampart.recipes.build.computing", lambda _: Computing(*MODERN))
    model, fused = make_start(config, splits)
    assert fused.defaults["fused"]
    weight = model.backbone.stem.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("allowed", [True, False])
def test_tf32_is_restored(allowed):
    flags = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [one.allow_tf32 for one in flags]
    with tf32(allowed):
        assert [one.allow_tf32 for one in flags] == [allowed] * 2
    assert [one.allow_tf32 for one in flags] == before


def test_a_run_that_resumes_on_another_device_tells_what_changes(
    tiny_settings, tmp_path, monkeypatch
):
    class Notes(StopAfter):
        def note(self, text):
            told.append(text)

    told, config = [], load_config(None, [*tiny_settings, "schedule=fix", "training.epochs=1"])
    with pytest.raises(Interrupted):
        train_run(config, tmp_path / "run", reporter=Notes(1))
    assert RunFolder(tmp_path / "run").facts()["computing"]["precision"] == "fp32"
    bf16 = Computing("bf16", False, False, False)
    for place in ("accelerator", "build", "train"):
        monkeypatch.setattr(f"rampart.recipes.{place}.computing", lambda _: bf16)
    train_run(config, tmp_path / "run", resume=True, reporter=Notes(-1))
    assert [text for text in told if "precision fp32 -> bf16" in text] == told != []
