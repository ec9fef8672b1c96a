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
from pyarrow import parquet

from rampart.errors import InvalidArgument, RunError
from rampart.metrics.comparison import mean_interval, proportion_interval
from rampart.metrics.curve import accuracy_curve
from rampart.metrics.expectation import PointMass, contributions
from rampart.records.pairing import paired
from rampart.records.record import EvaluationRecord
from rampart.records.storage import load_record, save_record
from rampart.records.summary import summary

GRID = np.arange(5) / 255
IMAGE = bytes(4 * 3 * 2 * 4)
METADATA = {
    "attack": {"name": "apgd", "steps": 10},
    "split": "test",
    "seed": 3,
    "model": "größe",
    "seconds": 0.1,
}


def make(critical=(0, 1, 3, 5, 5), **changes) -> EvaluationRecord:
    critical = np.array(critical)
    labels = np.arange(len(critical)) % 3
    values = {
        "norm": "linf",
        "grid": GRID,
        "ids": tuple(f"a,b/{i}.png" for i in range(len(critical))),
        "labels": labels,
        "predictions": np.where(critical == 0, labels + 1, labels),
        "critical": critical,
        "metadata": METADATA,
    }
    return EvaluationRecord(**{**values, **changes})


def full(critical=(0, 1, 3, 5, 5), **changes) -> EvaluationRecord:
    """A record with every column; sample i's witness is filled with i / 100."""
    critical = np.array(critical)
    last = len(changes.get("grid", GRID))
    found = (critical > 0) & (critical < last)
    names = {0: "clean", last: None}
    images = np.flatnonzero(found)[:, None, None, None] / 100
    values = {
        "reach": np.where(found, (np.append(GRID, 0)[np.minimum(critical, 5)]) - 0.5 / 255, np.nan),
        "broken_by": tuple(names.get(j, f"apgd-t/{j}") for j in critical.tolist()),
        "forwards": np.arange(len(critical)) + 7,
        "backwards": np.arange(len(critical)),
        "pruned": np.full(len(critical), 2),
        "audited": critical > 2,
        "witnesses": np.broadcast_to(images, (found.sum(), 3, 2, 4)).astype(np.float32),
    }
    return make(critical, **{**values, **changes})


ARRAYS = ("grid", "labels", "predictions", "critical", "reach", "forwards", "backwards")
MORE_ARRAYS = ("pruned", "audited", "witnesses")


def same(a: EvaluationRecord, b: EvaluationRecord) -> bool:
    for name in (*ARRAYS, *MORE_ARRAYS):
        one, other = getattr(a, name), getattr(b, name)
        if (one is None) != (other is None):
            return False
        if one is not None and one.dtype != other.dtype:
            return False
        if one is not None and not np.array_equal(one, other, equal_nan=one.dtype.kind == "f"):
            return False
    plain = [(r.norm, r.ids, r.metadata, r.broken_by) for r in (a, b)]
    return plain[0] == plain[1]


def test_round_trip(tmp_path):
    record = make()
    save_record(record, tmp_path / "new" / "folder")
    assert same(load_record(tmp_path / "new" / "folder"), record)
    with pytest.raises(RunError, match="holds no witnesses"):
        load_record(tmp_path / "new" / "folder", witnesses=True)


