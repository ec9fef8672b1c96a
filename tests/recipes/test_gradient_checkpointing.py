"""Activations that are computed anew in the backward pass change no result."""

import pytest
import timm
import torch
from safetensors.torch import load_file

from rampart.errors import InvalidArgument, ModelError
from rampart.models.normalized import NormalizedModel
from rampart.recipes.build import make_start
from rampart.recipes.config.loading import load_config
from rampart.recipes.splits import make_splits
from rampart.recipes.train import train_run

ONE = "training.gradient_checkpointing=true"


@pytest.fixture
def settings(tiny_settings):
    tiny = ["model=test_vit", "model.pretrained=false", "data.image_size=32"]
    rest = [one for one in tiny_settings if not one.startswith(("model.", "data.image_size"))]
    return [*tiny, *rest, "model.options={img_size: 32}", "schedule=fix", "training.epochs=1"]


def test_a_run_with_checkpoints_is_the_same(settings, tmp_path):
    plain, saved = (
        load_file(
            train_run(load_config(None, [*settings, *own]), tmp_path / str(len(own))).model
            / "model.safetensors"
        )
        for own in ([], [ONE])
    )
    assert plain.keys() == saved.keys()
    assert all(torch.equal(saved[name], value) for name, value in plain.items())


def test_checkpoints_compute_a_block_again_for_a_gradient():
    def count(checkpoints):
        backbone = timm.create_model("test_vit", img_size=32, num_classes=3)
        model = NormalizedModel(backbone, (0.5,) * 3, (0.5,) * 3, 32)
        if checkpoints:
            model.checkpoint_gradients()
        passes = []
        backbone.blocks[0].register_forward_pre_hook(lambda *_: passes.append(1))
        images = torch.rand(2, 3, 32, 32).requires_grad_()
        torch.autograd.grad(model(images).sum(), images)
        return len(passes)

    assert (count(False), count(True)) == (1, 2)


class Refusing(torch.nn.Module):
    """As timm's VGG does it."""

    def set_grad_checkpointing(self, enable=True):
        assert not enable, "gradient checkpointing not supported"


@pytest.mark.parametrize("backbone", [Refusing(), torch.nn.Linear(2, 2)])
def test_a_backbone_without_checkpoints_is_refused(backbone):
    model = NormalizedModel(backbone, (0.5,), (0.5,), 32, architecture="vgg11")
    with pytest.raises(ModelError, match="vgg11 has no gradient checkpoints: leave out"):
        model.checkpoint_gradients()


def test_batch_norm_in_train_mode_is_refused(tiny_settings):
    settings = [one for one in tiny_settings if not one.startswith("model.options")]
    other = [*settings, "model.name=test_resnet", ONE]
    config = load_config(None, other)
    with pytest.raises(InvalidArgument, match="write model.batch_norm=frozen"):
        make_start(config, make_splits(config))
    config = load_config(None, [*other, "model.batch_norm=frozen"])
    model, _ = make_start(config, make_splits(config))
    assert model.backbone.grad_checkpointing
