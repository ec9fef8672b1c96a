import json

import pytest

from rampart.checksums import (
    KEY,
    LISTING,
    list_checksums,
    parse_checked,
    read_checked,
    require_unchanged,
    with_checksum,
    without_checksum,
)
from rampart.errors import RunError

CONTENT = {"a": 1, "b": [0.1, {"c": None}], "d": "é\ud800", 3: (True, float("inf"))}
PLAIN = {"a": 1, "b": [0.1, {"c": None}], "d": "é\ud800", "3": [True, float("inf")]}


def test_content_comes_back_without_its_checksum():
    text = json.dumps(with_checksum(CONTENT))
    assert parse_checked(text) == PLAIN
    assert without_checksum(PLAIN) == PLAIN
    assert parse_checked("[1]") == [1]


def test_spaces_and_the_order_of_keys_do_not_count_and_values_do():
    signed = json.loads(json.dumps(with_checksum(CONTENT)))
    assert parse_checked(json.dumps(signed, indent=3, sort_keys=True)) == PLAIN
    for key in PLAIN:
        for value in (2, "1", None, 1.0, True, signed[KEY]):
            with pytest.raises(ValueError, match="checksum"):
                parse_checked(json.dumps({**signed, key: value}))


def test_every_flipped_bit_is_refused_or_changes_no_value():
    text = json.dumps(with_checksum({"a": 1, "status": "complete"}), indent=1).encode()
    refused = 0
    for place in range(len(text)):
        for bit in range(8):
            damaged = bytearray(text)
            damaged[place] ^= 1 << bit
            try:
                assert parse_checked(bytes(damaged)) == {"a": 1, "status": "complete"}
            except ValueError:
                refused += 1
    assert refused > 0.95 * 8 * len(text)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"9" * 5000])
def test_damage_is_told_with_the_file_and_what_to_do(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(RunError, match=r"x\.json is damaged or was changed .*: buy a new one\."):
        read_checked(tmp_path / "x.json", "buy a new one")


def test_files_beside_a_listing_must_match_it(tmp_path):
    for name in ("one.bin", "two.bin", "other.bin"):
        (tmp_path / name).write_bytes(name.encode())
    require_unchanged(tmp_path, "restore it")
    (tmp_path / LISTING).write_text(list_checksums(tmp_path, ("one.bin", "two.bin")))
    require_unchanged(tmp_path, "restore it")
    (tmp_path / "other.bin").write_bytes(b"new")
    require_unchanged(tmp_path / "other.bin", "restore it")
    (tmp_path / "one.bin").write_bytes(b"new")
    for path in (tmp_path, tmp_path / "one.bin"):
        with pytest.raises(RunError, match=r"one\.bin does not match .*checksums\.json.*restore"):
            require_unchanged(path, "restore it")
    require_unchanged(tmp_path / "two.bin", "restore it")
    (tmp_path / "one.bin").unlink()
    with pytest.raises(RunError, match=r"one\.bin is missing"):
        require_unchanged(tmp_path, "restore it")


def test_a_file_of_other_software_with_the_name_of_a_listing_is_left_alone(tmp_path):
    (tmp_path / LISTING).write_text('{"one.bin": {"md5": "0"}, "two.bin": "0"}')
    (tmp_path / "one.bin").touch()
    require_unchanged(tmp_path / "one.bin", "restore it")
