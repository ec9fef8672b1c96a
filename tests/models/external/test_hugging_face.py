import json

import pytest
import torch

from rampart.errors import MissingExtra, ModelError
from rampart.models.external.load import load_model

MEAN, STD = [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]


@pytest.fixture
def folder(tmp_path):
    """A small classifier of three classes with its image processor."""
    transformers = pytest.importorskip("transformers")
    names = dict(enumerate(("cat", "dog", "eel")))
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=16,
        patch_size=8,
        id2label=names,
        label2id={v: k for k, v in names.items()},
    )
    torch.manual_seed(0)
    model = transformers.ViTForImageClassification(config)
    torch.nn.init.normal_(model.classifier.weight)
    model.save_pretrained(tmp_path)
    processor(tmp_path)
    return tmp_path


def processor(folder, **options):
    import transformers

    given = {"image_mean": MEAN, "image_std": STD, "size": {"height": 16, "width": 16}, **options}
    transformers.ViTImageProcessor(**given).save_pretrained(folder)


def expected(folder, images):
    import transformers

    model = transformers.ViTForImageClassification.from_pretrained(folder).eval()
    mean, std = (torch.tensor(v)[:, None, None] for v in (MEAN, STD))
    return model((images - mean) / std).logits


def test_a_folder(folder):
    images = torch.rand(3, 3, 16, 16)
    found = load_model(f"hf:{folder}")
    torch.testing.assert_close(found.model(images), expected(folder, images), atol=1e-5, rtol=1e-5)
    assert found.class_names == ("cat", "dog", "eel")
    assert (found.num_classes, found.input_size, found.source) == (3, (3, 16, 16), "hf")
    assert found.differentiable
    assert load_model(str(folder)).fingerprint == found.fingerprint


def test_nothing_is_printed(folder, capfd):
    load_model(f"hf:{folder}")
    assert capfd.readouterr() == ("", "")


def test_normalization_equals_that_of_the_processor(folder):
    images = torch.rand(2, 3, 16, 16)
    # The processor does not rescale pixels, so mean and std are in [0, 255] too.
    scaled = {"image_mean": [255 * m for m in MEAN], "image_std": [255 * s for s in STD]}
    processor(folder, do_rescale=False, **scaled)
    found = load_model(f"hf:{folder}")
    torch.testing.assert_close(found.model(images), expected(folder, images), atol=1e-5, rtol=1e-5)
    processor(folder, do_normalize=False)
    model = load_model(f"hf:{folder}").model
    torch.testing.assert_close(model.mean.flatten(), torch.zeros(3))
    torch.testing.assert_close(model.std.flatten(), torch.ones(3))


def test_a_processor_that_does_more_is_refused(folder, monkeypatch):
    import transformers

    monkeypatch.setattr(
        transformers.ViTImageProcessor,
        "__call__",
        lambda self, images, **options: {
            "pixel_values": [(i / 255.0).transpose(2, 0, 1) ** 2 for i in images]
            if len(images) > 1
            else torch.zeros(1, 3, 16, 16).numpy()
        },
    )
    with pytest.raises(ModelError, match="does not only shift and scale"):
        load_model(f"hf:{folder}")


def test_a_classifier_without_a_trained_head_is_refused(folder):
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    weights = load_file(file)
    save_file({k: v for k, v in weights.items() if "classifier" not in k}, file, {"format": "pt"})
    with pytest.raises(ModelError, match=r"classifier.bias, classifier.weight"):
        load_model(f"hf:{folder}")


def test_placeholder_names_do_not_count(folder):
    config = json.loads((folder / "config.json").read_text())
    config |= {"id2label": {i: f"LABEL_{i}" for i in range(3)}}
    (folder / "config.json").write_text(json.dumps(config))
    assert load_model(f"hf:{folder}").class_names is None


def test_missing_files_are_named(folder, tmp_path_factory):
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match="cannot be loaded.*preprocessor_config.json, on the hub"):
        load_model(f"hf:{folder}")
    processor(folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be loaded.*needs config.json, model.safetensors"):
        load_model(f"hf:{folder}")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(f"hf:{tmp_path_factory.mktemp('empty')}")


def test_code_in_a_repository_is_not_run(folder, tmp_path):
    ran = tmp_path / "ran"
    (folder / "model.py").write_text(f"open({str(ran)!r}, 'w')\nclass Config: pass\n")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "model.Config"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="cannot be loaded") as error:
        load_model(f"hf:{folder}")
    assert "\n" not in str(error.value)
    assert not ran.exists()


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr("rampart.extras.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"'hf:a/b' needs .*rampart-rft\[transformers\]"):
        load_model("hf:a/b")
