"""Predictions equal those of the evaluation."""

import numpy as np
import pytest
import torch
from PIL import Image

import rampart
from rampart.errors import DataError, InvalidArgument, RampartWarning, UnknownName
from rampart.recipes.config.loading import load_config
from rampart.recipes.evaluation.evaluate_named import evaluate_model, evaluate_run
from rampart.recipes.predict import predict_model, predict_run
from rampart.recipes.train import train_run


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Photos of other sizes than the model's, some turned by their EXIF orientation."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(1)
    for split, count in (("train", 8), ("validation", 4), ("test", 9)):
        for label, name in enumerate(("blue", "green", "red")):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 200, (20 + number, 31, 3))
                pixels[..., 2 - label] += 30
                exif = Image.Exif()
                exif[274] = 6 if number % 2 else 1
                image = Image.fromarray(pixels.astype(np.uint8))
                image.save(root / split / name / f"{number}.jpg", exif=exif)
    return root


@pytest.fixture(scope="module", params=["crop", "squash"])
def run(request, photos, tmp_path_factory):
    settings = [
        "model.name=rampart_glyphnet",
        "model.pretrained=false",
        "model.options={norm: batch, in_chans: 3}",
        f"data.name={photos}",
        "data.image_size=16",
        f"data.resize={request.param}",
        *("threat.eps=8/255", "schedule=fix", "attack.steps=1", "training.epochs=2"),
        *("training.batch_size=8", "optimizer.backbone_lr=1e-2"),
        *("evaluation.attack.steps=1", "evaluation.checks=false"),
    ]
    return train_run(load_config(None, settings), tmp_path_factory.mktemp("run") / "run").path


def by_id(record):
    return dict(zip(record.ids, record.predictions.tolist(), strict=True))


def test_a_run_predicts_what_its_evaluation_predicts(run, photos):
    _, record = evaluate_run(run, overwrite=True)
    expected = by_id(record)
    assert len(expected) == 27
    assert len(set(expected.values())) > 1, "a constant would show no mix-up"
    found = predict_run(run, [photos / "test"])
    place = f"{photos}/"
    assert dict(zip(found.ids, found.classes.tolist(), strict=True)) == {
        place + name: number for name, number in expected.items()
    }
    loaded = rampart.load_run(run)
    for images in (photos / "test", [Image.open(name) for name in found.ids]):
        again = loaded.predict(images)
        assert again.logits.equal(found.logits), "bit for bit"
    assert again.class_names == ("blue", "green", "red")
    few = predict_run(run, found.ids[3:6], ["evaluation.batch_size=2"])
    assert few.logits.equal(found.logits[3:6])


def test_the_saved_model_given_as_any_other_resizes_as_its_configuration_says(
    run, photos, tmp_path
):
    _, record = evaluate_run(run, overwrite=True)
    reference, resize = f"local-dir:{run}/model", record.metadata["settings"]["data"]["resize"]
    own = ("evaluation.attack.steps=1", "evaluation.checks=false", f"data={photos}")
    _, again = evaluate_model(reference, (*own, "threat.eps=8/255"), tmp_path / "evaluation")
    assert by_id(again) == by_id(record)
    assert again.metadata["settings"]["data"]["resize"] == resize
    said = " ".join(again.metadata["data"]["notes"])
    assert ("write data.resize=crop." in said) is (resize == "squash")
    attack = {"name": "apgd", "steps": 1}
    door = rampart.evaluate(reference, photos, "8/255", attack=attack, checks=False)
    assert by_id(door) == by_id(record)
    # The user's own setting comes first.
    _, crop = evaluate_model(reference, (*own, "data.resize=crop"), tmp_path / "crop")
    assert crop.metadata["settings"]["data"]["resize"] == "crop"
    found = predict_model(reference, photos / "test")
    expected = by_id(record)
    assert found.classes.tolist() == [expected[n.removeprefix(f"{photos}/")] for n in found.ids]


def test_another_size_of_the_images(run, photos):
    found = predict_run(run, photos / "test", ["data.image_size=24"])
    _, record = evaluate_run(run, ("data.image_size=24",), overwrite=True)
    expected = by_id(record)
    assert found.classes.tolist() == [expected[n.removeprefix(f"{photos}/")] for n in found.ids]


NETWORK = """
from torch import nn

class Means(nn.Module):
    def forward(self, pixels):
        return 9 * pixels.mean((2, 3))[:, [2, 1, 0]]
"""


def test_another_model_predicts_what_its_evaluation_predicts(photos, tmp_path):
    (tmp_path / "nets.py").write_text(NETWORK)
    reference = f"{tmp_path / 'nets.py'}:Means"
    settings = ["data.image_size=16", "data.resize=squash"]
    own = ("evaluation.attack.steps=1", "evaluation.checks=false", f"data={photos}")
    _, record = evaluate_model(reference, (*settings, *own), tmp_path / "evaluation")
    with pytest.warns(RampartWarning, match="does not name its classes"):
        found = predict_model(reference, photos / "test", settings)
    expected = by_id(record)
    assert found.class_names == ("0", "1", "2")
    assert found.classes.tolist() == [expected[n.removeprefix(f"{photos}/")] for n in found.ids]
    with pytest.raises(InvalidArgument, match=r"data\.image_size"):
        predict_model(reference, photos / "test")


def test_files_that_are_left_out_are_counted(run, photos, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="left out 1 of 1 image"):
        predict_run(run, tmp_path)
    Image.new("RGB", (20, 20)).save(tmp_path / "b.png")
    (tmp_path / "c.txt").touch()
    with pytest.warns(RampartWarning) as shown:
        found = predict_run(run, tmp_path)
    assert len(found) == 1
    assert [str(one.message)[:12] for one in shown] == ["left out of ", "left out 1 o"]
    with pytest.raises(DataError, match=r"a\.png"):
        predict_run(run, tmp_path / "a.png")


def test_mistakes_are_named_before_the_work(run, photos):
    with pytest.raises(UnknownName, match=r"threat\.eps"):
        predict_run(run, photos, ["threat.eps=1/255"])
    with pytest.raises(UnknownName, match=r"model\.mean"):
        predict_run(run, photos, ["model.mean=[0,0,0]"])
    with pytest.raises(InvalidArgument, match="top_k=4.*1 to 3"):
        predict_run(run, "nowhere", top_k=4)


def test_a_tensor_is_predicted_without_rounding(run):
    model = rampart.load_run(run)
    images = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(model.predict(images).logits, model.model(images))
