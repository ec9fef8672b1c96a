"""Plain values from YAML text: what is read, what is refused, and that writing is its inverse."""

import os

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from rampart.errors import InvalidArgument, RunError
from rampart.plain import (
    NotPlain,
    read_file,
    read_json,
    read_plain,
    read_value,
    read_written,
    write_plain,
)

SCALARS = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text() | st.floats()
PLAIN = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("5", 5), ("010", 10), ("0x10", 16), ("1e-3", 0.001), ("-.5", -0.5), ("true", True)),
        *(("yes", "yes"), ("no", "no"), ("4/255", "4/255"), ("2024-13-45", "2024-13-45")),
        *(("2024-01-05", "2024-01-05"), ("1:30", "1:30"), ("1_000", "1_000"), ("", None)),
        *(("a: b: c", "a: b: c"), ("*.png", "*.png"), ("@home", "@home"), ("C:\\x", "C:\\x")),
        *(("{1: 2}", {"1": 2}), ("{true: 2}", {"true": 2}), ("[a, [b]]", ["a", ["b"]])),
    ],
)
def test_text_is_read_as_in_yaml_1_2(text, value):
    assert read_value("key", text) == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("9" * 5000, "5,000 digits"),
        (str(2**63), "64 bits"),
        ("!!bool maybe", "tag"),
        ("!!python/object:os.system x", "tag"),
        ("!!binary aaaa", "bytes"),
        ("[" * 2000, "levels deep"),
        ("[" * 50 + "]" * 50, "levels deep"),
        ("&a [*a]", "levels deep"),
        ("{a: {b: 1, b: 2}}", "'b' occurs twice"),
        ("{1: a, '1': b}", "'1' occurs twice"),
        ("{[1]: 2}", "a name is a list"),
        ("[1,", "line 1"),
        ("\udce9", "UTF-8"),
    ],
)
def test_what_is_not_plain_is_refused_by_the_key(text, says):
    with pytest.raises(InvalidArgument, match=says) as caught:
        read_value("key", text)
    assert caught.value.name == "key"
    assert len(str(caught.value)) < 400


def test_an_expanding_text_is_refused():
    levels = ["&l0 [1, 1]"] + [f"&l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 9)]
    with pytest.raises(NotPlain, match="100,000 parts"):
        read_plain(f"[{', '.join(levels)}]")


@given(PLAIN)
def test_writing_is_the_inverse_of_reading(value):
    text = write_plain({"value": value})
    # As text, because nan differs from itself.
    assert repr(read_plain(text)) == repr({"value": value})


@given(PLAIN)
def test_what_is_written_is_read_fast_to_the_same_value(value):
    text = write_plain({"value": value})
    # A file holds no NUL.
    assume("\\0" not in text)
    assert repr(read_written(text)) == repr(read_plain(text))


@pytest.mark.parametrize("text", ["1e-3", "yes", "010", "0o7", "2024-01-01", "null", "1:30", "<<"])
def test_others_read_what_is_written(text):
    assert yaml.safe_load(write_plain({"value": text})) == {"value": text}


def test_a_key_twice_in_a_file_is_refused(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("training:\n  epochs: 3\n  batch_size: 8\n  epochs: 5\n")
    with pytest.raises(RunError, match=r"run.yaml.*'epochs' occurs twice \(line 4\)"):
        read_file(path, "configuration")
    path.write_text("base: &base {epochs: 3}\ntraining: {<<: *base, epochs: 5}\n")
    assert read_file(path, "configuration")["training"] == {"epochs": 5}
    with pytest.raises(RunError, match="is a folder"):
        read_file(tmp_path, "configuration")


@pytest.mark.parametrize("text", ['"a\\0b"', '"\\ud800"', '{"a\\0": 1}', '[["\\ud8ff"]]'])
def test_text_that_no_file_can_hold_is_refused(text):
    with pytest.raises(NotPlain, match="text holds"):
        read_plain(text, nul=False)


@pytest.mark.parametrize(
    "content",
    [b"[" * 100_000, b"\xff\xfe", b'"\\ud800"', b"[" * 50 + b"]" * 50, b"9" * 5000, b"", b"{"],
)
def test_json_that_is_not_plain_is_a_value_error(content, tmp_path):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ValueError, match="."):
        read_json(tmp_path / "x.json")


@pytest.mark.parametrize("read", [read_json, lambda path: read_file(path, "configuration")])
def test_a_pipe_is_not_waited_for(read, tmp_path):
    os.mkfifo(tmp_path / "x")
    with pytest.raises((OSError, RunError), match="pipe"):
        read(tmp_path / "x")


def test_a_file_that_is_read_again_gives_a_value_of_its_own(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("a: {b: [1, 2]}\n")
    read_file(file, "file")["a"]["b"].append(3)
    assert read_file(file, "file") == {"a": {"b": [1, 2]}}
    file.write_text("a: {b: [1, 2, 4]}\n")
    assert read_file(file, "file") == {"a": {"b": [1, 2, 4]}}


def test_a_setting_that_is_read_again_gives_a_value_of_its_own():
    read_value("evaluation.strengths", "[1, 2]").append(3)
    assert read_value("evaluation.strengths", "[1, 2]") == [1, 2]
