"""What the card says about the weights that training started from."""

import pytest

from rampart.recipes.config.loading import load_config
from rampart.recipes.publishing.card import base_of


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("resnet18.a1_in1k", "timm/resnet18.a1_in1k"),
        ("hf-hub:someone/model@main", "someone/model"),
        ("rampart_glyphnet", ""),
        # Files whose names begin with an architecture of timm, and one in a folder.
        ("mobilenetv2_100.safetensors", ""),
        ("resnet18.best.pth", ""),
        ("weights/resnet18.safetensors", ""),
    ],
)
def test_weights_of_a_file_have_no_name_on_the_hub(name, base):
    assert base_of(load_config(None, [f"model.name={name}", "data.name=photos"]).model) == base
