"""One writer at a time in a folder."""

import itertools
import json
import math
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace

import pytest

from rampart.errors import RunError
from rampart.files import scratch_beside
from rampart.runs import lock
from rampart.runs.lock import GONE, LOCK, only_writer, tidy, writer_of

HOLDS = """
import sys, time
from pathlib import Path
from rampart.runs.lock import only_writer
with only_writer(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    """Another process that writes the folder."""
    command = [sys.executable, "-c", HOLDS, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_the_second_writer_is_refused_and_told_of_the_first(other, tmp_path):
    for _ in range(2):
        says = f"process {other.pid} on "
        with pytest.raises(RunError, match=says) as caught, only_writer(tmp_path / "run"):
            pass
        assert str(caught.value).startswith(str(tmp_path / "run"))
    assert writer_of(tmp_path / "run").process == other.pid
    with only_writer(tmp_path / "another"):
        pass


def test_the_lock_of_a_killed_process_is_taken_over(other, tmp_path):
    other.kill()
    other.wait()
    assert writer_of(tmp_path / "run") is None
    with only_writer(tmp_path / "run"):
        assert writer_of(tmp_path / "run").process == os.getpid()
    assert list((tmp_path / "run").iterdir()) == []


def held_by(folder, **changes):
    """A lock as another process would leave it."""
    folder.mkdir(exist_ok=True)
    own = replace(lock._this_process(), key="other", **changes)
    (folder / LOCK).write_text(json.dumps(asdict(own)))


def test_a_later_process_with_the_same_id_is_another_one(tmp_path):
    held_by(tmp_path / "run")
    with pytest.raises(RunError), only_writer(tmp_path / "run"):
        pass
    held_by(tmp_path / "run", started=time.time() - 1e5)
    with only_writer(tmp_path / "run"):
        pass


def test_on_another_host_the_time_of_the_file_tells(tmp_path):
    held_by(tmp_path / "run", host="node7", process=1)
    with pytest.raises(RunError, match="on node7 .* 10 minutes"), only_writer(tmp_path / "run"):
        pass
    past = time.time() - GONE - 5
    os.utime(tmp_path / "run" / LOCK, (past, past))
    assert writer_of(tmp_path / "run") is None
    with only_writer(tmp_path / "run"):
        pass


def test_a_writer_renews_its_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "RENEWED", 0.01)
    with only_writer(tmp_path / "run"):
        os.utime(tmp_path / "run" / LOCK, (0, 0))
        end = time.monotonic() + 10
        while (tmp_path / "run" / LOCK).stat().st_mtime == 0:
            assert time.monotonic() < end
            time.sleep(0.01)


@pytest.mark.parametrize("links", [True, False])
def test_of_many_that_find_a_stale_lock_one_writes(tmp_path, monkeypatch, links):
    if not links:

        def refuse(*_):
            raise PermissionError(1, "no hard links here")

        monkeypatch.setattr(os, "link", refuse)
    read, calls = lock._read, itertools.count()

    def slow(path):
        # Some processes act on what they read long after the others.
        found = read(path)
        time.sleep(0.05 * (next(calls) % 5))
        return found

    monkeypatch.setattr(lock, "_read", slow)
    held_by(tmp_path / "run", started=1.0)
    writing, most, entered = [], [], threading.Event()
    barrier = threading.Barrier(8)

    def attempt():
        barrier.wait()
        try:
            with only_writer(tmp_path / "run"):
                writing.append(1)
                most.append(len(writing))
                entered.wait(1)
                writing.pop()
        except RunError:
            pass

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}
    assert list((tmp_path / "run").iterdir()) == []


def test_a_slow_process_leaves_the_lock_that_replaced_the_stale_one(tmp_path):
    held_by(tmp_path / "run", started=1.0)
    stale = lock._read(tmp_path / "run" / LOCK)
    with only_writer(tmp_path / "run"):
        inode = (tmp_path / "run" / LOCK).stat().st_ino
        lock._remove_stale(tmp_path / "run" / LOCK, stale)
        assert (tmp_path / "run" / LOCK).stat().st_ino == inode
        with pytest.raises(RunError), only_writer(tmp_path / "run"):
            pass


def test_a_process_killed_while_it_removes_a_stale_lock_is_followed_by_the_next(tmp_path):
    held_by(tmp_path / "run", started=1.0)
    removing = tmp_path / "run" / f".{LOCK}.other.stale"
    removing.write_text((tmp_path / "run" / LOCK).read_text().replace("other", "killed"))
    with only_writer(tmp_path / "run"):
        pass
    assert list((tmp_path / "run").iterdir()) == []


WHOLE = {"host": socket.gethostname(), "process": 7, "started": 1.0, "since": "", "key": "x"}
CHANGED = (
    *({"process": one} for one in (2.5, -7, 0, True, 10**30, "7", None)),
    *({"started": one} for one in (math.inf, math.nan, "1", None)),
    *({"key": one} for one in ("../../x", "", "\0", 5)),
    *({"host": 5}, {"since": []}, {"more": 1}),
)


@pytest.mark.parametrize("text", ["{", "[]", *(json.dumps({**WHOLE, **one}) for one in CHANGED)])
def test_a_damaged_lock_counts_as_stale_after_a_while(tmp_path, text):
    (tmp_path / LOCK).write_text(text)
    with pytest.raises(RunError, match="another process"), only_writer(tmp_path):
        pass
    os.utime(tmp_path / LOCK, (0, 0))
    with only_writer(tmp_path):
        pass


def test_nothing_stays_of_a_writer_that_wrote_nothing(tmp_path):
    with only_writer(tmp_path / "a" / "b"):
        pass
    assert list(tmp_path.iterdir()) == []
    with only_writer(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "file").touch()
    assert [one.name for one in (tmp_path / "a" / "b").iterdir()] == ["file"]


def test_files_of_a_writer_that_was_killed_go_with_the_next_one(tmp_path):
    """It was killed as it made its lock, or as it had removed a stale one."""
    held_by(tmp_path / "run", started=1.0)
    stale = (tmp_path / "run" / LOCK).rename(tmp_path / "run" / f".{LOCK}.gone.stale")
    own = scratch_beside(tmp_path / "run" / LOCK)
    scratch = own.with_name(own.name.replace(f"-{os.getpid()}-", "-999999999-"))
    scratch.touch()
    with only_writer(tmp_path / "run"):
        assert not stale.exists()
        assert not scratch.exists()


def test_a_finished_folder_loses_the_lock_of_a_writer_that_is_gone(tmp_path):
    gone = {"host": socket.gethostname(), "process": os.getpid(), "started": 0.0}
    (tmp_path / LOCK).write_text(json.dumps({**gone, "since": "", "key": "x"}))
    tidy(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with only_writer(tmp_path):
        tidy(tmp_path)
        assert writer_of(tmp_path) is not None


def test_a_writer_notices_that_its_folder_was_removed_or_taken_over(tmp_path):
    with only_writer(tmp_path / "run") as require_held:
        require_held()
        (tmp_path / "run").rename(tmp_path / "moved")
        with pytest.raises(RunError, match="run was removed, moved or replaced"):
            require_held()
        held_by(tmp_path / "run")
        with pytest.raises(RunError, match="run was removed, moved or replaced"):
            require_held()
    assert (tmp_path / "run" / LOCK).exists(), "it is the lock of another"
