import json

import pytest
import timm
import torch

from local_hub import files_in
from rampart.errors import ModelError, RunError
from rampart.models.backbones import build_model
from rampart.models.reloading import require_reloadable
from rampart.models.saving import save_model
from rampart.models.sources import Source, find_source


def test_a_timm_name_is_described_without_building():
    source = find_source("vit_base_patch16_224.augreg_in1k")
    assert (source.image_size, source.in_chans, source.has_fixed_size) == (224, 3, True)
    assert source.has_weights
    assert source.weights is None
    assert not find_source("botnet50ts_256").has_weights


def test_a_file_is_described_by_its_configuration(weights_file):
    source = find_source(str(weights_file))
    assert (source.name, source.weights) == ("test_resnet", weights_file)
    assert (source.image_size, source.in_chans) == (32, 3)
    assert source.model_args == {"act_layer": "silu"}
    assert find_source("test_resnet", weights_file) == source
    assert find_source("test_resnet.r160_in1k", weights_file) == source


def test_a_folder_is_described_by_its_configuration(tmp_path):
    save_model(build_model("rampart_glyphnet", pretrained=False, num_classes=2), tmp_path, "ab")
    source = find_source(f"local-dir:{tmp_path}")
    assert source == find_source(str(tmp_path))
    assert (source.in_chans, source.image_size) == (1, 16)
    (tmp_path / "config.json").write_text("no json")
    with pytest.raises(RunError, match=r"config\.json does not match its checksum"):
        find_source(str(tmp_path))
    (tmp_path / "checksums.json").unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        find_source(str(tmp_path))


def test_normalization_for_another_number_of_channels():
    source = Source("x", pretrained_cfg={"mean": (0.2, 0.4, 0.6), "std": (0.1, 0.2, 0.3)})
    assert source.normalization(3) == ([0.2, 0.4, 0.6], [0.1, 0.2, 0.3])
    mean, std = source.normalization(1)
    assert mean == pytest.approx([0.4])
    assert std == pytest.approx([0.2])


def test_the_folder_of_a_run_is_answered_with_its_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "first" / "model").mkdir(parents=True)
    (tmp_path / "runs" / "first" / "model" / "config.json").touch()
    with pytest.raises(ModelError, match="write local-dir:runs/first/model"):
        find_source("runs/first")


def test_the_number_of_classes_is_no_argument_of_the_architecture(tmp_path, local_hub):
    network = timm.create_model("test_resnet", num_classes=5, act_layer="silu")
    timm.models.save_for_hf(network, tmp_path, safe_serialization=True)
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["model_args"]["num_classes"] == 5, "as timm 1.0.31 writes it"
    local_hub.add("someone/tiny", files_in(tmp_path))
    for name in (f"local-dir:{tmp_path}", "hf-hub:someone/tiny"):
        source = find_source(name)
        assert "num_classes" not in source.model_args
        assert source.model_args["act_layer"] == "silu"
        assert build_model(name, pretrained_head=True).num_classes == 5
        model = build_model(name, num_classes=3)
        require_reloadable(model, "abc", 160, torch.rand(2, 3, 160, 160))
    del written["num_classes"]
    (tmp_path / "config.json").write_text(json.dumps(written))
    assert find_source(str(tmp_path)).num_classes == 5
