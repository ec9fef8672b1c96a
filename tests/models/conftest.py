import json

import pytest
import timm
import torch
from safetensors.torch import save_file


@pytest.fixture
def weights_file(tmp_path):
    """Weights of a small ResNet with 10 classes, trained with options, and their configuration."""
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=10, act_layer="silu")
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
    path = tmp_path / "small.safetensors"
    save_file(network.state_dict(), path)
    config = {
        "architecture": "test_resnet",
        "num_classes": 10,
        "model_args": {"act_layer": "silu"},
        "pretrained_cfg": {
            "input_size": [3, 32, 32],
            "mean": [0.1, 0.2, 0.3],
            "std": [0.4, 0.5, 0.6],
            "first_conv": "conv1.0",
            "classifier": "fc",
        },
    }
    path.with_suffix(".json").write_text(json.dumps(config))
    return path
