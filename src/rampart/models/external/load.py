"""Loading the model that a reference names."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torchvision

from rampart.errors import ModelError, UnknownName
from rampart.models.external.exported import load_exported
from rampart.models.external.factories import load_factory
from rampart.models.external.hugging_face import load_hugging_face
from rampart.models.external.loaded import LoadedModel, Wanted
from rampart.models.external.onnx import load_onnx
from rampart.models.external.pretrained import load_timm, load_torchvision, refuse_pickle
from rampart.models.external.torchscript import load_torchscript
from rampart.models.references import (
    CATALOGUE_PREFIXES,
    PREFIXES,
    TIMM_PREFIXES,
    is_function,
    misspelled_prefix,
)
from rampart.plain import read_json

_LOAD: dict[str, Callable[[str, Wanted], LoadedModel]] = {
    "timm": load_timm,
    "torchvision": load_torchvision,
    "hf": load_hugging_face,
    "factory": load_factory,
    "exported": load_exported,
    "onnx": load_onnx,
    "torchscript": load_torchscript,
}
_FILES = {
    ".onnx": "onnx",
    ".pt2": "exported",
    ".torchscript": "torchscript",
    ".safetensors": "timm",
}
_PICKLES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt", ".tar")


def load_model(
    reference: str,
    *,
    num_classes: int | None = None,
    image_size: int | None = None,
    in_chans: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    device: str | torch.device = "cpu",
) -> LoadedModel:
    """Return the model that a reference names, after a test on two images.

    The first rule that applies decides:

    1. A prefix: "timm:NAME", "torchvision:NAME:WEIGHTS", "hf:REPOSITORY_OR_FOLDER", and timm's own
       "hf-hub:NAME" and "local-dir:FOLDER"; or one of the catalogue of backbones, such as
       "ares:NAME". "timm:NAME:FILE", "torchvision:NAME:FILE" and "ares:NAME:FILE" load a weights
       file into an architecture.
    2. The ending of a file: ".onnx", ".pt2" or ".torchscript" (which can run code, see
       `load_exported`), or ".safetensors" with its configuration beside it. Pickles (".pt", ".pth",
       ".bin") without a configuration are refused, because their architecture is unknown; where it
       is known, only weights are read from them.
    3. A folder with `config.json` in the format of timm or transformers.
    4. "module:function" or "path/to/file.py:function": code of the user, which is run.
    5. Anything else is a short name of the catalogue of backbones, or a name of timm.

    Args:
        reference: see above.
        num_classes: required number of logits; None for any. `check_classes` compares them with
            the data.
        image_size: side of the images, in pixels; by default that of the model.
        in_chans: number of channels of the images; likewise.
        mean: of each channel, instead of the model's own; for exported programs, ONNX and
            functions that expect normalized images.
        std: of each channel, likewise.
        device: device of the model.

    Raises:
        UnknownName: an unknown name; the error suggests the nearest.
        ModelError: the model cannot be loaded, or is not a classifier of such images.
        MissingExtra: the model needs a package that is not installed.
        InvalidArgument: `num_classes` below 2, or mean and std that do not fit.
    """
    wanted = Wanted(num_classes, image_size, in_chans, mean, std, torch.device(device))
    kind, rest = kind_of(reference)
    try:
        return _LOAD[kind](rest, wanted)
    except UnknownName:
        if kind == "timm" and rest in torchvision.models.list_models(module=torchvision.models):
            raise UnknownName("model of timm", rest, [f"torchvision:{rest}"]) from None
        raise


def kind_of(reference: str) -> tuple[str, str]:
    """Return the kind of model that a reference names, and the reference without its prefix.

    Nothing is loaded.

    Raises:
        UnknownName: an unknown prefix before the colon.
        ModelError: a pickle, or a file or folder that does not exist or is not a model.
    """
    prefix, colon, rest = reference.partition(":")
    if colon and prefix in PREFIXES:
        return prefix, rest
    if colon and prefix in (*TIMM_PREFIXES, *CATALOGUE_PREFIXES):
        return "timm", reference
    path = Path(reference).expanduser()
    if path.suffix in (*_FILES, *_PICKLES):
        return _kind_of_file(path)
    if path.is_dir():
        return _kind_of_folder(path)
    if is_function(reference):
        if meant := misspelled_prefix(reference):
            raise UnknownName("kind of model", reference, [meant])
        return "factory", reference
    if path.suffix == ".py":
        raise ModelError(f"'{reference}': name the function that returns the model, {path}:NAME.")
    if colon:
        known = [*PREFIXES, *TIMM_PREFIXES, *CATALOGUE_PREFIXES]
        raise UnknownName("kind of model", prefix, known)
    return "timm", reference


def _kind_of_file(path: Path) -> tuple[str, str]:
    if path.suffix in _PICKLES and not path.with_suffix(".json").is_file():
        raise ModelError(refuse_pickle(str(path)))
    if not path.is_file():
        raise ModelError(f"model '{path}': the file does not exist.")
    return _FILES.get(path.suffix, "timm"), str(path)


def _kind_of_folder(path: Path) -> tuple[str, str]:
    try:
        config = read_json(path / "config.json")
    except (OSError, ValueError):
        config = {}
    if isinstance(config, dict) and "architecture" in config:
        return "timm", str(path)
    if isinstance(config, dict) and "model_type" in config:
        return "hf", str(path.resolve())
    raise ModelError(
        f"model folder '{path}' has no config.json of timm, transformers or `rampart train`: name "
        "the folder that holds the model."
    )
