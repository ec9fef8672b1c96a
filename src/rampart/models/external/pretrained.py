"""Models by names of timm and torchvision, and folders and files in timm's format."""

import os
import pickle
from typing import Any

import torchvision
from torch import nn

from rampart.errors import ModelError, UnknownName, reason
from rampart.models.backbones import build_model
from rampart.models.external.class_names import imagenet_synsets, with_synonyms
from rampart.models.external.loaded import LoadedModel, Wanted, weights_fingerprint
from rampart.models.sources import Source, find_source

_SAFE = ".safetensors"


def load_timm(name: str, wanted: Wanted) -> LoadedModel:
    """Return a model by timm's name, or from a folder or safetensors file in timm's format.

    Raises:
        UnknownName: no such architecture or tag.
        ModelError: the weights are missing, a pickle, or do not fit.
    """
    source = find_source(name)
    if source.weights is not None and source.weights.suffix != _SAFE:
        raise ModelError(refuse_pickle(str(source.weights)))
    model = build_model(
        name,
        pretrained_head=True,
        mean=wanted.mean,
        std=wanted.std,
        # Used only for models of a fixed size.
        image_size=wanted.image_size,
    )
    own = (model.in_chans, source.input_size[1], source.input_size[2])
    return wanted.examine(
        model,
        name=name,
        source="timm",
        fingerprint=weights_fingerprint(model),
        own_size=own,
        namings=_timm_namings(source),
    )


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

    Raises:
        UnknownName: no such classifier or weights.
        ModelError: the name has no weights, or they cannot be downloaded.
    """
    architecture, _, tag = name.partition(":")
    known = torchvision.models.list_models(module=torchvision.models)
    if architecture not in known:
        raise UnknownName("torchvision classifier", architecture, known)
    tags = list(torchvision.models.get_model_weights(architecture).__members__)
    if not tag:
        raise ModelError(
            f"'torchvision:{architecture}' names no weights and would be untrained: write "
            f"torchvision:{architecture}:{tags[0]}"
            + (f" (or {', '.join(tags[1:])})." if tags[1:] else ".")
        )
    if tag not in tags:
        raise UnknownName(f"weights of torchvision's {architecture}", tag, tags)
    weights = torchvision.models.get_model_weights(architecture)[tag]
    transform = weights.transforms()
    size = (len(transform.mean), transform.crop_size[0], transform.crop_size[0])
    model = _with_weights(architecture, weights)
    fingerprint = weights_fingerprint(model)
    return wanted.examine(
        wanted.normalized(model, size, transform.mean, transform.std),
        name=f"torchvision:{architecture}:{weights.name}",
        source="torchvision",
        fingerprint=fingerprint,
        own_size=size,
        namings=with_synonyms(weights.meta["categories"]),
    )


def _with_weights(architecture: str, weights: Any) -> nn.Module:
    try:
        # torchvision unpickles its download; this call checks the file first and runs no code.
        weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
        return torchvision.models.get_model(architecture, weights=weights, progress=False)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        cache = os.environ.get("TORCH_HOME", "~/.cache/torch") + "/hub/checkpoints"
        raise ModelError(
            f"the weights of 'torchvision:{architecture}:{weights.name}' cannot be loaded "
            f"({reason(error)}); without a network put {weights.url} into {cache}."
        ) from error


def refuse_pickle(reference: str) -> str:
    """Return the message that refuses a pickle."""
    return (
        f"'{reference}' is a pickle, which can run any code when it is opened: save the weights as "
        "safetensors, or write a function that loads it and name it as FILE.py:FUNCTION."
    )
