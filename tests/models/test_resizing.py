"""Architectures that are built for one size of images, saved at it and loaded at another."""

import pytest
import timm
import torch

from rampart.errors import ModelError
from rampart.models.backbones import build_model
from rampart.models.reloading import require_reloadable
from rampart.models.saving import save_model

#: Architecture, options that make it small, and another size. timm gives it that size.
RESIZED = [
    ("test_vit_relpos", {}, 80),
    ("xcit_nano_12_p16_224", {"depth": 1}, 112),
    ("sequencer2d_s", {"layers": (1, 1, 1, 1)}, 112),
    ("tnt_s_patch16_224", {"depth": 1}, 112),
    ("coat_lite_tiny", {"serial_depths": (1, 1, 1, 1)}, 112),
    ("swiftformer_xs", {}, 112),
]
RESIZED_SLOWLY = [
    *(("crossvit_tiny_240", {}, 120), ("mvitv2_tiny", {}, 112), ("twins_pcpvt_small", {}, 112)),
    *(("efficientvit_m0", {}, 112), ("maxvit_rmlp_pico_rw_256", {}, 128)),
    *(("vitamin_small_224", {}, 112), ("swinv2_cr_tiny_224", {}, 112)),
]
#: timm cannot give them another size.
REFUSED = [
    *(("gmlp_ti16_224", {}, 112), ("mixer_s32_224", {}, 128)),
    *(("levit_128s", {}, 112), ("convit_tiny", {"depth": 2}, 112), ("gcvit_xxtiny", {}, 112)),
    *(("cait_xxs24_224", {"depth": 1}, 112), ("visformer_tiny", {}, 112)),
    *(("hiera_tiny_224", {"stages": (1, 1, 1, 1)}, 112), ("nest_tiny", {}, 112)),
    ("pit_ti_224", {}, 112),
]
REFUSED_SLOWLY = [
    ("volo_d1_224", {}, 112),
    *(("botnet26t_256", {}, 128), ("resnet50_clip", {}, 112), ("efficientformer_l1", {}, 112)),
    *(("efficientformerv2_s0", {}, 112), ("coatnet_nano_rw_224", {}, 112)),
    *(("resmlp_12_224", {}, 112), ("gmixer_12_224", {}, 112)),
]


def slowly(cases):
    return [pytest.param(*case, marks=pytest.mark.slow) for case in cases]


def saved(name, options, folder):
    model = build_model(name, pretrained=False, num_classes=3, options=options)
    save_model(model, folder, "abc")
    return model


@pytest.mark.parametrize(("name", "options", "size"), [*RESIZED, *slowly(RESIZED_SLOWLY)])
def test_a_size_that_timm_can_change(name, options, size, tmp_path):
    model = saved(name, options, tmp_path / "own").eval()
    other = build_model(
        str(tmp_path / "own"), num_classes=3, pretrained_head=True, image_size=size
    ).eval()
    images = torch.rand(2, 3, size, size)
    logits = other(images)
    assert logits.isfinite().all()
    for key, value in other.state_dict().items():
        before = model.state_dict()[key]
        assert before.shape != value.shape or before.equal(value), key
    save_model(other, tmp_path / "other", "abc", size)
    again = build_model(str(tmp_path / "other"), pretrained_head=True, image_size=size).eval()
    torch.testing.assert_close(again(images), logits)
    network = timm.create_model(f"local-dir:{tmp_path / 'other'}", pretrained=True).eval()
    torch.testing.assert_close(network((images - other.mean) / other.std), logits)


@pytest.mark.slow
def test_a_network_that_timm_resizes_but_does_not_build_is_evaluated_and_not_trained(tmp_path):
    saved("vit_tiny_r_s16_p8_224", {}, tmp_path)
    other = build_model(str(tmp_path), num_classes=3, pretrained_head=True, image_size=112).eval()
    images = torch.rand(2, 3, 112, 112)
    assert other(images).isfinite().all()
    # A training asks this before its first step.
    with pytest.raises(ModelError, match="'img_size': 112"):
        require_reloadable(other, ["a", "b", "c"], 112, images)


@pytest.mark.parametrize(("name", "options", "size"), [*REFUSED, *slowly(REFUSED_SLOWLY)])
def test_a_size_that_timm_cannot_change_is_refused_with_both_sizes(name, options, size, tmp_path):
    own = saved(name, options, tmp_path).image_size
    with pytest.raises(ModelError, match=f"{own} x {own} .* {size} x {size}") as error:
        build_model(str(tmp_path), num_classes=3, pretrained_head=True, image_size=size)
    assert f"data.image_size={own}" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["levit_128s", "convit_tiny"])
def test_a_network_of_another_size_can_be_trained_from_random_weights(name):
    model = build_model(name, pretrained=False, num_classes=3, image_size=112).eval()
    assert model(torch.rand(1, 3, 112, 112)).shape == (1, 3)


def test_a_size_that_no_network_of_the_architecture_has():
    with pytest.raises(ModelError, match="224 x 224 .* 112 x 112"):
        build_model("gcvit_xxtiny", pretrained=False, num_classes=3, image_size=112)
