"""The fuzz can fail: it recognizes every fault that it looks for."""

import json
import os
import signal
import time
from random import Random

import pytest
from benchmarks.fuzzing import copies, in_turn
from benchmarks.fuzzing.attempts import Outcome
from benchmarks.fuzzing.damage import damage

from rampart.errors import RunError

REFUSED = "rampart: the folder holds no run: check the path.\n"


@pytest.mark.parametrize(
    ("status", "out", "err", "fault"),
    [
        (0, "clean: 33.3 %\n", "rampart: warning: one image is left out\n", ""),
        (2, "", REFUSED, ""),
        (2, "", "usage\n", "not one sentence"),
        (2, "", 2 * REFUSED, "not one sentence"),
        (1, "", "Traceback (most recent call last):\n  ...\nValueError\n", "traceback"),
        (-signal.SIGSEGV, "", "", "traceback"),
        (None, "", "", "hang"),
        (-signal.SIGXCPU, "", "", "hang"),
        (0, "class \x1b[31mred\n", "", "control character"),
    ],
)
def test_fault_of_an_outcome(status, out, err, fault):
    assert Outcome(status, out, err, 0.1).fault == fault


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(copies, "attempt", lambda words, place: Outcome(0, "33 %", "", 0.1))
    folder = tmp_path / "template" / "run"
    (folder / "checkpoints" / "step-1").mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"status": "complete", "epochs": 3}) + "\n")
    (folder / "checkpoints" / "step-1" / "state.json").write_text("{}\n")
    return folder


def _cases(folder, tmp_path, reader, count=60):
    files = [file.relative_to(folder) for file in folder.rglob("*.json")]
    kind = copies.damaged_copies(folder, files, reader)["run/run.json"]
    for number in range(count):
        place = tmp_path / str(number)
        place.mkdir()
        yield kind(Random(number), place), place


def test_names_of_kinds_leave_out_the_names_of_checkpoints(folder):
    files = [file.relative_to(folder) for file in folder.rglob("*.json")]
    kinds = copies.damaged_copies(folder, files, copies.refusing(folder, "verify", "run"))
    assert set(kinds) == {"run/run.json", "run/checkpoints/state.json"}


def test_damage_changes_bytes_of_one_file_of_the_copy(folder, tmp_path):
    before = (folder / "run.json").read_bytes()
    for _, place in _cases(folder, tmp_path, copies.refusing(folder, "verify", "run")):
        assert (place / "run" / "run.json").read_bytes() != before
        assert (place / "run" / "checkpoints" / "step-1" / "state.json").read_text() == "{}\n"
    assert (folder / "run.json").read_bytes() == before


def test_a_check_has_to_refuse_what_changes_a_value(folder, tmp_path):
    before = json.loads((folder / "run.json").read_text())
    seen = set()
    for case, place in _cases(folder, tmp_path, copies.refusing(folder, "verify", "run"), 200):
        try:
            same = json.loads((place / "run" / "run.json").read_bytes()) == before
        except ValueError:
            same = False
        assert case.is_right(Outcome(0, "", "", 0.1)) == same
        seen.add(same)
    # A lost line break at the end changes no value.
    assert seen == {True, False}


def test_a_reader_has_to_find_the_same_as_without_damage(folder, tmp_path):
    reader = copies.agreeing(folder, copies.printed, "report", "run")
    ((case, _),) = _cases(folder, tmp_path, reader, 1)
    assert case.words == ["report", "run"]
    assert case.is_right(Outcome(0, "33 %", "", 0.1))
    assert not case.is_right(Outcome(0, "34 %", "", 0.1))


def test_results_that_are_damaged_are_not_the_same(folder, tmp_path):
    def find(place, outcome):
        if place.is_relative_to(folder.parent):
            return 1
        raise RunError("the history is damaged: restore it.")

    ((case, _),) = _cases(folder, tmp_path, copies.agreeing(folder, find, "train", "run"), 1)
    assert not case.is_right(Outcome(0, "", "", 0.1))


def test_a_command_that_fails_without_damage_is_no_reader(folder, monkeypatch):
    monkeypatch.setattr(copies, "attempt", lambda words, place: Outcome(2, "", REFUSED, 0.1))
    with pytest.raises(SystemExit, match="report run failed without damage"):
        copies.without_promise(folder, "report", "run")


@pytest.mark.parametrize("content", [b"", b"a", bytes(100), b"abc" * 50])
def test_damage_always_changes_a_file(tmp_path, content):
    file = tmp_path / "file"
    for seed in range(40):
        file.write_bytes(content)
        damage(Random(seed), file)
        assert file.read_bytes() != content


def _act(words, folder, out, err):
    """Stands for a command: writes its process, and dies or lingers if its words say so."""
    left = int("LEFT" in os.environ)
    os.environ["LEFT"] = "behind"
    out.write_text(f"{os.getpid()}\n")
    err.write_text("")
    if words == ["die"]:
        os.kill(os.getpid(), signal.SIGKILL)
    if words == ["linger"]:
        time.sleep(60)
    return 2 if words == ["\udce9"] else left


def test_commands_in_turn_share_a_process_until_it_dies(tmp_path, monkeypatch):
    monkeypatch.setattr(in_turn, "call", _act)
    monkeypatch.setattr(in_turn, "ROUNDS", 3)
    turns = in_turn.InTurn()
    found = [
        turns.attempt([word], tmp_path, limit=1 / in_turn.PATIENCE if word == "linger" else 20)
        for word in ("a", "\udce9", "c", "d", "die", "e", "linger", "f")
    ]
    assert turns.close() == 0
    assert [one.status for one in found] == [0, 2, 0, 0, -signal.SIGKILL, 0, None, 0]
    processes = [one.out for one in found]
    # Three rounds; two until one dies; two until one is killed; the last.
    assert [processes.index(one) for one in processes] == [0, 0, 0, 3, 3, 5, 5, 7]
