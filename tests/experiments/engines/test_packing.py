import os

import pytest

from rampart.errors import RunError
from rampart.experiments.engines.packing import pack, unpack
from rampart.runs.lock import only_writer


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    (folder / "model").mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    (folder / "model" / "weights").write_bytes(bytes(range(256)))
    (folder / "empty").mkdir()
    return folder


def content(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def test_a_folder_arrives_as_it_was_without_locks(run, tmp_path):
    before = content(run)
    with only_writer(run):
        packed = pack(run)
    unpack(packed, tmp_path / "far" / "run")
    assert content(tmp_path / "far" / "run") == before


def test_it_replaces_an_unfinished_run(run, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "history.jsonl").write_text("old")
    unpack(pack(run), other)
    assert content(other) == content(run)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "run"]


def test_a_damaged_package_and_a_folder_in_use_change_nothing(run, tmp_path):
    packed, before = pack(run), content(run)
    with only_writer(run), pytest.raises(RunError, match=f"process {os.getpid()}"):
        unpack(packed, run)
    with pytest.raises(RunError, match="cannot write"):
        unpack(b"damaged", run)
    assert content(run) == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
