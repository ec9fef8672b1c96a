import re

import pytest
import timm
import torch
from timm.models import get_pretrained_cfg

from published import network, open_clip, prefixed, published, small
from rampart.errors import ModelError, RampartWarning, UnknownName
from rampart.models.backbones import build_model
from rampart.models.catalogue import NORMALIZATIONS, catalogue, find_entry, full_name
from rampart.models.external.load import kind_of
from rampart.models.references import CATALOGUE_PREFIXES, is_function
from rampart.models.sources import find_source

STUDY = ("vit", "swin", "convnext", "resnet50", "clip_vit", "clip_convnext")
LOADABLE = [one for one in catalogue().values() if not one.refused]
PUBLISHED = [one.name for one in LOADABLE if not one.has_timm_weights]
REFUSED = [one.name for one in catalogue().values() if one.refused]


@pytest.fixture
def entries(monkeypatch):
    """The catalogue with small networks."""
    made = {one.name: small(one) if not one.refused else one for one in catalogue().values()}
    monkeypatch.setattr("rampart.models.catalogue.catalogue", lambda: made)
    return made


@pytest.fixture
def saved(tmp_path):
    """Save weights; return the path of the file."""

    def save(content, name="published.pth"):
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return save


def test_the_backbones_of_the_publication_are_there():
    assert tuple(one.name for one in LOADABLE if one.has_timm_weights) == STUDY


@pytest.mark.parametrize("name", STUDY)
def test_a_backbone_of_timm_is_described_as_timm_does(name):
    entry, cfg = catalogue()[name], get_pretrained_cfg(catalogue()[name].timm)
    assert NORMALIZATIONS[entry.normalization] == (cfg.mean, cfg.std)
    assert cfg.input_size == (3, entry.image_size, entry.image_size)
    assert (entry.classes, entry.hub) == (cfg.num_classes, cfg.hf_hub_id)
    assert entry.license.lower() == cfg.license


def test_a_short_name_that_timm_has_too_means_the_same_weights():
    assert timm.is_model("resnet50")
    for name in filter(timm.is_model, STUDY):
        assert catalogue()[name].timm == f"{name}.{get_pretrained_cfg(name).tag}"


@pytest.mark.parametrize("name", catalogue())
def test_an_entry_is_consistent(name):
    entry = catalogue()[name]
    assert entry.title
    assert entry.license
    assert entry.homepage or entry.has_timm_weights
    assert set(entry.inferred) <= set(vars(entry))
    assert (entry.clean is None) == (entry.autoattack is None) == (not entry.figures)
    if entry.refused:
        assert not entry.timm
        return
    architecture, _, _ = entry.timm.partition(".")
    assert timm.is_model(architecture)
    assert entry.normalization in NORMALIZATIONS
    assert bool(entry.hub) != bool(entry.address)
    assert not re.search("[{}]", entry.address)


def test_the_prefixes_are_those_of_the_catalogue():
    found = {one.source for one in catalogue().values() if one.is_robust}
    assert found == set(CATALOGUE_PREFIXES)
    assert not any(is_function(name) for name in catalogue())


def test_normalizations_that_differ_from_those_of_timm():
    assert find_source("ares:vitb_at").pretrained_cfg["mean"] == (0.485, 0.456, 0.406)
    assert find_source("vit_base_patch16_224").pretrained_cfg["mean"] == (0.5, 0.5, 0.5)
    xcit = find_source("robustbench:Debenedetti2022Light_XCiT-S12")
    assert xcit.normalization(3) == ([0.0, 0.0, 0.0], [1.0, 1.0, 1.0])


def test_short_names_are_written_out():
    assert full_name("vit") == "vit_base_patch16_224.augreg_in1k"
    assert full_name("ares:vitb_at") == "ares:vitb_at"
    assert full_name("resnet18") == "resnet18"
    assert find_source("vit") == find_source("vit_base_patch16_224.augreg_in1k")


def test_a_folder_comes_before_a_short_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vit").mkdir()
    assert full_name("vit") == "vit"
    assert find_entry("vit") is None


@pytest.mark.parametrize("name", REFUSED)
def test_a_backbone_with_code_of_its_own_is_refused(name):
    with pytest.raises(ModelError, match=re.escape(catalogue()[name].refused)):
        find_source(name)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="ares:swinb_at"):
        find_source("ares:swinb")
    with pytest.raises(UnknownName, match="convnext"):
        find_source("convnxt")
    with pytest.raises(UnknownName, match="did you mean robustbench:Standard"):
        kind_of("robustbnch:Standard")


