import pytest
import torch

from published import layer, prefixed
from rampart.errors import ModelError
from rampart.models.backbones import build_model
from rampart.models.conversion import without_normalization
from rampart.models.saving import save_model

OWN = ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
WORDS = [("mean", "std"), ("new_mean", "new_std"), ("mu", "sigma")]


def weights(path):
    network = build_model("test_resnet", pretrained=False, num_classes=10)
    return network.backbone.state_dict(), path / "weights.pth"


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("name", ["normalize", "module.normalizer", "model.0", "0"])
def test_a_normalization_in_the_file_must_be_that_of_the_model(name, words, tmp_path):
    state, file = weights(tmp_path)
    prefix = name.removesuffix("normalizer").removesuffix("normalize").replace("0", "1.")
    content = {**prefixed(prefix, state), **layer(OWN, name, words)}
    torch.save(content, file)
    options = {"weights": file, "num_classes": 3}
    with pytest.raises(ModelError, match=r"trained with mean \[0\.1, .*model\.mean"):
        build_model("test_resnet", **options)
    model = build_model("test_resnet", **options, mean=OWN[0], std=OWN[1])
    assert torch.equal(model.backbone.conv1[0].weight, state["conv1.0.weight"])


def test_a_saved_model_of_rampart_tells_its_normalization(tmp_path):
    model = build_model("test_resnet", pretrained=False, num_classes=3, mean=OWN[0], std=OWN[1])
    torch.save(model.state_dict(), tmp_path / "whole.pth")
    with pytest.raises(ModelError, match=r"model\.std"):
        build_model("test_resnet", weights=tmp_path / "whole.pth", num_classes=3)


def test_weights_of_the_network_itself_stay():
    own = {"norm.mean": torch.zeros(3), "norm.std": torch.ones(3)}
    given = prefixed("module.", own)
    assert without_normalization(given, own, OWN, "file") == given
    others = {"norm.mean": torch.zeros(5), "norm.std": torch.ones(5), "x.mean": torch.zeros(3)}
    assert without_normalization(others, {}, OWN, "file") == others


def test_the_saved_model_of_a_run_is_read_as_before(tmp_path):
    model = build_model("test_resnet", pretrained=False, num_classes=3, mean=OWN[0], std=OWN[1])
    save_model(model, tmp_path, "abc", 32)
    again = build_model(str(tmp_path), pretrained_head=True)
    assert torch.equal(again.mean, model.mean)
