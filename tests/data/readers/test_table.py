import csv

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rampart.data.datasets import load_splits
from rampart.errors import DataError, UnknownName


@pytest.fixture
def write(make_folder, tmp_path):
    """Write rows into a table beside the images that they list, and return its path."""

    def to(name, header, rows, images=None):
        make_folder(*([row[0] for row in rows] if images is None else images))
        path = tmp_path / "photos" / name
        if name.endswith(".parquet"):
            columns = dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))
            pq.write_table(pa.table(columns), path)
        else:
            with path.open("w", newline="", encoding="utf-8-sig") as file:
                csv.writer(file, delimiter="\t" if name.endswith(".tsv") else ",").writerows(
                    [header, *rows]
                )
        return path

    return to


def rows_of(labels=("cat", "dog"), splits=("train", "val", "test"), count=3):
    return [
        (f"{split}-{label}/{number}.png", label, split)
        for split in splits
        for label in labels
        for number in range(count)
    ]


def load(path, **options):
    return load_splits(str(path), image_size=8, **options)


@pytest.mark.parametrize("name", ["list.csv", "list.tsv", "list.parquet"])
def test_images_labels_and_splits_are_read(write, name):
    splits = load(write(name, ["File Name", "Class", "Subset"], rows_of()))
    assert [len(splits[one]) for one in ("train", "validation", "test")] == [6, 6, 6]
    assert splits.class_names == ["cat", "dog"]
    assert splits.test.ids[0] == "test-cat/0.png"
    assert splits.test.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert splits.notes == ()


@pytest.mark.parametrize("name", ["list.csv", "list.parquet"])
def test_number_labels_are_ordered_as_numbers(write, name):
    rows = [row[:2] for row in rows_of((2, 10, 9), ("",), count=20)]
    splits = load(write(name, ["path", "label"], rows))
    assert splits.class_names == ["2", "9", "10"]
    assert [len(splits[one]) for one in ("train", "validation", "test")] == [42, 6, 12]
    named = [f"-{splits.class_names[label]}" for label in splits.test.labels]
    assert [identity.split("/")[0] for identity in splits.test.ids] == named


def test_the_same_images_in_a_folder_have_the_same_pixels(write, make_folder, layout):
    names = layout("train", "val", "test")
    rows = [(name, name.split("/")[1], name.split("/")[0]) for name in names]
    path = write("list.csv", ["path", "label", "split"], rows)
    listed, folder = load(path), load(path.parent)
    assert listed.fingerprint() == folder.fingerprint()
    assert listed.test[4][0].equal(folder.test[4][0])


def test_the_user_names_columns_and_splits(write):
    path = write("list.csv", ["where", "what", "fold"], rows_of(splits=("a", "b", "c"), count=10))
    with pytest.raises(DataError, match="where, what, fold.*paths; write data.options.input_key"):
        load(path)
    keys = {"input_key": "where", "target_key": "what"}
    assert len(load(path, options=keys).notes) == 2
    keys["split_key"] = "fold"
    with pytest.raises(DataError, match="no split train.*only a, b, c: write data.splits.train"):
        load(path, options=keys)
    splits = load(path, options=keys, splits={"train": "b", "test": "a"})
    assert (len(splits.test), len(splits.train)) == (20, 18)
    assert "not used of column 'fold'" in splits.notes[0]
    with pytest.raises(DataError, match="data.options.split_key=none: .*where, what, fold"):
        load(path, options={**keys, "split_key": "none"})
    with pytest.raises(DataError, match="column 'where' .* cannot hold paths and labels"):
        load(path, options={**keys, "target_key": "where"})
    with pytest.raises(DataError, match="no split train"):
        load(path, options=keys, splits={"test": "a"})
    with pytest.raises(UnknownName, match="target_key"):
        load(path, options={"label_key": "what"})


HEADERS = [
    (["path", "label", "class"], "labels"),
    (["path", "image", "label"], "paths"),
    (["train-cat/0.png", "cat", "train"], "paths"),
    (["path", "cat", "dog"], "labels"),
]


