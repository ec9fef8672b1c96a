"""`rampart predict`: its output, and a one-line error for each mistake."""

import csv

import pytest
from PIL import Image

from rampart.recipes.config.loading import load_config
from rampart.recipes.train import train_run


@pytest.fixture(scope="module")
def run(tiny_settings, tmp_path_factory):
    return train_run(load_config(None, tiny_settings), tmp_path_factory.mktemp("run") / "run").path


def test_one_line_for_each_image(rampart, run, photo_folder):
    image = photo_folder / "test" / "red" / "0.png"
    done = rampart("predict", run, image, photo_folder / "test" / "blue")
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    assert len(lines) == 6
    assert lines[0].startswith(f"{image}: ")
    assert all(f"{name} " in lines[0] for name in ("blue", "green", "red"))
    assert lines[0].count("%") == 3, "all classes, because there are fewer than five"
    (only,) = rampart("predict", run, image, "--top-k", 1).out.splitlines()
    assert only.count("%") == 1


def test_a_table(rampart, refused, run, photo_folder, tmp_path):
    table = tmp_path / "new" / "predictions.csv"
    done = rampart("predict", run, photo_folder / "test", "--output", table, "-k", 2)
    assert done.status == 0, done.err
    assert done.out == f"15 predictions in {table}\n"
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 15
    assert set(rows[0]) == {"image", "class", "probability", "class_2", "probability_2"}
    refused("csv", "predict", run, photo_folder / "test", "-o", tmp_path / "table.json")


@pytest.mark.filterwarnings("always")
def test_files_of_a_folder_that_are_left_out_are_shown(rampart, refused, run, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    (tmp_path / "notes.txt").touch()
    refused("cannot be read (not an image)", "predict", run, tmp_path / "a.png")
    Image.new("RGB", (20, 20)).save(tmp_path / "b.png")
    done = rampart("predict", run, tmp_path)
    assert done.status == 0
    assert len(done.out.splitlines()) == 1
    assert ".txt 1" in done.err
    assert "left out 1 of 2 images: image " in done.err


def test_each_mistake_has_a_sentence(refused, run, photo_folder, tmp_path):
    (tmp_path / "empty").mkdir()
    test = photo_folder / "test"
    refused("1 to 3, the number of classes", "predict", run, test, "--top-k", 9)
    refused("has no image", "predict", run, tmp_path / "empty")
    refused("does not exist", "predict", run, tmp_path / "none.png")
    refused("there is no image", "predict", run, "data.resize=squash")
    refused("holds no run", "predict", tmp_path / "runs" / "none", test)
    refused("unknown setting of a prediction 'data'", "predict", run, f"data={test}")
    refused("unknown setting of a prediction 'threat.eps'", "predict", run, test, "threat.eps=1")


def test_a_file_with_the_name_of_a_setting_is_an_image(rampart, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (20, 20)).save("data.x=1.png")
    done = rampart("predict", run, "data.x=1.png")
    assert done.out.startswith("data.x=1.png: ")
