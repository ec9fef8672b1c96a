"""Parquet files with the images in them: the refusal names the settings that read them."""

import shlex

import pytest
from PIL import Image

from hub_files import table
from rampart.data.datasets import load_defined
from rampart.errors import DataError
from rampart.recipes.config.loading import load_config

pytest.importorskip("datasets")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def untyped(rows, **names):
    """The dataset with other names of columns, and without the notes of the package."""
    return rows.rename_columns(names), False


def typed(rows, **names):
    return rows.rename_columns(names), True


def write(rows, file):
    rows, noted = rows if isinstance(rows, tuple) else (rows, True)
    file.parent.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(file)
    if not noted:
        import pyarrow.parquet as pq

        pq.write_table(pq.read_table(file).replace_schema_metadata(None), file)


LAYOUTS = {
    "files": ["train.parquet", "test.parquet"],
    "as on the hub": ["data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"],
    "folders of splits": ["train/0.parquet", "test/0.parquet"],
    "one file": ["train.parquet"],
}
FORMS = {
    "usual": lambda rows: rows,
    "other names": lambda rows: typed(rows, image="picture", label="kind"),
    "without notes": lambda rows: untyped(rows, image="picture", label="category"),
}


def read_as_advised(name):
    """Give data to the reader, and then what the refusal says; return the sizes of the splits."""
    with pytest.raises(DataError) as refused:
        load_defined(name, image_size=8)
    said = str(refused.value)
    settings = shlex.split(said.partition(": write ")[2].removesuffix("."))
    data = load_config(None, ["model=resnet18", *settings]).data
    found = load_defined(data.name, image_size=8, options=data.options)
    return {split: len(part) for split, part in found.parts.items()}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("form", FORMS)
def test_a_folder_of_parquet_files_gets_the_settings_that_read_it(layout, form, tmp_path):
    folder = tmp_path / "my images"
    for place, file in enumerate(LAYOUTS[layout]):
        write(FORMS[form](table(4 - place)), folder / file)
    sizes = {"train": 8, "test": 6} if len(LAYOUTS[layout]) > 1 else {"train": 8}
    assert read_as_advised(str(folder)) == sizes


def test_the_folder_of_now_is_named_in_full(tmp_path, monkeypatch):
    write(table(4), tmp_path / "train.parquet")
    monkeypatch.chdir(tmp_path)
    assert read_as_advised(".") == {"train": 8}


def test_other_parquet_files_and_damaged_ones_get_no_such_advice(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    paths = tmp_path / "paths"
    paths.mkdir()
    pq.write_table(pa.table({"path": ["a.png"], "label": [0]}), paths / "list.parquet")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "train.parquet").write_bytes(b"PAR1")
    beside = tmp_path / "beside"
    write(table(4), beside / "train.parquet")
    (beside / "cat").mkdir()
    Image.new("RGB", (9, 9)).save(beside / "cat" / "0.png")
    for folder in (paths, damaged, beside):
        with pytest.raises(DataError) as refused:
            load_defined(str(folder), image_size=8)
        assert "hfds" not in str(refused.value)
