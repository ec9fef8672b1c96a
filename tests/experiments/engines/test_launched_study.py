"""A real study whose runs are carried out by two processes of accelerate each."""

import signal

import psutil
import pytest
import real_study as study

from rampart.runs.lock import writer_of
from rampart.runs.run_folder import RunFolder

pytestmark = pytest.mark.slow
TWO = ("--processes", "2")


def terminate(process):
    return study.stop(process, signal.SIGTERM)


def kill(process):
    return study.stop(process, signal.SIGKILL)


def test_two_processes_get_what_one_gets_and_one_that_dies_is_replaced(tmp_path, photo_folder):
    methods = ("lives", "dies", "always")
    study.write_study(tmp_path, photo_folder, methods=methods)
    file = tmp_path / "study.yaml"
    # Statistics of BatchNorm would be those of half a batch.
    file.write_text(file.read_text().replace("norm: batch", "norm: group"))
    status, printed = study.run(tmp_path, *TWO)
    assert status == 2, printed
    assert printed.count("it is tried again") == 2
    assert "photos, always, seed 0: in both tries one of its 2 processes died" in printed
    assert printed.count("photos, lives, seed 0: epoch   1/1") == 1, "one process speaks"
    assert "BatchNorm" not in printed
    two = study.curve(tmp_path, "lives")
    assert study.curve(tmp_path, "dies") == two
    # The lock of a process that was killed stays, and holds nobody up.
    assert all("always" in str(lock) for lock in tmp_path.glob("out/**/*.lock"))
    assert all(writer_of(lock.parent) is None for lock in tmp_path.glob("out/**/*.lock"))
    (tmp_path / "out").rename(tmp_path / "by two")
    study.write_study(tmp_path, photo_folder, methods=("lives",))
    file.write_text(file.read_text().replace("norm: batch", "norm: group"))
    status, printed = study.run(tmp_path)
    assert status == 0, printed
    # Training differs by rounding, which decides no image here.
    assert study.curve(tmp_path, "lives") == two


@pytest.mark.parametrize(
    ("more", "end", "status"),
    [((), study.press_ctrl_c, 130), (("--workers", "2"), terminate, 143)],
    ids=["one worker", "two workers"],
)
def test_signals_and_a_killed_study_leave_runs_that_resume(
    tmp_path, photo_folder, more, end, status
):
    study.write_study(tmp_path, photo_folder, epochs=400)
    for stop, expected in ((end, status), (kill, -signal.SIGKILL)):
        (tmp_path / "log.txt").unlink(missing_ok=True)
        process = study.start(tmp_path, *TWO, *more)
        study.wait_for_text(tmp_path, process, "seed 0: epoch ")
        children = psutil.Process(process.pid).children(recursive=True)
        assert sum("engines.launched" in " ".join(one.cmdline()) for one in children) == 3
        assert stop(process) == expected
        _, alive = psutil.wait_procs(children, timeout=120)
        assert alive == []
        assert RunFolder(study.run_folder(tmp_path, "lives")).status() == "interrupted"
    done = study.epochs(tmp_path, "lives")
    assert done == list(range(1, len(done) + 1))
    assert len(done) >= 2
    assert not list(tmp_path.glob("out/runs/photos/lives/*-error.txt"))


def test_a_failed_run_does_not_stop_the_others(tmp_path, photo_folder):
    study.write_study(tmp_path, photo_folder, methods=("lives",))
    file = tmp_path / "study.yaml"
    bad = "  bad: [objective=lives, data.name=gone/]\n"
    file.write_text(file.read_text().replace("methods:\n", f"methods:\n{bad}"))
    status, printed = study.run(tmp_path, *TWO)
    assert status == 2, printed
    (error,) = tmp_path.glob("out/runs/photos/bad/*-error.txt")
    assert "gone" in error.read_text().splitlines()[1]
    assert "Traceback" in error.read_text()
    assert RunFolder(study.run_folder(tmp_path, "lives")).status() == "complete"
