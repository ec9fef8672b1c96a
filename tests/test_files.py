import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from rampart import files
from rampart.errors import RunError
from rampart.files import (
    checksum,
    intended_name,
    is_scratch,
    remove,
    replacing,
    replacing_folder,
    require_output_folder,
    scratch_beside,
    write_atomic,
    writing_folder,
)


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o022, 0o027, 0o077], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def write_private(path):
    """Write a file that only its owner may read, as safetensors does."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_a_file_has_the_permissions_of_the_umask_whoever_writes_it(tmp_path, umask):
    with replacing(tmp_path / "file") as scratch:
        write_private(scratch)
    with writing_folder(tmp_path / "folder") as scratch:
        write_private(scratch / "file")
    assert mode(tmp_path / "file") == mode(tmp_path / "folder" / "file") == 0o666 & ~umask
    assert mode(tmp_path / "folder") == 0o777 & ~umask


def fail(context):
    with context as scratch:
        (scratch / "a" if scratch.is_dir() else scratch).write_text("ne")
        raise ValueError("planted")


def test_a_block_that_fails_leaves_the_old_file_and_no_scratch(tmp_path):
    write_atomic(tmp_path / "file", "old")
    for context in (replacing(tmp_path / "file"), writing_folder(tmp_path / "new")):
        with pytest.raises(ValueError, match="planted"):
            fail(context)
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "old"


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomic(path, "old")
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_atomic(path, "new")
    assert path.read_text() == "old"


def test_a_folder_is_never_put_over_another(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine").touch()
    with pytest.raises(RunError, match="cannot write"), writing_folder(tmp_path / "there"):
        pass
    assert names(tmp_path / "there") == ["mine"]
    assert names(tmp_path) == ["there"]


def test_an_error_names_the_path(tmp_path):
    (tmp_path / "file").touch()
    for write in (replacing, writing_folder):
        path = tmp_path / "file" / "below"
        with pytest.raises(RunError, match=f"cannot write {path}"), write(path):
            pass


def test_a_scratch_name_shows_the_final_name(tmp_path):
    program = (
        "import os, pathlib\n"
        "from rampart.files import replacing\n"
        f"with replacing(pathlib.Path({str(tmp_path / 'a.b.json')!r})):\n"
        "    os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9
    (left,) = tmp_path.iterdir()
    assert left.name != "a.b.json"
    assert intended_name(left) == "a.b.json"
    for own in (".hidden", "a.17.tmp", ".a.tmp", "a.b.json"):
        assert intended_name(tmp_path / own) == own


def test_removing(tmp_path):
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "file").touch()
    for name in ("folder", "file", "missing"):
        remove(tmp_path / name)
    assert not names(tmp_path)


def test_a_checksum_is_of_the_content(tmp_path):
    write_atomic(tmp_path / "file", "abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert checksum(tmp_path / "file") == known


def test_no_other_file_implements_atomic_writes():
    source = Path(files.__file__).parent
    own = re.compile(r"mkstemp|NamedTemporaryFile|os\.(replace|rename)|\.rename\(|[\"'{]\.tmp\b")
    assert own.search("os.replace(a, b)")
    assert own.search("tempfile.NamedTemporaryFile()")
    assert own.search('path.with_suffix(".tmp")')
    for file in source.rglob("*.py"):
        if file.name != "files.py":
            assert not own.search(file.read_text(encoding="utf-8")), f"{file}: use rampart.files"


def test_an_output_folder_is_a_folder_that_can_be_written(tmp_path):
    require_output_folder(tmp_path / "new" / "deeper")
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="is a file"):
        require_output_folder(tmp_path / "file")
    with pytest.raises(RunError, match="cannot be written"):
        require_output_folder(tmp_path / "file" / "below")


def left(folder, name, process, host=None):
    """The scratch file of another process."""
    own = scratch_beside(folder / name).name
    words = own.rsplit(".", 2)[1].split("-")
    theirs = "-".join([host or words[0], str(process), *words[2:]])
    path = folder / own.replace("-".join(words), theirs)
    path.write_text("half")
    return path


@pytest.mark.parametrize("write", [replacing, writing_folder, replacing_folder])
def test_the_next_writer_removes_what_killed_ones_have_left(tmp_path, write):
    dead = left(tmp_path, "other.json", 999999999)
    folder = left(tmp_path, "step-2", 999999998)
    folder.unlink()
    folder.mkdir()
    (folder / "model").touch()
    earlier = left(tmp_path, "reused.json", os.getpid())
    words = earlier.name.split("-")
    earlier = earlier.rename(earlier.with_name("-".join([*words[:2], "1000", *words[3:]])))
    mine = left(tmp_path, "mine.json", os.getpid())
    (tmp_path / ".notes.17.tmp").touch()
    (tmp_path / ".cache.tmp").touch()
    with write(tmp_path / "new") as scratch:
        assert not dead.exists()
        assert not folder.exists()
        assert not earlier.exists(), "a later process has the same number"
        assert is_scratch(scratch)
    assert names(tmp_path) == sorted([mine.name, ".notes.17.tmp", ".cache.tmp", "new"])


def test_a_scratch_file_of_another_host_is_left_for_an_hour(tmp_path):
    theirs = left(tmp_path, "file", 1, host="5")
    write_atomic(tmp_path / "file", "")
    assert theirs.exists()
    os.utime(theirs, (0, 0))
    write_atomic(tmp_path / "file", "")
    assert names(tmp_path) == ["file"]
