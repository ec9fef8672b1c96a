import json

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from rampart.data.datasets import load_splits
from rampart.errors import InvalidArgument
from rampart.models.backbones import build_model
from rampart.models.saving import save_model

NAMES = ["ant", "bee", "cöw"]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("test_resnet", {"options": {"act_layer": "silu"}, "image_size": 32}),
        ("test_resnet", {"in_chans": 1}),
        ("test_vit", {"image_size": 32}),
        ("test_convnext", {"mean": [0.1, 0.2, 0.3]}),
        ("rampart_glyphnet", {}),
        ("rampart_glyphnet", {"options": {"norm": "batch"}, "in_chans": 3}),
    ],
)
def test_timm_and_rampart_load_the_same_model(tmp_path, name, given):
    model = build_model(name, pretrained=False, num_classes=3, **given).eval()
    save_model(model, tmp_path, NAMES)
    size = model.image_size
    images = torch.rand(2, model.in_chans, size, size)
    by_timm = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    config = timm.data.resolve_model_data_config(by_timm)
    mean, std = (torch.tensor(config[k]).view(1, -1, 1, 1) for k in ("mean", "std"))
    assert torch.equal(model(images), by_timm((images - mean) / std))
    assert tuple(config["input_size"]) == (model.in_chans, size, size)
    assert by_timm.pretrained_cfg["label_names"] == NAMES
    for source in (f"local-dir:{tmp_path}", str(tmp_path)):
        again = build_model(source, pretrained_head=True).eval()
        assert torch.equal(again(images), model(images))
        assert (again.image_size, again.in_chans) == (size, model.in_chans)


@pytest.mark.parametrize("resize", ["crop", "squash"])
def test_timm_predicts_the_same_for_photos(tmp_path, resize):
    """README's way: timm's model with timm's transform, on files of odd sizes."""
    rng = np.random.default_rng(0)
    for number in range(20):
        width, height = rng.integers(30, 200, 2).tolist()
        coarse = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
        path = tmp_path / "photos" / ("test/" if number < 10 else "train/") / "ab"[number % 2]
        path.mkdir(parents=True, exist_ok=True)
        coarse.resize((width, height)).save(path / f"{number}.jpg")
    photos = str(tmp_path / "photos")
    splits = load_splits(photos, image_size=48, resize=resize, validation_fraction=0.4)
    model = build_model("test_resnet", pretrained=False, num_classes=3, image_size=48).eval()
    save_model(model, tmp_path / "model", NAMES, resize=resize)

    by_timm = timm.create_model(f"local-dir:{tmp_path / 'model'}", pretrained=True).eval()
    config = timm.data.resolve_model_data_config(by_timm)
    transform = timm.data.create_transform(**config, is_training=False)
    for split in (splits.train, splits.validation, splits.test):
        for identity, (pixels, _, _) in zip(split.ids, split, strict=False):
            photo = Image.open(tmp_path / "photos" / identity).convert("RGB")
            ours = model(pixels[None].float() / 255)
            assert torch.equal(ours, by_timm(transform(photo)[None])), identity
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 20


def test_a_loaded_model_is_saved_unchanged(weights_file, tmp_path):
    model = build_model(str(weights_file), num_classes=3)
    first, second = tmp_path / "first", tmp_path / "second"
    save_model(model, first, NAMES, image_size=48)
    save_model(build_model(str(first), pretrained_head=True), second, NAMES)
    for file in ("config.json", "model.safetensors"):
        assert (first / file).read_bytes() == (second / file).read_bytes()
    config = json.loads((first / "config.json").read_text(encoding="utf-8"))
    assert config["model_args"] == {"act_layer": "silu"}
    assert config["pretrained_cfg"]["input_size"] == [3, 48, 48]
    assert config["pretrained_cfg"]["crop_pct"] == 1.0


def test_a_resized_transformer_is_restored(tmp_path):
    wide = build_model("test_vit", pretrained=False, num_classes=3)
    save_model(wide, tmp_path / "wide", NAMES)
    small = build_model(str(tmp_path / "wide"), num_classes=3, image_size=32).eval()
    save_model(small, tmp_path / "small", NAMES)
    again = build_model(str(tmp_path / "small"), pretrained_head=True).eval()
    images = torch.rand(1, 3, 32, 32)
    assert torch.equal(again(images), small(images))
    by_timm = timm.create_model(f"local-dir:{tmp_path / 'small'}", pretrained=True).eval()
    assert torch.equal(by_timm((images - small.mean) / small.std), small(images))


def test_every_class_needs_a_name(tmp_path):
    model = build_model("rampart_glyphnet", pretrained=False, num_classes=3)
    with pytest.raises(InvalidArgument, match="class_names=2 names: expected 3"):
        save_model(model, tmp_path, ["a", "b"])
    assert not list(tmp_path.iterdir())
