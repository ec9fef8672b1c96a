import pytest

from rampart.data.id_list import read_ids
from rampart.errors import DataError


def test_blank_lines_spaces_and_a_byte_order_mark_are_no_part_of_an_id(tmp_path):
    file = tmp_path / "ids.txt"
    file.write_bytes("\ufeff a/1.png\r\n\nb/ä 2.png \n".encode())
    assert read_ids(file) == read_ids(str(file)) == ["a/1.png", "b/ä 2.png"]


def test_a_list_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "latin").write_bytes(b"\xe4\n")
    for name in ("latin", "missing", "."):
        with pytest.raises(DataError, match="list of ids .* cannot be read"):
            read_ids(tmp_path / name)
