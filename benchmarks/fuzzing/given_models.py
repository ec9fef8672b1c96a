"""Models as users give them; each writer returns its files, relative to the folder."""

import shutil
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

from benchmarks.fuzzing.attempts import attempt
from benchmarks.fuzzing.material import Material

#: Seconds of computing that an export may take.
_EXPORT = 200


def torch_weights(material: Material, folder: Path) -> list[Path]:
    """Write tensors by torch.save."""
    torch.save(_weights(), folder / "weights.pth")
    return [Path("weights.pth")]


def safetensors(material: Material, folder: Path) -> list[Path]:
    """Write a file of safetensors."""
    save_file(_weights(), folder / "weights.safetensors")
    return [Path("weights.safetensors")]


def lightning(material: Material, folder: Path) -> list[Path]:
    """Write a checkpoint as Lightning does: tensors beside plain values."""
    content = {"epoch": 1, "state_dict": _weights(), "hyper_parameters": {"lr": 0.1}}
    torch.save(content, folder / "weights.ckpt")
    return [Path("weights.ckpt")]


def onnx(material: Material, folder: Path) -> list[Path]:
    """Export the model of the run."""
    words = ["export", str(material.run), "--to", "onnx", "-o", str(folder / "model.onnx")]
    made = attempt(words, folder.parent, _EXPORT)
    if made.status:
        raise SystemExit(f"the program that is to be damaged failed: {made.err}")
    return [Path("model.onnx")]


def timm_folder(material: Material, folder: Path) -> list[Path]:
    """Write a model as timm does: without checksums."""
    names = ("config.json", "model.safetensors")
    for name in names:
        shutil.copy(material.run / "model" / name, folder)
    return [Path(name) for name in names]


def transformers_folder(material: Material, folder: Path) -> list[Path]:
    """Write a model as transformers does."""
    config = ResNetConfig(
        embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], layer_type="basic", num_labels=3
    )
    names = {0: "blue", 1: "green", 2: "red"}
    config.id2label, config.label2id = names, {name: number for number, name in names.items()}
    ResNetForImageClassification(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder)
    return [Path(name) for name in ("config.json", "preprocessor_config.json", "model.safetensors")]


def _weights() -> dict[str, Tensor]:
    """The weights of a fresh network for gray images, as its architecture is by default."""
    return dict(timm.create_model("rampart_glyphnet", num_classes=3).state_dict())
