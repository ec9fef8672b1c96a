import csv
import hashlib
import json
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from made_up_records import IMAGE, METADATA, full, make, same
from pyarrow import parquet
from tests.checked_files import replace_text, sign

from rampart.errors import InvalidArgument, RunError
from rampart.records.storage import load_record, save_record


def test_round_trip(tmp_path):
    record = make()
    save_record(record, tmp_path / "new" / "folder")
    assert same(load_record(tmp_path / "new" / "folder"), record)
    with pytest.raises(RunError, match="holds no adversarial examples"):
        load_record(tmp_path / "new" / "folder", adversarial_examples=True)


def test_adversarial_examples_are_read_on_request_only(tmp_path):
    record = full()
    save_record(record, tmp_path)
    assert same(load_record(tmp_path), replace(record, adversarial_examples=None))
    assert same(load_record(tmp_path, adversarial_examples=True), record)


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.floats(1e-6, 0.16), max_size=6),
    ids=st.lists(TEXT, min_size=1, max_size=6, unique=True),
    seed=st.integers(0, 999),
    group=st.integers(1, 300),
    data=st.data(),
)
def test_round_trip_of_any_record(tmp_path_factory, steps, ids, seed, group, data):
    rng = np.random.default_rng(seed)
    grid = np.concatenate([[0.0], np.cumsum(steps)])
    critical = rng.integers(0, len(grid) + 1, len(ids))
    found = (critical > 0) & (critical < len(grid))
    columns = {
        "distance": np.where(found, np.append(grid, 0)[critical], np.nan),
        "found_by": full(critical, grid=grid, distance=None).found_by,
        "forwards": rng.integers(0, 2**60, len(ids)),
        "backwards": rng.integers(0, 9, len(ids)),
        "pruned": rng.integers(0, 9, len(ids)),
        "rechecked": rng.random(len(ids)) < 0.5,
        "attacked_predictions": full(critical, grid=grid, distance=None).attacked_predictions,
        "adversarial_examples": rng.random((found.sum(), 2, 3, 1), dtype=np.float32),
    }
    chosen = data.draw(st.sets(st.sampled_from(sorted(columns))))
    columns = {name: values for name, values in columns.items() if name in chosen}
    record, folder = make(critical, grid=grid, ids=tuple(ids), **columns), None
    folder = tmp_path_factory.mktemp("record")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rampart.records.columnar.GROUP_BYTES", group)
        save_record(record, folder)
    assert same(load_record(folder, adversarial_examples="adversarial_examples" in chosen), record)


def test_files_are_readable_without_rampart(tmp_path):
    record = full()
    save_record(record, tmp_path)
    names = {"record.json", "samples.parquet", "curve.csv", "summary.json"}
    assert {p.name for p in tmp_path.iterdir()} == names
    rows = parquet.read_table(tmp_path / "samples.parquet").to_pydict()
    header = json.loads((tmp_path / "record.json").read_text("utf-8"))
    assert list(rows) == list(header["columns"])
    assert all(set(column) == {"type", "meaning"} for column in header["columns"].values())
    assert rows["id"] == list(record.ids)
    assert rows["critical_index"] == [0, 1, 3, 5, 5]
    assert rows["critical_eps"] == [0.0, 1 / 255, 3 / 255, None, None]
    assert rows["distance"] == [None, 0.5 / 255, pytest.approx(2.5 / 255), None, None]
    assert rows["found_by"] == ["clean", "apgd-t/1", "apgd-t/3", None, None]
    assert [image is None for image in rows["adversarial_example"]] == [
        True,
        False,
        False,
        True,
        True,
    ]
    image = np.frombuffer(rows["adversarial_example"][2], "<f4").reshape(
        header["adversarial_shape"]
    )
    assert np.array_equal(image, np.full((3, 2, 4), np.float32(0.02)))
    with (tmp_path / "curve.csv").open(newline="") as file:
        curve = list(csv.DictReader(file))
    assert [float(row["accuracy"]) for row in curve] == [0.8, 0.6, 0.6, 0.4, 0.4]
    assert (header["format"], header["version"], header["n"]) == ("rampart-evaluation", 3, 5)
    assert header["metadata"] == METADATA
    digest = hashlib.sha256((tmp_path / "samples.parquet").read_bytes()).hexdigest()
    assert header["samples_sha256"] == digest


