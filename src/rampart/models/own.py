"""A network that the user gives as a module: training, saving and loading.

A network of timm is saved as timm does it. For any other module Python code has to build it again,
and the folder holds its weights:

    model.safetensors  the state_dict of the module
    config.json        name of its class, classes, size of the images, mean and std
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from rampart.checksums import KEEP, require_unchanged
from rampart.errors import ModelError, reason
from rampart.logits import read_logits
from rampart.models.normalized import NormalizedModel
from rampart.models.weight_files import read_weights
from rampart.models.weights import fit_exactly, require_numbers
from rampart.plain import read_json

#: Key of config.json that only such a folder has.
MODULE = "module"


class OwnBackbone(nn.Module):
    """A module of the user instead of a network of timm.

    The head is the last linear layer of the module, if it has K outputs.

    Attributes:
        module: images (N, C, H, W) to logits (N, K), or to an object that holds them.
        num_classes: K.
    """

    def __init__(self, module: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.module = module
        self.num_classes = num_classes

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, K)."""
        return read_logits(self.module(images), len(images), self.num_classes)

    def get_classifier(self) -> nn.Module | tuple[()]:
        """Return the head, or () if it is unknown."""
        linear = [part for part in self.module.modules() if isinstance(part, nn.Linear)]
        known = bool(linear) and linear[-1].out_features == self.num_classes
        return linear[-1] if known else ()


def own_config(
    model: NormalizedModel, class_names: Sequence[str], image_size: int
) -> dict[str, Any]:
    """Return the content of config.json for a module of the user."""
    assert isinstance(model.backbone, OwnBackbone)
    kind = type(model.backbone.module)
    return {
        MODULE: f"{kind.__module__}.{kind.__qualname__}",
        "num_classes": model.num_classes,
        "label_names": list(class_names),
        "input_size": [model.in_chans, image_size, image_size],
        "mean": model.mean.flatten().tolist(),
        "std": model.std.flatten().tolist(),
    }


def load_own(folder: str | Path, module: nn.Module) -> NormalizedModel:
    """Return a classifier of pixels in [0, 1] from a module and the weights in a folder.

    Args:
        folder: written by `save_model` for such a module.
        module: a module of the same architecture, or a `NormalizedModel` of one; it is copied.

    Raises:
        ModelError: the weights do not fit the module, or the folder holds no such module.
    """
    path = Path(folder, "config.json")
    require_unchanged(path, KEEP)
    try:
        config = read_json(path)
        size = tuple(config["input_size"])
        mean, std, classes = config["mean"], config["std"], int(config["num_classes"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"'{path}' does not describe a module ({reason(error)}).") from error
    inner = module.backbone if isinstance(module, NormalizedModel) else module
    inner = inner.module if isinstance(inner, OwnBackbone) else inner
    copied = copy.deepcopy(inner).cpu()
    fit_exactly(copied, read_weights(Path(folder, "model.safetensors")), True, str(folder))
    require_numbers(copied, str(folder))
    return NormalizedModel(OwnBackbone(copied, classes), mean, std, size[-1])
