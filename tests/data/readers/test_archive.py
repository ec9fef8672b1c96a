"""A tar that was cut off or damaged is refused; none of its images goes missing."""

import os
import random
import tarfile

import pytest

from rampart.data.readers.archive import members_of
from rampart.data.readers.tree import read_tree
from rampart.errors import DataError


@pytest.fixture(params=[tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def tar(request, tmp_path):
    """A tar of ten files in two folders, one with a long name."""
    for number in range(10):
        name = f"{'long' * 24 if number == 4 else 'a'}/{number}.png"
        file = tmp_path / "photos" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes([number]) * 700)
    path = tmp_path / "photos.tar"
    with tarfile.open(path, "w", format=request.param) as archive:
        archive.add(tmp_path / "photos", "photos")
    return path


def names(path):
    return [(one.name, one.size) for one in members_of(path)]


def headers(path):
    return [one.offset for one in members_of(path)]


def test_a_whole_tar_has_all_members(tar):
    assert sum(name.endswith(".png") for name, _ in names(tar)) == 10


def test_a_tar_cut_anywhere_is_refused(tar):
    content, end = tar.read_bytes(), members_of(tar)[-1]
    need = end.offset_data + 1024 + 1024
    cuts = random.Random(0).sample(range(513, need), 40)
    for cut in [*cuts, *headers(tar)[1:], need - 1]:
        tar.write_bytes(content[:cut])
        with pytest.raises(DataError, match=r"photos.tar' is cut off or damaged .*copy it again"):
            members_of(tar)
    tar.write_bytes(content[:need])
    assert len(members_of(tar)) == 13


def test_a_flipped_bit_of_any_header_is_refused(tar):
    content, draw = tar.read_bytes(), random.Random(0)
    for header in headers(tar):
        for bit in draw.sample(range(8 * 512), 6):
            damaged = bytearray(content)
            damaged[header + bit // 8] ^= 1 << bit % 8
            tar.write_bytes(damaged)
            # The first one may hide that the file is a tar.
            with pytest.raises(DataError, match="cut off or damaged|an uncompressed tar"):
                read_tree(tar)


def test_blocks_of_zeros_in_the_middle_are_not_the_end(tar):
    content = bytearray(tar.read_bytes())
    third = headers(tar)[3]
    for blocks in (1, 2, 3):
        content[third : third + 512 * blocks] = bytes(512 * blocks)
        tar.write_bytes(content)
        with pytest.raises(DataError, match="cut off or damaged"):
            members_of(tar)


def test_tars_one_after_another_in_a_file_are_refused(tar):
    tar.write_bytes(tar.read_bytes() * 2)
    with pytest.raises(DataError, match="bytes behind its end"):
        members_of(tar)


@pytest.mark.parametrize("size", [-512, -1024, 2**62])
def test_a_size_that_leads_outside_is_refused(tmp_path, size):
    first, member = tarfile.TarInfo("a.png"), tarfile.TarInfo("b.png")
    member.size = size
    blocks = [one.tobuf(tarfile.GNU_FORMAT) for one in (first, member)]
    (tmp_path / "x.tar").write_bytes(b"".join(blocks) + bytes(2048))
    with pytest.raises(DataError, match="cut off or damaged"):
        members_of(tmp_path / "x.tar")


def test_what_is_not_a_file_in_a_tar_is_counted(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to("elsewhere")
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name in ("pipe.png", "link.png"):
            archive.add(tmp_path / name, name)
    assert read_tree(tmp_path / "x.tar").all_left_out() == (
        "pipes, sockets or devices 1, links in the tar 1"
    )


def test_pipes_sockets_and_devices_in_a_folder_are_counted(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "endless.png").symlink_to("/dev/zero")
    (tmp_path / "photo.png").touch()
    tree = read_tree(tmp_path)
    assert list(tree.images) == ["photo.png"]
    assert tree.all_left_out() == "pipes, sockets or devices 2"
    for path in (tmp_path / "pipe.png", tmp_path / "endless.png"):
        with pytest.raises(DataError, match="is a pipe, a socket or a device"):
            read_tree(path)