def test_needs_no_torch():
    code = "import sys, rampart.records.storage; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_refuses_metadata_that_json_cannot_represent(tmp_path):
    with pytest.raises(InvalidArgument, match="metadata"):
        save_record(make(metadata={"seconds": float("nan")}), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("record.json", "rampart-evaluation", "other", "not the record of an evaluation"),
        ("record.json", '"version": 3', '"version": 1', "version 1 of the format"),
        ("record.json", '"norm"', '"nrm"', "lacks norm"),
        ("record.json", '"n": 5', '"n": 6', "5 rows, not 6"),
        ("record.json", f"{1 / 255!r}", "0.0039", "inconsistent: .*critical_eps"),
        ("record.json", "[", "[1,", "inconsistent: .*grid="),
    ],
)
def test_refuses_damaged_files(tmp_path, file, old, new, message):
    save_record(make(), tmp_path)
    replace_text(tmp_path / file, old, new)
    with pytest.raises(RunError, match=message):
        load_record(tmp_path)


def resigned(folder, **changes):
    """Change entries of record.json, and its checksum to that of the samples that lie there."""
    header = json.loads((folder / "record.json").read_text("utf-8"))
    digest = hashlib.sha256((folder / "samples.parquet").read_bytes()).hexdigest()
    header |= {"samples_sha256": digest, **changes}
    (folder / "record.json").write_text(json.dumps(header), "utf-8")
    sign(folder / "record.json")


@settings(max_examples=60, deadline=None)
@example(position=2927, bit=1)  # A row group that claims fewer rows than the file has.
@given(position=st.integers(0), bit=st.integers(0, 7))
def test_a_changed_bit_is_found(tmp_path_factory, position, bit):
    folder = tmp_path_factory.mktemp("record")
    save_record(full(), folder)
    content = bytearray((folder / "samples.parquet").read_bytes())
    content[position % len(content)] ^= 1 << bit
    (folder / "samples.parquet").write_bytes(content)
    with pytest.raises(RunError, match=r"samples\.parquet .* checksum"):
        load_record(folder, adversarial_examples=True)
    resigned(folder)
    # Even under a checksum of its own a damaged file is refused or means the same.
    try:
        found = load_record(folder, adversarial_examples=True)
    except RunError:
        return
    assert same(found, full())


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("critical_index", [0, 1, 2, 5, 5], "distance="),
        ("critical_eps", [0.0, 1 / 255, 2 / 255, None, None], "critical_eps"),
        ("critical_index", [0, 1, 9, 5, 5], r"0\.\.5"),
        ("critical_index", [0, 1, None, 5, 5], "integers or booleans"),
        ("critical_index", [0.0, 1.0, 3.0, 5.0, 5.0], "critical_index should be int64"),
        ("prediction", [0, 1, 2, 0, 1], "critical="),
        ("id", ["a", "a", "b", "c", "d"], "twice"),
        ("id", ["a", None, "b", "c", "d"], "has no id"),
        ("distance", [None, 0.9, 0.01, None, None], "distance=0.9"),
        ("distance", [None, 0.001, 0.001, None, None], "distance=0.001 for a,b/2.png"),
        ("distance", [None, None, None, None, 0.01], "distance=0.01"),
        ("found_by", ["clean", "clean", "a", None, None], "found_by=clean"),
        ("found_by", ["clean", "a", "b", "c", None], "found_by=c"),
        ("forwards", [1, 2, -3, 4, 5], "forwards=-3"),
        ("rechecked", [1, 0, 0, 0, 0], "rechecked should be bool"),
        ("adversarial_example", [None] * 5, "fixed_size_binary"),
        (
            "adversarial_example",
            pa.array([IMAGE, None, IMAGE, None, None], pa.binary(96)),
            "other rows",
        ),
        ("adversarial_example", pa.array([None] * 5, pa.binary(96)), "adversarial_examples=0"),
    ],
)
def test_a_forged_table_is_refused(tmp_path, column, values, message):
    save_record(full(), tmp_path)
    table = parquet.read_table(tmp_path / "samples.parquet")
    place = table.column_names.index(column)
    forged = table.set_column(place, column, values if isinstance(values, pa.Array) else [values])
    parquet.write_table(forged, tmp_path / "samples.parquet")
    resigned(tmp_path)
    with pytest.raises(RunError, match=message):
        load_record(tmp_path, adversarial_examples=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grid": [0, 0.1, 0.2, 0.3, 0.4]}, "distance="),
        ({"grid": [0, 1 / 255, 2 / 255, 2.9 / 255, 4 / 255]}, "critical_eps"),
        ({"grid": {"a": 1}}, "grid is"),
        ({"grid": [0, "x"]}, "inconsistent"),
        ({"grid": [0, [1]]}, "inconsistent"),
        ({"grid": [0, 1, 2, 3, float("nan")]}, "finite"),
        ({"n": 10**30}, "5 rows, not"),
        ({"n": "5"}, "n is '5'"),
        ({"norm": ["linf"]}, "norm="),
        ({"metadata": []}, "metadata is"),
        ({"metadata": {"top_k": "many"}}, "top_k=many"),
        ({"metadata": {"confidence": [1]}}, "confidence="),
        ({"columns": {"id": {}}}, "lacks the columns critical_eps, critical_index"),
        ({"adversarial_shape": [3, 2, 3]}, "fixed_size_binary"),
        ({"adversarial_shape": [3, -2, -4]}, "adversarial_shape is"),
        ({"adversarial_shape": [10**30, 1, 1]}, "fixed_size_binary"),
        ({"adversarial_shape": None}, "adversarial_shape is None"),
        ({"samples_sha256": 0}, "checksum"),
    ],
)
def test_a_forged_header_is_refused(tmp_path, changes, message):
    save_record(full(), tmp_path)
    resigned(tmp_path, **changes)
    with pytest.raises(RunError, match=message):
        load_record(tmp_path, adversarial_examples=True)


