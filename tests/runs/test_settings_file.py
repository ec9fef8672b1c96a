import pytest
import yaml

from rampart.errors import RunError
from rampart.runs.settings_file import read_settings, write_settings

SETTINGS = {"seed": 0, "threat": {"eps": "4/255"}, "lr": 1e-05, "none": None, "more": [1.0, True]}


def test_settings_come_back_and_any_yaml_reader_reads_them(tmp_path):
    write_settings(tmp_path / "config.yaml", SETTINGS)
    assert read_settings(tmp_path / "config.yaml") == SETTINGS
    assert set(yaml.safe_load((tmp_path / "config.yaml").read_text())) == set(SETTINGS)


def test_every_flipped_bit_is_refused_or_changes_no_value(tmp_path):
    file = tmp_path / "config.yaml"
    write_settings(file, SETTINGS)
    text, refused = file.read_bytes(), 0
    for place in range(len(text)):
        for bit in (0, 2, 4, 5, 7):
            damaged = bytearray(text)
            damaged[place] ^= 1 << bit
            file.write_bytes(damaged)
            try:
                assert read_settings(file) == SETTINGS, bytes(damaged)
            except RunError:
                refused += 1
    assert refused > 3 * len(text)


def test_every_cut_is_refused(tmp_path):
    file = tmp_path / "config.yaml"
    write_settings(file, SETTINGS)
    text = file.read_bytes()
    for end in range(len(text) - 1):
        file.write_bytes(text[:end])
        with pytest.raises(RunError, match=r"config\.yaml"):
            read_settings(file)


def test_a_changed_setting_is_refused_until_its_checksum_is_deleted(tmp_path):
    file = tmp_path / "config.yaml"
    write_settings(file, SETTINGS)
    text = file.read_text().replace("seed: 0", "seed: 1")
    file.write_text(text)
    with pytest.raises(RunError, match="KEY=VALUE .* delete the first line"):
        read_settings(file)
    file.write_text(text.partition("\n")[2])
    assert read_settings(file)["seed"] == 1
