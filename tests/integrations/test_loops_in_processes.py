"""Every loop on two processes gets the results of one process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("lightning.pytorch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The results of `in_processes.py`, by number of processes."""
    found = {}
    for count in (1, 2):
        place = tmp_path_factory.mktemp("processes") / "result.pt"
        launch = [sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={count}"]
        program = Path(__file__).with_name("in_processes.py")
        done = subprocess.run(
            [*launch, "--standalone", program, place],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr
        found[count] = torch.load(place)
    return found


@pytest.mark.parametrize("loop", ["plain", "lightning", "trainer"])
def test_two_processes_equal_one(results, loop):
    (one,), (first, second) = results[1][loop], results[2][loop]
    assert one["strengths"] == first["strengths"] == second["strengths"]
    # A gradient with another rounding may flip the sign of a pixel, and so a step.
    assert (one["moved"] - first["moved"]).norm() < 0.1 * one["moved"].norm()
    torch.testing.assert_close(first["moved"], second["moved"])


def test_eps_waits_for_the_images_of_all_processes(results):
    (one,) = results[1]["plain"]
    moving = [eps for eps in one["strengths"] if 0 < eps < 8 / 255]
    assert len(set(moving)) < len(moving)


def test_processes_agree_on_the_accuracy_for_auto(results):
    first, second = results[2]["lightning-auto"]
    assert first["strengths"] == second["strengths"]
    assert first["strengths"][-1] > 0


def test_the_buffers_of_batch_norm_do_not_change_between_two_passes(results):
    first, second = results[2]["trainer-batch-norm"]
    assert first["strengths"] == second["strengths"]
    assert first["strengths"][-1] == pytest.approx(8 / 255)
    torch.testing.assert_close(first["moved"], second["moved"])