def test_unknown_columns_are_refused(tmp_path):
    save_record(full(), tmp_path)
    replace_text(tmp_path / "record.json", '"distance": {', '"extra": {')
    with pytest.raises(RunError, match="unknown columns: extra"):
        load_record(tmp_path)


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff\xfe", b"", b'{"n": ' + b"9" * 5000])
def test_invalid_json_in_the_header_is_refused(tmp_path, content):
    save_record(make(), tmp_path)
    (tmp_path / "record.json").write_bytes(content)
    with pytest.raises(RunError, match="record.json is damaged"):
        load_record(tmp_path)


def test_nothing_is_ever_unpickled(tmp_path):
    """A pickle in the place of the table, signed."""

    class Bomb:
        def __reduce__(self):
            return pytest.fail, ("unpickled",)

    save_record(make(), tmp_path)
    (tmp_path / "samples.parquet").write_bytes(pickle.dumps(Bomb()))
    resigned(tmp_path)
    with pytest.raises(RunError, match=r"samples\.parquet is damaged"):
        load_record(tmp_path)


@pytest.mark.parametrize(
    ("file", "message"),
    [("samples.parquet", "samples.parquet is missing"), ("record.json", "no finished evaluation")],
)
def test_refuses_a_folder_with_a_file_missing(tmp_path, file, message):
    save_record(make(), tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(RunError, match=message):
        load_record(tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        save_record(make(), tmp_path / "file" / "record")


def test_a_file_in_place_of_the_folder_is_answered_with_the_folder(tmp_path):
    save_record(make(), tmp_path / "one")
    with pytest.raises(RunError, match="is a file: give its folder, .*one"):
        load_record(tmp_path / "one" / "record.json")
    (tmp_path / "run.yaml").touch()
    with pytest.raises(RunError, match="is a file: give the folder"):
        load_record(tmp_path / "run.yaml")
