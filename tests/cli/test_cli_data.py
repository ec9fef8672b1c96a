import subprocess
import sys

import pytest

from rampart.data import decode
from rampart.data.catalogue import catalogue
from rampart.data.datasets import load_splits
from torchvision_files import caltech256


@pytest.fixture
def make_photos(photo_folder, tmp_path):
    """A folder of 2 classes of 15 images each, without splits."""
    for name in ("blue", "red"):
        sources = sorted(photo_folder.glob(f"*/{name}/*.png"))[:15]
        for number, source in enumerate(sources):
            target = tmp_path / "flat" / name / f"{number}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    return tmp_path / "flat"


def test_the_list_names_every_dataset_with_its_numbers(typed):
    result = typed("data")
    assert result.status == 0
    rows = {line.split()[0]: line.split() for line in result.out.splitlines()[1:]}
    assert set(catalogue()) <= set(rows)
    assert rows["cub200"][1:5] == ["200", "5994", "-", "5794"]


def test_the_list_needs_no_torch():
    code = (
        "import sys; sys.argv = ['rampart', 'data']\n"
        "from rampart.cli.main import app; app(standalone_mode=False)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("name", catalogue())
def test_every_dataset_is_shown_with_its_facts_and_sources(typed, name, local_hub):
    result = typed("data", name)
    assert result.status == 0, result.err
    entry = catalogue()[name]
    for fact in (entry.title, f"{entry.classes} classes", entry.license or "not known"):
        assert fact in result.out
    for source in entry.sources:
        assert f"source: {source.data}" in result.out
        if source.data.startswith("hfds/"):
            assert f"{source.data} is not in the cache" in result.out
    assert all(fact in result.out for fact in entry.inferred)
    assert not local_hub.requests


def test_files_on_disk_are_counted_but_not_decoded(typed, tmp_path, monkeypatch):
    counts = caltech256(tmp_path)
    monkeypatch.setattr(decode.Decode, "__call__", lambda *_: pytest.fail("decodes"))
    arguments = ["data", "caltech256", f"data.root={tmp_path}", "data.options.source=torch"]
    result = typed(*arguments)
    assert result.status == 1
    assert "150 train images, expected 30607 (30457 missing)" in result.out
    result = typed(*arguments, f"data.options.counts={{train: 150, classes: {counts['classes']}}}")
    assert result.status == 0
    assert "torch/caltech256: 150 train; 2 classes; images of the smallest class: 70" in result.out


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_files_in_the_cache_of_the_hub_are_counted(typed, cub):
    assert "is not in the cache" in typed("data", "cub200").out
    load_splits("cub200", image_size=8)
    cub.close()
    result = typed("data", "cub200")
    assert result.status == 0
    assert (
        "CUB-200-2011: 20 train, 6 test; 2 classes; images of the smallest class: 10" in result.out
    )
    result = typed("data", "cub200", "data.options.counts={train: 21, test: 6, classes: 2}")
    assert result.status == 1
    assert "20 train images, expected 21 (1 missing)" in result.out


def test_files_that_are_not_there_are_named(typed, tmp_path):
    result = typed("data", "cars", f"data.root={tmp_path}")
    assert result.status == 0
    assert f"torch/stanford_cars is not in '{tmp_path}'" in result.out


def test_other_data_are_counted(typed, photo_folder):
    result = typed("data", photo_folder)
    assert "24 train, 9 validation, 15 test; 3 classes" in result.out
    assert "smallest class: 8 train, 3 validation, 5 test" in result.out
    assert "149 classes" in typed("data", "glyphs").out


def test_the_splits_of_a_training_are_written_and_read(typed, make_photos, tmp_path):
    path = tmp_path / "splits.json"
    result = typed("data", make_photos, "data.seed=2", "--write-splits", path)
    assert result.status == 0, result.err
    assert f"{path}: 22 train, 2 validation, 6 test" in result.out
    first = load_splits(str(make_photos), image_size=8, seed=2)
    again = load_splits(str(make_photos), image_size=8, split_file=str(path))
    assert again.fingerprint() == first.fingerprint()


def test_other_settings_are_refused(refused):
    refused("settings=threat.eps=1", "data", "cars", "threat.eps=1")
    refused("--write-splits", "data", "--write-splits", "splits.json")
    refused("did you mean cars", "data", "carss")
    refused("data is set twice", "data", "cars", "data.name=dogs")
