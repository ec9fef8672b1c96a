import pytest
import torch

from rampart.errors import InvalidArgument, ModelError, UnknownName
from rampart.models.own import OwnBackbone
from rampart.recipes.config.loading import load_config
from rampart.recipes.initial_model import call_for_module, images_of_model, make_model
from rampart.recipes.splits import make_splits
from rampart.recipes.train import train_run

CODE = """
import timm
from torch import nn

def net():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(784, 3))

def of_timm():
    return timm.create_model("test_resnet", num_classes=3)

def function():
    return lambda images: images.mean((2, 3))
"""


@pytest.fixture
def code(tmp_path):
    (tmp_path / "mine.py").write_text(CODE)
    return tmp_path / "mine.py"


@pytest.fixture
def config(code, tiny_settings):
    others = [setting for setting in tiny_settings if not setting.startswith("model")]
    return lambda name, *more: load_config(None, [f"model.name={code}:{name}", *others, *more])


def test_a_function_returns_the_whole_model(config):
    wanted = config("net", "model.mean=[0.5, 0.4, 0.3]", "model.std=[0.2, 0.2, 0.2]")
    model = make_model(wanted, make_splits(wanted))
    assert isinstance(model.backbone, OwnBackbone)
    assert model.mean.flatten().tolist() == pytest.approx([0.5, 0.4, 0.3])
    frozen = make_model(config("net", "model.batch_norm=frozen"), make_splits(wanted)).train()
    assert not frozen.backbone.module[1].training


def test_its_random_weights_depend_on_the_seed_alone(code):
    first, again, other = (call_for_module(f"{code}:net", seed)[0].weight for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_network_of_timm_needs_its_normalization(config):
    wanted = config("of_timm")
    with pytest.raises(InvalidArgument, match=r"^model\.mean"):
        make_model(wanted, make_splits(wanted))
    normalized = config("of_timm", "model.mean=[0, 0, 0]", "model.std=[1, 1, 1]")
    model = make_model(normalized, make_splits(normalized))
    assert not isinstance(model.backbone, OwnBackbone), "timm can build it"


def test_a_function_that_training_cannot_use(code):
    with pytest.raises(ModelError, match="torch module"):
        call_for_module(f"{code}:function", 0)
    with pytest.raises(ModelError, match="was not found"):
        call_for_module(f"{code.with_name('other.py')}:net", 0)


def test_a_function_does_not_tell_the_size_of_its_images(config):
    with pytest.raises(InvalidArgument, match=r"^data\.image_size"):
        images_of_model(config("net", "data.image_size=null"))
    assert images_of_model(config("net")) == (3, None)
    assert images_of_model(config("net", "model.options.in_chans=1")) == (1, None)


@pytest.mark.parametrize(
    "setting", ["pretrained=false", "weights=a.pth", "head=pretrained", "options.drop_rate=0.1"]
)
def test_settings_of_a_backbone_are_refused_for_a_function(config, setting):
    with pytest.raises(InvalidArgument, match=rf"model\.{setting.partition('=')[0].split('.')[0]}"):
        config("net", f"model.{setting}")


@pytest.mark.parametrize("option", ["in_chans", "drop_rate"])
def test_true_is_no_number_for_an_option_of_the_architecture(option, tiny_settings, tmp_path):
    settings = [one for one in tiny_settings if not one.startswith("model.")]
    settings += ["model.name=resnet18", "model.pretrained=false", f"model.options.{option}=true"]
    with pytest.raises(InvalidArgument, match=rf"^model\.options\.{option}=true"):
        train_run(load_config(None, settings), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("option", ["checkpoint_path=a.pth", "num_classes=5", "scriptable=true"])
def test_options_that_a_saved_model_could_not_keep_are_refused_at_the_start(
    option, tiny_settings, tmp_path
):
    config = load_config(None, [*tiny_settings, f"model.options.{option}"])
    with pytest.raises(InvalidArgument, match=rf"^model\.options={option.partition('=')[0]}"):
        train_run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("robustbnch:Engstrom2019Robustness", "robustbench:Engstrom2019Robustness"),
        ("aers:swinb_at", "ares:swinb_at"),
        ("local-dri:runs/first/model", "local-dir:runs/first/model"),
        ("hf-hbu:timm/resnet18", "hf-hub:timm/resnet18"),
    ],
)
def test_a_misspelled_prefix_is_answered_before_the_size_of_the_images(name, meant):
    config = load_config(None, [f"model={name}", "data=photos"])
    with pytest.raises(UnknownName, match=f"did you mean {meant}"):
        images_of_model(config)
