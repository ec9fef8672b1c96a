"""Processes that die, and a study that is killed."""

import signal

import psutil
import pytest
import real_study as study

from rampart.runs.run_folder import RunFolder

pytestmark = pytest.mark.slow


def test_a_process_that_dies_loses_nothing_and_runs_nothing_twice(tmp_path, photo_folder):
    study.write_study(tmp_path, photo_folder, methods=("lives", "dies", "always"))
    status, printed = study.run(tmp_path, "--workers", "2")
    assert status == 2, printed
    assert study.starts(tmp_path) == {"lives": 1, "dies": 2, "always": 2}
    assert printed.count("it is tried again") == 2
    assert "photos, always, seed 0: in both tries its process ended with SIGKILL" in printed
    assert study.curve(tmp_path, "dies") == study.curve(tmp_path, "lives")


@pytest.mark.parametrize("more", [(), ("--workers", "2")], ids=["one worker", "two workers"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_the_study_saves_every_run(tmp_path, photo_folder, more, number):
    study.write_study(tmp_path, photo_folder, epochs=300)
    process = study.start(tmp_path, *more)
    study.wait_for_text(tmp_path, process, "lives, seed 0: epoch   3")
    children = psutil.Process(process.pid).children(recursive=True)
    assert study.stop(process, number) == 128 + number
    assert psutil.wait_procs(children, timeout=60)[1] == []
    assert RunFolder(study.run_folder(tmp_path, "lives")).status() == "interrupted"
    assert "run the same command again to resume" in (tmp_path / "log.txt").read_text()


def test_processes_end_with_a_killed_study_and_their_runs_resume(tmp_path, photo_folder):
    study.write_study(tmp_path, photo_folder, epochs=300, methods=("lives", "dies"))
    process = study.start(tmp_path, "--workers", "2")
    for method in ("lives", "dies"):
        study.wait_for_text(tmp_path, process, f"{method}, seed 0: epoch   3")
    workers = psutil.Process(process.pid).children(recursive=True)
    study.stop(process, signal.SIGKILL)
    gone, alive = psutil.wait_procs(workers, timeout=60)
    assert (len(gone) >= 2, alive) == (True, [])
    for method in ("lives", "dies"):
        assert RunFolder(study.run_folder(tmp_path, method)).status() == "interrupted"
        assert not list(study.run_folder(tmp_path, method).parent.glob("*-error.txt"))
    (tmp_path / "log.txt").unlink()
    process = study.start(tmp_path, "--workers", "2")
    study.wait_for_text(tmp_path, process, "lives, seed 0: epoch")
    assert study.press_ctrl_c(process) == 130
    assert "seed 0: epoch   1/" not in (tmp_path / "log.txt").read_text()
    done = study.epochs(tmp_path, "lives")
    assert done == list(range(1, len(done) + 1))
