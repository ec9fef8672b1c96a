"""`rampart export`: its output, and a one-line error for each mistake."""

import pytest

from rampart.recipes.config.loading import load_config
from rampart.recipes.train import train_run


@pytest.fixture(scope="module")
def run(tiny_settings, tmp_path_factory):
    settings = [*tiny_settings, "data.resize=squash"]
    return train_run(load_config(None, settings), tmp_path_factory.mktemp("run") / "run").path


def test_a_file_and_what_to_know_about_it(rampart, run, photo_folder, tmp_path):
    pytest.importorskip("onnx")
    file = tmp_path / "new" / "model.onnx"
    done = rampart("export", run, "--to", "onnx", "--output", file)
    assert done.status == 0, done.err
    first, checked, gradients, resize = done.out.splitlines()
    assert first == f"{file}: takes batches of any size, 3 x 16 x 16, pixels in [0, 1]"
    assert checked.startswith("checked: its logits differ by at most ")
    assert "evaluation.attack=square" in gradients
    assert "data.resize=squash" in resize
    assert [one.name for one in file.parent.iterdir()] == ["model.onnx"]
    image = photo_folder / "test" / "red" / "0.png"
    own = rampart("predict", run, image).out
    assert rampart("predict", file, image, "data.resize=squash").out == own


def test_each_mistake_has_a_sentence(refused, rampart, run, tmp_path):
    refused("unknown format 'onx': did you mean onnx", "export", run, "--to", "onx")
    refused("--to", "export", run)
    refused("ends in .onnx", "export", run, "--to", "onnx", "-o", tmp_path / "model.bin")
    refused("holds no run", "export", tmp_path, "--to", "onnx")
    refused("inside or outside", "export", run, "--to", "pt2", "--normalization", "no")