def test_witnesses_are_read_on_request_only(tmp_path):
    record = full()
    save_record(record, tmp_path)
    assert same(load_record(tmp_path), replace(record, witnesses=None))
    assert same(load_record(tmp_path, witnesses=True), record)


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.floats(1e-6, 1.0), max_size=6),
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
        "reach": np.where(found, np.append(grid, 0)[critical], np.nan),
        "broken_by": full(critical, grid=grid, reach=None).broken_by,
        "forwards": rng.integers(0, 2**60, len(ids)),
        "backwards": rng.integers(0, 9, len(ids)),
        "pruned": rng.integers(0, 9, len(ids)),
        "audited": rng.random(len(ids)) < 0.5,
        "witnesses": rng.random((found.sum(), 2, 3, 1), dtype=np.float32),
    }
    kept = data.draw(st.sets(st.sampled_from(sorted(columns))))
    columns = {name: values for name, values in columns.items() if name in kept}
    record, folder = make(critical, grid=grid, ids=tuple(ids), **columns), None
    folder = tmp_path_factory.mktemp("record")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rampart.records.columnar.GROUP_BYTES", group)
        save_record(record, folder)
    assert same(load_record(folder, witnesses="witnesses" in kept), record)


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
    assert rows["reach"] == [None, 0.5 / 255, pytest.approx(2.5 / 255), None, None]
    assert rows["broken_by"] == ["clean", "apgd-t/1", "apgd-t/3", None, None]
    assert [image is None for image in rows["witness"]] == [True, False, False, True, True]
    image = np.frombuffer(rows["witness"][2], "<f4").reshape(header["witness_shape"])
    assert np.array_equal(image, np.full((3, 2, 4), np.float32(0.02)))
    with (tmp_path / "curve.csv").open(newline="") as file:
        curve = list(csv.DictReader(file))
    assert [float(row["accuracy"]) for row in curve] == [0.8, 0.6, 0.6, 0.4, 0.4]
    assert (header["format"], header["version"], header["n"]) == ("rampart-evaluation", 2, 5)
    assert header["metadata"] == METADATA
    digest = hashlib.sha256((tmp_path / "samples.parquet").read_bytes()).hexdigest()
    assert header["samples_sha256"] == digest


def test_needs_no_torch():
    code = "import sys, rampart.records.storage; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_summary_holds_the_contract(tmp_path):
    record = make()
    found = summary(record)
    c = contributions(record.critical, GRID)
    interval, ends = mean_interval(c), proportion_interval(2, 5)
    assert (found["n"], found["eps"], found["norm"]) == (5, 4 / 255, "linf")
    assert (found["split"], found["attack"], found["seed"]) == ("test", "apgd", 3)
    assert (found["clean"], found["adversarial"], found["expected"]) == (0.8, 0.4, c.mean())
    assert (found["expected_low"], found["expected_high"]) == (interval.low, interval.high)
    assert (found["adversarial_low"], found["adversarial_high"]) == (ends.low, ends.high)
    assert found["level"] == 0.95
    # Sample 1 breaks in the first cell, sample 2 in the third; two survive.
    assert found["expected_bounds"] == {"low": pytest.approx(0.5), "high": pytest.approx(0.6)}
    worst = {"label": 0, "n": 2, "expected": 0.5}
    assert {key: found["worst_class"][key] for key in worst} == worst
    assert [point["eps"] for point in found["curve"]] == GRID.tolist()
    assert [p["accuracy"] for p in found["curve"]] == accuracy_curve(record.critical, 4).tolist()
    save_record(record, tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text()) == found


def test_the_level_comes_from_the_metadata():
    narrow, wide = summary(make(metadata={"level": 0.5})), summary(make(metadata={"level": 0.99}))
    assert (narrow["level"], wide["level"]) == (0.5, 0.99)
    assert wide["expected_low"] < narrow["expected_low"]


def test_one_sample_and_one_strength_still_give_a_summary():
    found = summary(make([1], grid=[0.0]))
    assert (found["clean"], found["adversarial"], found["expected"]) == (1, 1, 1)
    assert found["expected_low"] < 0.3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": ("a",)}, "ids="),
        ({"ids": ("a", "a", "b", "c", "d")}, "twice"),
        ({"ids": ("\udcff", "a", "b", "c", "d")}, "no text"),
        ({"labels": np.zeros(4, dtype=int)}, "labels="),
        ({"labels": np.zeros(5)}, "labels=float64"),
        ({"predictions": np.arange(5) % 3}, "0 exactly where"),
        ({"critical": [0, 1, 3, 5, 6]}, r"0\.\.5"),
        ({"grid": [0.1, 0.2, 0.3, 0.4, 0.5]}, "starts with 0"),
        ({"norm": "l3"}, "norm=l3"),
    ],
)
def test_refuses_contradictory_arrays(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)


def test_refuses_metadata_that_json_cannot_hold(tmp_path):
    with pytest.raises(InvalidArgument, match="metadata"):
        save_record(make(metadata={"seconds": float("nan")}), tmp_path)
    assert not list(tmp_path.iterdir())


