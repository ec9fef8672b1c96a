"""`rampart study run`: lines of progress, failed runs at the end, and resuming after a signal."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml


@pytest.fixture
def study(tmp_path, tiny_settings):
    tree = {
        "base": {"model": "none", "data": "none"},
        "seeds": [0],
        "axes": {
            "task": {"photos": [*tiny_settings, "training.epochs=1", "evaluation.checks=false"]}
        },
        "methods": {"bad": ["training.batch_size=64"], "fix": ["schedule=fix"]},
    }
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def test_failed_runs_are_listed_and_the_status_says_so(rampart, study, tmp_path):
    out = tmp_path / "out"
    for _ in range(2):
        result = rampart("study", "run", study, "-o", out)
        assert result.status == 2
        assert "Traceback" not in result.out + result.err
        assert result.err.startswith("rampart: 1 run failed")
        assert result.err.count("\n") == 1
        _, failed = result.out.split("\nfailed:\n")
        assert failed.startswith("  photos, bad, seed 0: training.batch_size=64")
        (file,) = (out / "runs" / "photos" / "bad").glob("seed-0-*-error.txt")
        assert str(file) in failed
        assert "- photos, bad, seed 0" in (out / "study.md").read_text()
    # The second time the finished run is skipped.
    assert "photos, fix, seed 0: epoch" not in result.out


def test_the_folder_of_a_study_names_the_command_that_compares_its_runs(
    rampart, refused, study, tmp_path
):
    out = tmp_path / "out"
    rampart("study", "run", study, "-o", out)
    said = refused("further down", "compare", out, "-o", tmp_path / "comparison").err
    assert f"the table of the study is {out / 'study.md'}" in said
    pattern = said.split("`rampart compare ")[1].split("`")[0]
    assert pattern == f"{out}/runs/photos/*"
    # The other method failed before its run began.
    assert (
        rampart("compare", out / "runs" / "photos" / "fix", "-o", tmp_path / "comparison").status
        == 0
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--processes", "3"), "training.batch_size=64"),
        (("--processes", "2", "--gpus", "1"), "resources.gpus=1"),
        (("--processes", "2", "--cpus", "1"), "resources.cpus=1"),
    ],
)
def test_a_run_that_cannot_be_divided_is_refused_before_anything_starts(
    refused, study, tmp_path, options, says
):
    refused(says, "study", "run", study, "-o", tmp_path / "out", *options)
    assert not (tmp_path / "out" / "runs").exists()


def test_progress_is_plain_lines(rampart, study, tmp_path):
    lines = rampart("study", "run", study, "-o", tmp_path / "out").out.splitlines()
    shown = [line for line in lines if line.startswith("photos, fix, seed 0: ")]
    assert [line.split(": ")[1].split()[0] for line in shown] == ["training", "epoch", "evaluation"]
    assert any(line.startswith("   2/2  photos, fix, seed 0 (test): clean ") for line in lines)


def test_status_table_and_figures_need_the_folder_only(rampart, refused, study, tmp_path):
    out = tmp_path / "out"
    (tmp_path / "empty").mkdir()
    refused("holds no study.yaml", "study", "status", tmp_path / "empty")
    before = rampart("study", "status", study, "-o", out).out
    assert before.startswith("0 done, 0 running, 0 failed, 0 interrupted, 2 missing")
    refused("nothing to draw", "study", "figures", study, "-o", out)
    rampart("study", "run", study, "-o", out)
    study.unlink()
    said = rampart("study", "status", out).out
    assert said.startswith("1 done, 0 running, 1 failed, 0 interrupted, 0 missing")
    assert "  photos, bad, seed 0: training.batch_size=64" in said
    found = json.loads(rampart("study", "status", out, "--json").out)
    assert [run["state"] for run in found["runs"]] == ["failed", "done"]
    assert found["counts"]["missing"] == 0
    (out / "study.md").unlink()
    (out / "study.png").unlink()
    assert "\nfailed (the next `rampart study run` tries again" in said
    for verb, shown in (("table", "| bad (0 of 1 runs) |"), ("figures", "study.png")):
        result = rampart("study", verb, out)
        assert result.status == 0
        assert shown in result.out
        assert "1 run of the study not finished: `rampart study status`" in result.out
    assert (out / "study.png").stat().st_size > 0


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_checkpoints_and_prints_how_to_resume(study, tmp_path, workers, number):
    """A signal to the study also reaches the runs in their own processes."""
    tree = yaml.safe_load(study.read_text())
    long = ["training.epochs=100000"]
    tree["methods"] = {"fix": ["schedule=fix", *long], "linear": ["schedule=linear", *long]}
    study.write_text(yaml.safe_dump(tree))
    command = [sys.executable, "-m", "rampart", "study", "run", study, "-o", tmp_path / "out"]
    command += ["--workers", workers]
    with subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that starts a job in the background has it ignore SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        begun = set()
        while len(begun) < workers:
            line = process.stdout.readline()
            if "epoch" in line:
                begun.add(line.split(",")[1])
        time.sleep(0.5)
        os.kill(process.pid, number)
        _, error = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert error.splitlines()[-1].startswith("rampart: stopped; run the same command")
    assert "Traceback" not in error
    assert "--resume" not in error
    states = (tmp_path / "out").glob("runs/*/*/*/run.json")
    assert ['"interrupted"' in state.read_text() for state in states] == [True] * workers
    assert len(list((tmp_path / "out").glob("runs/*/*/*/checkpoints/*"))) == workers
