"""Models as users give them; each writer returns its files, relative to the folder."""

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import ResNetConfig, ResNetForImageClassification

from benchmarks.fuzzing.attempts import attempt
from benchmarks.fuzzing.material import Material

#: Seconds of computing that an export may take.
_EXPORT = 200


def torch_weights(material: Material, folder: Path) -> list[Path]:
    """Write tensors by torch.save."""
    torch.save(_weights(material), folder / "weights.pth")
    return [Path("weights.pth")]


def safetensors(material: Material, folder: Path) -> list[Path]:
    """Write a file of safetensors."""
    save_file(_weights(material), folder / "weights.safetensors")
    return [Path("weights.safetensors")]


def lightning(material: Material, folder: Path) -> list[Path]:
    """Write a checkpoint as Lightning does: tensors beside plain values."""
    content = {"epoch": 1, "state_dict": _weights(material), "hyper_parameters": {"lr": 0.1}}
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
    return [Path("config.json"), Path("model.safetensors")]


def _weights(material: Material) -> dict[str, Tensor]:
    weights = load_file(material.run / "model" / "model.safetensors")
    return {key.removeprefix("backbone."): one for key, one in weights.items()}