def edit(path, old, new):
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("record.json", "{", "", "damaged"),
        ("record.json", "rampart-evaluation", "other", "not the record of an evaluation"),
        ("record.json", '"version": 2', '"version": 1', "version 1 of the format"),
        ("record.json", '"norm"', '"nrm"', "lacks norm"),
        ("record.json", '"n": 5', '"n": 6', "5 rows, not 6"),
        ("record.json", f"{1 / 255!r}", "0.0039", "no consistent record.*critical_eps"),
        ("record.json", "[", "[1,", "no consistent record.*starts with 0"),
    ],
)
def test_refuses_damaged_files(tmp_path, file, old, new, message):
    save_record(make(), tmp_path)
    edit(tmp_path / file, old, new)
    with pytest.raises(RunError, match=message):
        load_record(tmp_path)


def resigned(folder, **changes):
    """Change entries of record.json, and its checksum to that of the samples that lie there."""
    header = json.loads((folder / "record.json").read_text("utf-8"))
    digest = hashlib.sha256((folder / "samples.parquet").read_bytes()).hexdigest()
    header |= {"samples_sha256": digest, **changes}
    (folder / "record.json").write_text(json.dumps(header), "utf-8")


@settings(max_examples=60, deadline=None)
@example(position=2927, bit=1)  # A group that says it has fewer rows than the file.
@given(position=st.integers(0), bit=st.integers(0, 7))
def test_a_changed_bit_is_found(tmp_path_factory, position, bit):
    folder = tmp_path_factory.mktemp("record")
    save_record(full(), folder)
    content = bytearray((folder / "samples.parquet").read_bytes())
    content[position % len(content)] ^= 1 << bit
    (folder / "samples.parquet").write_bytes(content)
    with pytest.raises(RunError, match="not the file that record.json was written for"):
        load_record(folder, witnesses=True)
    resigned(folder)
    # Even under a checksum of its own a damaged file is refused or means the same.
    try:
        found = load_record(folder, witnesses=True)
    except RunError:
        return
    assert same(found, full())


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("critical_index", [0, 1, 2, 5, 5], "reach="),
        ("critical_eps", [0.0, 1 / 255, 2 / 255, None, None], "critical_eps"),
        ("critical_index", [0, 1, 9, 5, 5], r"0\.\.5"),
        ("critical_index", [0, 1, None, 5, 5], "null among whole numbers"),
        ("critical_index", [0.0, 1.0, 3.0, 5.0, 5.0], "has double for critical_index"),
        ("prediction", [0, 1, 2, 0, 1], "0 exactly where"),
        ("id", ["a", "a", "b", "c", "d"], "twice"),
        ("id", ["a", None, "b", "c", "d"], "without a name"),
        ("reach", [None, 0.9, 0.01, None, None], "reach=0.9"),
        ("reach", [None, 0.001, 0.001, None, None], "reach=0.001 for a,b/2.png"),
        ("reach", [None, None, 0.01, None, None], "reach=nan"),
        ("broken_by", ["clean", "clean", "a", None, None], "broken_by=clean"),
        ("broken_by", ["clean", "a", "b", "c", None], "broken_by=c"),
        ("forwards", [1, 2, -3, 4, 5], "forwards=-3"),
        ("audited", [1, 0, 0, 0, 0], "has int64 for audited"),
        ("witness", [None] * 5, "fixed_size_binary"),
        ("witness", pa.array([IMAGE, None, IMAGE, None, None], pa.binary(96)), "other rows"),
        ("witness", pa.array([None] * 5, pa.binary(96)), "witnesses=0"),
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
        load_record(tmp_path, witnesses=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grid": [0, 0.1, 0.2, 0.3, 0.4]}, "reach="),
        ({"grid": [0, 1 / 255, 2 / 255, 2.9 / 255, 4 / 255]}, "critical_eps"),
        ({"grid": {"a": 1}}, "grid is"),
        ({"grid": [0, "x"]}, "no consistent record"),
        ({"grid": [0, [1]]}, "no consistent record"),
        ({"grid": [0, 1, 2, 3, float("nan")]}, "finite"),
        ({"n": 10**30}, "5 rows, not"),
        ({"n": "5"}, "n is '5'"),
        ({"norm": ["linf"]}, "norm="),
        ({"metadata": []}, "metadata is"),
        ({"metadata": {"top": "many"}}, "top=many"),
        ({"metadata": {"level": [1]}}, "level="),
        ({"columns": {"id": {}}}, "lacks the columns critical_eps, critical_index"),
        ({"witness_shape": [3, 2, 3]}, "fixed_size_binary"),
        ({"witness_shape": [3, -2, -4]}, "witness_shape is"),
        ({"witness_shape": [10**30, 1, 1]}, "fixed_size_binary"),
        ({"witness_shape": None}, "witness_shape is None"),
        ({"samples_sha256": 0}, "not the file"),
    ],
)
def test_a_forged_header_is_refused(tmp_path, changes, message):
    save_record(full(), tmp_path)
    resigned(tmp_path, **changes)
    with pytest.raises(RunError, match=message):
        load_record(tmp_path, witnesses=True)


