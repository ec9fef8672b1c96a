"""Saving a model as a folder that `timm.create_model('local-dir:FOLDER')` loads."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from timm.models import PretrainedCfg, filter_pretrained_cfg

from rampart.checksums import LISTING, list_checksums
from rampart.choices import Resize
from rampart.counting import counted
from rampart.errors import InvalidArgument, ModelError, RunError
from rampart.files import remove, replacing, why_unwritten, write_atomic
from rampart.models.normalized import NormalizedModel
from rampart.models.own import OwnBackbone, own_config

#: Keys of timm's description that hold only for the weights before training.
_OUTDATED = (
    "tag",
    "license",
    "pool_size",
    "test_input_size",
    "test_crop_pct",
    "min_input_size",
    "label_offset",
    "label_names",
    "label_descriptions",
    "custom_load",
)


def save_model(
    model: NormalizedModel,
    folder: str | Path,
    class_names: Sequence[str],
    image_size: int | None = None,
    resize: Resize = "crop",
) -> None:
    """Write `config.json`, `model.safetensors` and their `checksums.json`.

    `build_model("local-dir:FOLDER", pretrained_head=True)` returns the whole model.
    `timm.create_model("local-dir:FOLDER", pretrained=True)` returns the backbone, which expects
    images normalized by the mean and std in `config.json`, as by timm's transforms (for
    `rampart_glyphnet`, import `rampart.models.glyphnet` first). Another module than timm's is
    loaded by `rampart.models.own.load_own`.

    Args:
        model: the model to save.
        folder: created if missing; its files are replaced.
        class_names: one for each logit.
        image_size: side of the images, in pixels; by default that of the model.
        resize: how its images become squares, for timm's transforms.

    Raises:
        InvalidArgument: not one name for each class.
        ModelError: the architecture is unknown, or its arguments are not plain values.
        RunError: the folder cannot be written.
    """
    config = config_text(model, class_names, image_size or model.image_size, resize)
    own = model.backbone
    network = own.module if isinstance(own, OwnBackbone) else own
    folder = Path(folder)
    state = network.state_dict()
    weights = {key: value.detach().cpu().contiguous().clone() for key, value in state.items()}
    # Until all files are new, no checksum may contradict one of them.
    remove(folder / LISTING)
    try:
        with replacing(folder / "model.safetensors") as scratch:
            save_file(weights, scratch, metadata={"format": "pt"})
    except SafetensorError as error:
        why = why_unwritten(error)
        raise RunError(f"model {folder} cannot be written ({why}): free some space.") from error
    write_atomic(folder / "config.json", config)
    own_files = ("config.json", "model.safetensors")
    write_atomic(folder / LISTING, list_checksums(folder, own_files))


def config_text(
    model: NormalizedModel,
    class_names: Sequence[str],
    image_size: int,
    resize: Resize = "crop",
) -> str:
    """Return `config.json`; arguments and errors as `save_model`."""
    if len(class_names) != model.num_classes:
        expected = f"{model.num_classes}, one for each class of the model"
        raise InvalidArgument("class_names", counted(len(class_names), "name"), expected)
    own = isinstance(model.backbone, OwnBackbone)
    config = (own_config if own else model_config)(model, class_names, image_size)
    described = config if own else config["pretrained_cfg"]
    # How `rampart.data.decode` prepares images, in timm's words.
    described |= {
        "crop_pct": 1.0,
        "crop_mode": "squash" if resize == "squash" else "center",
        "interpolation": "bicubic",
    }
    try:
        return json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"the model cannot be described in config.json ({error}): use plain values (numbers, "
            "strings, lists) in model.options and in the pretrained_cfg of its architecture."
        ) from error


def model_config(
    model: NormalizedModel, class_names: Sequence[str], image_size: int
) -> dict[str, Any]:
    """Return the content of `config.json` in timm's format."""
    backbone: Any = model.backbone
    own = getattr(backbone, "pretrained_cfg", None) or {}
    if isinstance(own, PretrainedCfg):
        own = own.to_dict()  # type: ignore[no-untyped-call]  # timm
    cfg = filter_pretrained_cfg(  # type: ignore[no-untyped-call]  # timm
        own, remove_source=True, remove_null=True
    )
    architecture = cfg.pop("architecture", None) or model.architecture
    if not architecture:
        raise ModelError(
            "the architecture of the model is unknown, so it could not be loaded again: build it "
            "with rampart.models.backbones.build_model from a name of timm."
        )
    cfg = {key: value for key, value in cfg.items() if key not in _OUTDATED}
    cfg |= {
        "num_classes": model.num_classes,
        "input_size": [model.in_chans, image_size, image_size],
        "mean": model.mean.flatten().tolist(),
        "std": model.std.flatten().tolist(),
    }
    features = getattr(backbone, "num_features", None)
    return {
        "architecture": architecture,
        "num_classes": model.num_classes,
        **({"num_features": features} if features is not None else {}),
        "label_names": list(class_names),
        "model_args": model.model_args,
        "pretrained_cfg": cfg,
    }
