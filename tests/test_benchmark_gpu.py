"""The benchmark of GPUs works from end to end, on small networks without a GPU."""

import json
import sys

import pytest
import torch
from benchmarks import gpu

CPU = torch.device("cpu")


@pytest.fixture
def command(monkeypatch, tmp_path):
    output = tmp_path / "gpu.json"

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["gpu", "-o", str(output), *arguments])
        gpu.main()
        return json.loads(output.read_text()) if output.exists() else None

    return run


def test_without_a_gpu_it_says_so_in_one_line(command, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert command() is None
    assert capsys.readouterr().out.startswith("no GPU: nothing is measured")


def test_every_kind_of_work_is_measured_and_written(command, monkeypatch):
    monkeypatch.setattr(gpu, "MODES", {"fp32": ("fp32", False)})
    monkeypatch.setattr(
        gpu, "measure", lambda names, *_: gpu.measure_network(names[0], CPU, tiny=True)
    )
    found = command("--device", "cpu", "--tiny", "--networks", "test_vit")
    assert [row["work"] for row in found["rows"]] == ["attack", "training", "evaluation"]
    assert all(row["images_per_second"] > 0 and row["batch"] == 4 for row in found["rows"])
    assert (found["device"], found["steps"]) == ("cpu", gpu.STEPS)


def test_a_batch_that_does_not_fit_is_halved(monkeypatch):
    """Down to the size that fits; the rows name it."""

    def refuse(training, batch):
        if len(batch) > 1:
            raise torch.OutOfMemoryError("planted")
        return {"attack": lambda: None}

    monkeypatch.setattr(gpu, "MODES", {"fp32": ("fp32", False)})
    monkeypatch.setattr(gpu, "works", refuse)
    (row,) = gpu.measure_network("test_vit", CPU, tiny=True)
    assert row["batch"] == 1


def test_a_network_is_stopped_when_the_time_is_over():
    (row,) = gpu.measure(["test_vit"], 0.0, ["--device", "cpu", "--tiny"])
    assert row == {"network": "test_vit", "stopped": "the time was over"}


@pytest.mark.slow
def test_all_modes_from_end_to_end(command):
    found = command("--device", "cpu", "--tiny", "--networks", "test_vit")
    assert {row["mode"] for row in found["rows"]} == set(gpu.MODES)