def test_columns_that_are_not_known_are_refused(tmp_path):
    save_record(full(), tmp_path)
    edit(tmp_path / "record.json", '"reach": {', '"extra": {')
    with pytest.raises(RunError, match="columns that are not known: extra"):
        load_record(tmp_path)


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff\xfe", b"", b'{"n": ' + b"9" * 5000])
def test_a_header_that_is_no_json_is_refused(tmp_path, content):
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
    with pytest.raises(RunError, match="damaged or no Parquet"):
        load_record(tmp_path)


def test_top_k_lets_a_sample_survive_without_being_first(tmp_path):
    labels, critical = np.array([0, 0, 0]), np.array([0, 5, 2])
    values = {"labels": labels, "predictions": np.array([1, 1, 0]), "metadata": {"top": 2}}
    record = make(critical, **values)
    save_record(record, tmp_path)
    assert load_record(tmp_path).top == 2
    assert summary(record)["top"] == 2
    assert summary(record)["clean"] == pytest.approx(2 / 3)
    with pytest.raises(InvalidArgument, match="0 exactly where"):
        make(critical, **{**values, "metadata": {}})
    with pytest.raises(InvalidArgument, match="critical=0"):
        make(critical, **{**values, "predictions": labels})


def test_summary_tells_what_broke_the_samples_and_what_it_cost():
    by = ("clean", "apgd-ce", "apgd-t/2", "apgd-t", "apgd-t/10", None)
    metadata = {
        "tier": "standard",
        "mode": "fast",
        "seconds": 1.5,
        "audit": {"n": 3, "differ": 0},
        "trust": [{"check": "mode", "ok": True}],
    }
    record = make(
        (0, 1, 2, 3, 4, 5), broken_by=by, forwards=range(6), backwards=[2] * 6, metadata=metadata
    )
    found = summary(record)
    assert found["broken_by"] == {"apgd-t": 3, "apgd-ce": 1, "clean": 1}
    assert (found["forwards"], found["backwards"]) == (15, 12)
    assert {key: found[key] for key in metadata} == metadata
    # Passes of the whole evaluation, the checks' included, where they are known.
    assert summary(replace(record, metadata={"forwards": 99}))["forwards"] == 99
    bare = summary(make())
    assert (bare["broken_by"], bare["forwards"], bare["tier"]) == (None, None, None)
    assert "audit" not in bare


@pytest.mark.parametrize("file", ["samples.parquet", "record.json"])
def test_refuses_a_folder_with_a_file_missing(tmp_path, file):
    save_record(make(), tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(RunError, match="missing"):
        load_record(tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        save_record(make(), tmp_path / "file" / "record")


def test_paired_with_itself_is_exactly_zero():
    test = paired(make(), make())
    assert (test.difference, test.low, test.high) == (0, 0, 0)


def test_paired_matches_samples_by_id():
    first, order = make(), [3, 0, 4, 2, 1]
    shuffled = make(
        first.critical[order],
        ids=tuple(first.ids[i] for i in order),
        labels=first.labels[order],
        predictions=first.predictions[order],
    )
    assert paired(first, shuffled).high == 0
    # Sample 1 lasts to the end in the other record: 1 against 1/8 of expected robustness.
    better = make([0, 5, 3, 5, 5])
    assert paired(better, shuffled).difference == pytest.approx((1 - 1 / 8) / 5)
    assert paired(better, first, PointMass(0.0)).difference == 0


@pytest.mark.parametrize("changes", [{"ids": tuple("abcde")}, {"norm": "l2"}, {"grid": GRID * 2}])
def test_paired_refuses_other_samples_or_threats(changes):
    with pytest.raises(InvalidArgument, match="second record="):
        paired(make(), make(**changes))
