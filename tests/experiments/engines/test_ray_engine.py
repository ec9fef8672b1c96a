"""A real Ray on this machine with two workers: what is killed half-way, and what is left."""

import signal
from importlib.util import find_spec

import psutil
import pytest
import real_study as study

from rampart.runs.run_folder import RunFolder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
]
RAY = ("--engine", "ray", "--cpus", "1")


def test_workers_that_die_lose_nothing_and_run_nothing_twice(tmp_path, photo_folder):
    study.write_study(tmp_path, photo_folder, methods=("lives", "dies", "always"))
    status, printed = study.run(tmp_path, *RAY, "--workers", "2")
    assert status == 2, printed
    assert study.starts(tmp_path) == {"lives": 1, "dies": 2, "always": 2}
    assert printed.count("it is tried again") == 2
    assert "photos, always, seed 0: in both tries it lost its worker" in printed
    assert study.epochs(tmp_path, "dies") == study.epochs(tmp_path, "lives") == [1]
    # The engine changes no result, nor does a second try.
    assert study.curve(tmp_path, "dies") == study.curve(tmp_path, "lives")
    (tmp_path / "out").rename(tmp_path / "by ray")
    study.write_study(tmp_path, photo_folder, methods=("lives",))
    status, printed = study.run(tmp_path)
    assert status == 0, printed
    by_ray = next((tmp_path / "by ray").glob("runs/photos/lives/*/evaluations/*/curve.csv"))
    assert by_ray.read_text() == study.curve(tmp_path, "lives")


def test_results_are_pulled_back_when_they_are_complete(tmp_path, photo_folder):
    study.write_study(tmp_path, photo_folder, methods=("dies",), ray={"results": "pulled"})
    status, printed = study.run(tmp_path, *RAY)
    assert status == 0, printed
    assert RunFolder(study.run_folder(tmp_path, "dies")).status() == "complete"
    assert study.starts(tmp_path) == {"dies": 2}
    assert study.curve(tmp_path, "dies")


def test_signals_and_a_killed_study_leave_runs_that_resume(tmp_path, photo_folder):
    study.write_study(tmp_path, photo_folder, epochs=60)
    for at, end, status in (
        (" 3/60", study.press_ctrl_c, 130),
        ("17/60", lambda process: study.stop(process, signal.SIGTERM), 143),
        ("31/60", lambda process: study.stop(process, signal.SIGKILL), -signal.SIGKILL),
    ):
        process = study.start(tmp_path, *RAY)
        study.wait_for_text(tmp_path, process, f"epoch  {at}")
        children = psutil.Process(process.pid).children(recursive=True)
        assert end(process) == status
        # Ray ends with the command that has started it; its agents take minutes after a kill.
        assert psutil.wait_procs(children, timeout=300)[1] == []
        if status > 0:
            assert RunFolder(study.run_folder(tmp_path, "lives")).status() == "interrupted"
    status, printed = study.run(tmp_path, *RAY)
    assert status == 0, printed
    assert study.epochs(tmp_path, "lives") == list(range(1, 61))


def test_the_end_of_ray_leaves_finished_runs_and_the_others_resume(tmp_path, photo_folder):
    study.write_study(tmp_path, photo_folder, epochs=40, seeds=[0, 1, 2])
    process = study.start(tmp_path, *RAY, "--workers", "1")
    study.wait_for_text(tmp_path, process, "   1/3  photos")
    study.wait_for_text(tmp_path, process, "seed 1: epoch  ")
    children = psutil.Process(process.pid).children(recursive=True)
    for child in [one for one in children if one.name() in ("raylet", "gcs_server")]:
        child.kill()
    assert process.wait(timeout=200) != 0
    status, printed = study.run(tmp_path, *RAY)
    assert status == 0, printed
    # The finished run is not started again.
    assert "seed 0: epoch" not in printed
    for file in (tmp_path / "out").glob("runs/photos/lives/*/history.jsonl"):
        assert len(file.read_text().splitlines()) == 40


def test_a_run_that_fits_nowhere_is_refused_at_once(tmp_path, photo_folder):
    study.write_study(tmp_path, photo_folder, resources={"cpus": 1000})
    status, printed = study.run(tmp_path, "--engine", "ray")
    assert status == 2
    assert "resources.cpus=1000" in printed
    assert "forever" in printed
    assert not (tmp_path / "starts").exists()