@pytest.mark.parametrize(("header", "role"), HEADERS)
def test_headers_that_are_not_certain_are_refused(write, header, role):
    with pytest.raises(DataError, match=f"{', '.join(header)}: .*the {role}; write"):
        load(write("list.csv", header, rows_of()))


def test_names_of_splits_that_are_not_certain_are_refused(write):
    for splits, says in (
        (("train", "dev"), "data.splits.train=train data.splits.validation=dev"),
        (("train", "tests"), "data.splits.train=train data.splits.test=tests"),
        (("train", "val", "valid"), "two names for validation: val and valid"),
    ):
        with pytest.raises(DataError, match=says):
            load(write("list.csv", ["path", "label", "split"], rows_of(splits=splits)))


def test_faults_of_rows_are_named(write):
    header = ["path", "label", "split"]
    rows = rows_of()
    cases = [
        ([*rows, ("more.png", "", "train")], "has no label"),
        ([*rows, (rows[0][0], "dog", "train")], "twice with the labels cat and dog; several"),
        ([*rows, rows[0]], "train-cat/0.png' twice; remove one"),
        ([*rows, ("more.png", "eel", "test")], "'eel'; use the same classes"),
        ([*rows, ("more.png", "cat")], "row 19 .* 2 values, but the file has 3 columns"),
        ([row for row in rows if row[1] == "cat"], "only one class, 'cat'"),
        ([], "no images"),
    ]
    for number, (content, says) in enumerate(cases):
        with pytest.raises(DataError, match=says):
            load(write(f"{number}.csv", header, content))


def test_missing_images_are_counted(write):
    rows = rows_of()
    path = write("list.csv", ["path", "label", "split"], rows, [row[0] for row in rows[2:]])
    with pytest.raises(DataError, match="do not exist: 2 of 18, .* relative to .*photos"):
        load(path)


def test_several_labels_in_parquet_are_refused(write):
    rows = [(path, [0, 1], split) for path, _, split in rows_of()]
    with pytest.raises(DataError, match="several labels per image"):
        load(
            write("list.parquet", ["path", "labels", "split"], rows),
            options={"target_key": "labels"},
        )


def test_images_inside_parquet_are_refused(write):
    rows = [({"bytes": b"x"}, "cat")] * 2
    with pytest.raises(DataError, match="write data=hfds/[^ ]*[.]$"):
        load(write("list.parquet", ["image", "label"], rows, images=["cat/1.png"]))


@pytest.mark.parametrize(("used", "ending"), [(";", "csv"), ("\t", "csv"), (",", "tsv")])
def test_other_separators_are_named(write, used, ending):
    path = write(f"list.{ending}", ["path", "label", "split"], rows_of())
    own = "\t" if ending == "tsv" else ","
    path.write_text(path.read_text(encoding="utf-8-sig").replace(own, used))
    names = {";": "semicolons", "\t": "tabs", ",": "commas"}
    with pytest.raises(DataError, match=f"with {names[own]} .* not with {names[used]}"):
        load(path)


def test_an_empty_table_says_so(tmp_path):
    (tmp_path / "list.csv").touch()
    with pytest.raises(DataError, match="is empty"):
        load(tmp_path / "list.csv")


@pytest.mark.parametrize("odd", ["cat ", " cat", "cafe\u0301"])
def test_labels_that_look_alike_are_refused(write, odd):
    labels = ("cat", "caf\xe9", odd)
    with pytest.raises(DataError, match="differ only in spaces or the form of letters"):
        load(write("list.csv", ["path", "label", "split"], rows_of(labels)))


def test_rows_without_a_split_are_noted(write):
    rows = [*rows_of(), ("more/1.png", "cat", "")]
    notes = load(write("list.csv", ["path", "label", "split"], rows)).notes
    assert any("rows without a split" in note for note in notes)


@pytest.mark.parametrize("name", ["list.csv", "list.parquet"])
def test_damaged_tables_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"\xff\xfe\x00broken")
    with pytest.raises(DataError, match=f"{name}' cannot be read"):
        load(tmp_path / name)