def test_a_file_belongs_to_another_key():
    with pytest.raises(ModelError, match=r"write ares:swinb_at and model\.weights=file\.pth"):
        find_source("ares:swinb_at:file.pth")


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_file_gives_the_logits_of_the_network(name, entries, saved):
    entry = entries[name]
    made = network(entry)
    if entry.source == "openclip":
        # The projection of CLIP has no bias.
        torch.nn.init.zeros_(made.get_classifier().bias)
    model = build_model(
        name, weights=saved(published(entry, made.state_dict())), pretrained_head=True
    )
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in NORMALIZATIONS[entry.normalization])
    images = torch.rand(2, 3, entry.image_size, entry.image_size)
    with torch.no_grad():
        assert torch.allclose(model.eval()(images), made((images - mean) / std), atol=1e-5)
    assert model.num_classes == entry.classes


FORMS = {
    "plain": lambda state: state,
    "module.": lambda state: prefixed("module.", state),
    "model.": lambda state: prefixed("model.", state),
    "module.model.": lambda state: prefixed("module.model.", state),
    "1. of a sequence": lambda state: prefixed("1.", state),
    "model.1. of a sequence": lambda state: prefixed("model.1.", state),
    "state_dict": lambda state: {"state_dict": prefixed("module.", state), "epoch": 3},
    "model": lambda state: {"model": state},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_file(form, entries, saved):
    name = "robustbench:Salman2020Do_R18"
    made = network(entries[name])
    model = build_model(name, weights=saved(FORMS[form](made.state_dict())), pretrained_head=True)
    assert torch.equal(model.backbone.conv1.weight, made.conv1.weight)


def test_a_fresh_head_leaves_the_head_of_the_file_out(entries, saved):
    name = "ares:swins_at"
    made = network(entries[name])
    file = saved(published(entries[name], made.state_dict()))
    model = build_model(name, weights=file, num_classes=3)
    assert model.num_classes == 3
    assert torch.equal(model.backbone.patch_embed.proj.weight, made.patch_embed.proj.weight)


def test_an_option_of_the_user_counts(entries, saved):
    name = "ares:resnet50_at"
    file = saved(network(entries[name]).state_dict())
    model = build_model(name, weights=file, num_classes=3, options={"drop_rate": 0.5})
    assert model.model_args["drop_rate"] == 0.5
    assert model.model_args["layers"] == (1, 1, 1, 1)


def test_keys_that_do_not_fit_are_refused(entries, saved):
    swin = entries["ares:swins_at"]
    old = published(swin, network(swin).state_dict())
    with pytest.raises(ModelError, match="missing"):
        build_model(swin.timm, weights=saved(old), num_classes=3, options=swin.options)
    for name, other in (("ares:vits_at", "ares:resnet50_at"), ("ares:swins_at", "ares:vits_at")):
        file = saved(network(entries[other]).state_dict())
        with pytest.raises(ModelError, match="do not fit"):
            build_model(name, weights=file, num_classes=3)
    tower = open_clip(network(entries["ares:convnexts_at"]).state_dict())
    with pytest.raises(ModelError, match="do not fit"):
        build_model("ares:convnexts_at", weights=saved(tower), num_classes=3)
    state = network(entries["ares:resnet50_at"]).state_dict()
    del state["layer1.0.conv1.weight"]
    with pytest.raises(ModelError, match=r"layer1\.0\.conv1\.weight"):
        build_model("ares:resnet50_at", weights=saved(state), num_classes=3)


def test_copies_of_an_attack_in_a_file_are_left_out_and_named(entries, saved):
    name = "madrylab:resnet50_linf_eps4.0"
    state = network(entries[name]).state_dict()
    content = published(entries[name], state)
    content["model"] |= prefixed("module.attacker.model.", state)
    with pytest.warns(RampartWarning, match=r"left out: module\.attacker"):
        build_model(name, weights=saved(content), num_classes=3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ares:vitb_at", "ares:swinb_at", "robustbench:Mo2022When_Swin-B"])
def test_a_published_file_of_full_size(name, saved):
    entry = catalogue()[name]
    made = network(entry)
    file = saved(published(entry, made.state_dict()))
    model = build_model(name, weights=file, pretrained_head=True)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in NORMALIZATIONS[entry.normalization])
    images = torch.rand(1, 3, entry.image_size, entry.image_size)
    with torch.no_grad():
        assert torch.allclose(model.eval()(images), made((images - mean) / std), atol=1e-4)
