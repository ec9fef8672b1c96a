"""The datasets of torchvision by name, without importing them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TorchName:
    """A torchvision dataset and its names of the splits.

    Attributes:
        cls: name of the class in `torchvision.datasets`.
        splits: arguments that select each split.
    """

    cls: str
    splits: Mapping[str, Mapping[str, Any]]


_FLAG: Mapping[str, Mapping[str, Any]] = {"train": {"train": True}, "test": {"train": False}}
_TWO: Mapping[str, Mapping[str, Any]] = {"train": {"split": "train"}, "test": {"split": "test"}}
_THREE = {**_TWO, "validation": {"split": "val"}}
TORCH_NAMES = {
    "cifar10": TorchName("CIFAR10", _FLAG),
    "cifar100": TorchName("CIFAR100", _FLAG),
    "mnist": TorchName("MNIST", _FLAG),
    "fashion_mnist": TorchName("FashionMNIST", _FLAG),
    "kmnist": TorchName("KMNIST", _FLAG),
    "svhn": TorchName("SVHN", _TWO),
    "stl10": TorchName("STL10", _TWO),
    "food101": TorchName("Food101", _TWO),
    "stanford_cars": TorchName("StanfordCars", _TWO),
    "fgvc_aircraft": TorchName("FGVCAircraft", _THREE),
    "flowers102": TorchName("Flowers102", _THREE),
    "dtd": TorchName("DTD", _THREE),
    "oxford_iiit_pet": TorchName("OxfordIIITPet", {**_TWO, "train": {"split": "trainval"}}),
    "imagenette": TorchName(
        "Imagenette", {"train": {"split": "train"}, "validation": {"split": "val"}}
    ),
    "caltech101": TorchName("Caltech101", {"train": {}}),
    "caltech256": TorchName("Caltech256", {"train": {}}),
    "eurosat": TorchName("EuroSAT", {"train": {}}),
    "gtsrb": TorchName("GTSRB", _TWO),
}
