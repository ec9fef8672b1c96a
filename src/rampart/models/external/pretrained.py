"""Models by names of timm and torchvision, and folders and files in timm's format."""

import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import torchvision
from torch import nn

from rampart.choices import Resize
from rampart.errors import ModelError, UnknownName, reason
from rampart.models.backbones import build_model
from rampart.models.catalogue import full_name
from rampart.models.external.class_names import imagenet_synsets, with_synonyms
from rampart.models.external.fingerprints import weights_fingerprint
from rampart.models.external.loaded import LoadedModel, Wanted
from rampart.models.references import CATALOGUE_PREFIXES, TIMM_PREFIXES
from rampart.models.sources import Source, find_source, require_file
from rampart.models.weight_files import WEIGHT_SUFFIXES, read_weights
from rampart.models.weights import classes_in, fit_weights, without_prefix
from rampart.progress.tqdm_bars import tqdm_bars
from rampart.progress.work import is_shown
from rampart.runtime import scoped_seed

#: Number of classes of torchvision's architectures by default.
_CLASSES = 1000
#: Our words for timm's crop modes; it has another one, which pads.
_RESIZES: dict[str, Resize] = {"center": "crop", "squash": "squash"}


def load_timm(name: str, wanted: Wanted) -> LoadedModel:
    """Return a model by its name in timm or in the catalogue, or from a folder or file of timm.

    "NAME:FILE" loads a weights file into the architecture NAME, with as many classes as its head.

    Raises:
        UnknownName: no such architecture or tag.
        ModelError: the weights are missing, cannot be read, or do not fit.
    """
    architecture, file = _split_file(name)
    source = find_source(architecture, file)
    model = build_model(
        architecture,
        weights=file,
        pretrained_head=True,
        mean=wanted.mean,
        std=wanted.std,
        # Used only for models of a fixed size.
        image_size=wanted.image_size,
    )
    own = (model.in_chans, source.input_size[1], source.input_size[2])
    found = wanted.examine(
        model,
        name=full_name(architecture) + (f":{file}" if file else ""),
        source="timm",
        fingerprint=weights_fingerprint(model),
        own_size=own,
        # Nothing names the classes of a bare weights file.
        namings=_timm_namings(source) if not file or _names_classes(source) else [],
    )
    return replace(found, resize=_RESIZES.get(str(source.pretrained_cfg.get("crop_mode"))))


def _names_classes(source: Source) -> bool:
    return source.entry is not None or "label_names" in source.pretrained_cfg


def _split_file(name: str) -> tuple[str, str | None]:
    """Split "NAME:FILE"; names of timm and of the catalogue may have a prefix with a colon."""
    first, _, rest = name.partition(":")
    if not rest or first in TIMM_PREFIXES:
        return name, None
    if first in CATALOGUE_PREFIXES:
        second, _, file = rest.partition(":")
        return f"{first}:{second}", file or None
    return first, rest


def _timm_namings(source: Source) -> list[tuple[str, ...]]:
    names = source.pretrained_cfg.get("label_names")
    if names:
        return with_synonyms(names)
    if source.pretrained_cfg.get("num_classes") == 1000 and "in1k" in _tag(source):
        return with_synonyms(imagenet_synsets())
    return []


def _tag(source: Source) -> str:
    return source.name.partition(".")[2] or str(source.pretrained_cfg.get("tag") or "")


def load_torchvision(name: str, wanted: Wanted) -> LoadedModel:
    """Return a classifier of torchvision, such as "resnet18:IMAGENET1K_V1", with its normalization.

    "NAME:FILE" loads a weights file into the architecture NAME, with as many classes as its head.
    Without `wanted.mean` it is normalized as torchvision's own weights of this architecture.

    Raises:
        UnknownName: no such classifier or weights.
        ModelError: the name has no weights, or they cannot be downloaded, read, or do not fit.
    """
    architecture, _, tag = name.partition(":")
    known = torchvision.models.list_models(module=torchvision.models)
    if architecture not in known:
        raise UnknownName("torchvision classifier", architecture, known)
    entries = torchvision.models.get_model_weights(architecture)
    tags = list(entries.__members__)
    if not tag:
        raise ModelError(
            f"'torchvision:{architecture}' names no weights and would be untrained: write "
            f"torchvision:{architecture}:{tags[0]}"
            + (f" (or {', '.join(tags[1:])})" if tags[1:] else "")
            + f", or torchvision:{architecture}:FILE for a weights file."
        )
    if tag.endswith(WEIGHT_SUFFIXES) or Path(tag).is_file():
        file, weights = require_file(Path(tag)), entries["DEFAULT"]
        model, tag = _with_file(architecture, file, wanted.image_size), str(file)
    elif tag in tags:
        file, weights = None, entries[tag]
        model, tag = _with_weights(architecture, weights), weights.name
    else:
        otherwise = f"A weights file ends in one of {', '.join(WEIGHT_SUFFIXES)}"
        raise UnknownName(f"weights of torchvision's {architecture}", tag, tags, otherwise)
    transform = weights.transforms()
    side = getattr(model, "image_size", transform.crop_size[0])
    size = (len(transform.mean), side, side)
    fingerprint = weights_fingerprint(model)
    return wanted.examine(
        wanted.normalized(model, size, transform.mean, transform.std),
        name=f"torchvision:{architecture}:{tag}",
        source="torchvision",
        fingerprint=fingerprint,
        own_size=size,
        # Nothing names the classes of a weights file.
        namings=[] if file else with_synonyms(weights.meta["categories"]),
    )


def _with_file(architecture: str, file: Path, image_size: int | None) -> nn.Module:
    """Build an architecture for the classes of a weights file, and load the file."""
    weights = read_weights(file)
    options: dict[str, Any] = {}
    if architecture in ("googlenet", "inception_v3"):
        auxiliary = any("aux" in key.lower() for key in weights)
        # As torchvision builds them for its own weights; weights are not drawn, which is slow.
        options = {"aux_logits": auxiliary, "transform_input": True, "init_weights": False}
    if architecture.startswith("vit_") and image_size:
        options = {"image_size": image_size}

    def build(**more: int) -> nn.Module:
        with scoped_seed(0, "backbone"):
            return torchvision.models.get_model(architecture, weights=None, **options, **more)

    model = build()
    weights = without_prefix(weights, model.state_dict(), str(file))
    classes = classes_in(weights, model.state_dict(), _CLASSES)
    if classes != _CLASSES:
        model = build(num_classes=classes)
    fit_weights(model, weights, pretrained_head=True, origin=str(file))
    return model


def _with_weights(architecture: str, weights: Any) -> nn.Module:
    try:
        # torchvision unpickles its download; this call checks the file first and runs no code.
        with tqdm_bars(f"{architecture}:{weights.name}"):
            weights.get_state_dict(progress=is_shown(), check_hash=True, weights_only=True)
        return torchvision.models.get_model(architecture, weights=weights, progress=False)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        cache = os.environ.get("TORCH_HOME", "~/.cache/torch") + "/hub/checkpoints"
        raise ModelError(
            f"the weights of 'torchvision:{architecture}:{weights.name}' cannot be loaded "
            f"({reason(error)}); without a network put {weights.url} into {cache}."
        ) from error


def refuse_pickle(path: str) -> str:
    """Return the message that refuses a pickle whose architecture is unknown."""
    return (
        f"'{path}' is a pickle, from which only weights are read, and its architecture is unknown: "
        f"write timm:NAME:{path} or torchvision:NAME:{path}, or a function that loads it, as "
        "FILE.py:FUNCTION."
    )
