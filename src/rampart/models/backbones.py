"""Building a classifier from a name: find the source, build, load, replace the head."""

import inspect
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

import timm
from timm.models import PretrainedCfg
from torch import nn

from rampart.counting import counted
from rampart.errors import InvalidArgument, ModelError, RampartError, reason
from rampart.hub_access import hub_access
from rampart.models.conversion import Normalization, read_for
from rampart.models.normalized import NormalizedModel
from rampart.models.resizing import resize, try_size
from rampart.models.sources import Source, Unreachable, find_source, unreachable
from rampart.models.weight_files import Weights
from rampart.models.weights import (
    classes_in,
    fit_weights,
    require_numbers,
)
from rampart.runtime import scoped_seed
from rampart.value_types import require_no_booleans

#: Arguments that belong to timm's functions or follow from other settings. A saved model would not
#: have them when it is loaded again.
NO_OPTIONS = {
    **dict.fromkeys(inspect.signature(timm.create_model).parameters, "leave it out"),
    **dict.fromkeys(("pretrained_strict", "pretrained_filter_fn"), "give weights that fit"),
    "checkpoint_path": "write model.weights=FILE",
    "pretrained": "write model.pretrained",
    "num_classes": "it follows from the data",
    "features_only": "leave it out",
    "device": "write training.device",
    "dtype": "write training.precision",
}


def build_model(
    name: str,
    *,
    num_classes: int | None = None,
    pretrained: bool = True,
    weights: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    in_chans: int | None = None,
    image_size: int | None = None,
    pretrained_head: bool = False,
    seed: int = 0,
) -> NormalizedModel:
    """Return a classifier of pixels in [0, 1] with loaded weights and a fresh head.

    Args:
        name: a name of the catalogue or of timm, "hf-hub:OWNER/NAME", "local-dir:FOLDER", or a
            weights file with a configuration beside it (x.safetensors and x.json).
        num_classes: number of classes of the fresh head; required unless `pretrained_head`.
        pretrained: load timm's weights; otherwise the weights are random.
        weights: a safetensors or torch file for the named architecture.
        options: arguments of the architecture, such as {"drop_path_rate": 0.1}.
        mean: of each channel; by default that of the training of the weights.
        std: of each channel; likewise.
        in_chans: number of channels of the images; likewise.
        image_size: side of the images in pixels; only models of a fixed size need it.
        pretrained_head: use the head of the weights, to evaluate a finished model or to continue
            its training.
        seed: of the fresh head, and of a backbone without weights.

    Raises:
        UnknownName: no such backbone, architecture or tag.
        ModelError: the weights cannot be found, downloaded or read, do not fit, or hold another
            normalization.
        InvalidArgument: `num_classes` is missing or below 2, an option is not an argument of the
            architecture, or is true or false in place of a number.
    """
    if not pretrained_head and (num_classes is None or num_classes < 2):
        raise InvalidArgument("num_classes", num_classes, "at least 2")
    _check_options(options or {})
    source = find_source(name, weights)
    if pretrained and not source.has_weights:
        raise ModelError(
            f"there are no weights for '{name}': give weights=FILE or pretrained=false."
        )
    if pretrained:
        source = source.fetched()
    arguments = {**source.model_args, **(options or {})}
    if in_chans is not None:
        arguments["in_chans"] = in_chans
    own_mean, own_std = source.normalization(int(arguments.get("in_chans", source.in_chans)))
    normalization = (
        _per_channel("mean", mean, own_mean),
        _per_channel("std", std, own_std),
    )

    def build() -> nn.Module:
        with scoped_seed(seed, "backbone"):
            if source.weights is None:
                return _from_timm(source, arguments, image_size, pretrained)
            return _from_file(
                source, arguments, image_size, normalization, pretrained, pretrained_head
            )

    backbone = build()
    if not pretrained_head and not hasattr(backbone, "reset_classifier"):
        # The head of this architecture cannot be replaced later.
        arguments["num_classes"] = num_classes
        backbone = build()
    require_no_booleans("options", options or {}, type(backbone))
    _require_interface(backbone, source.architecture)
    with scoped_seed(seed, "head"):
        _set_head(backbone, name, num_classes, pretrained_head)
    require_numbers(backbone, name)
    return NormalizedModel(
        backbone,
        *normalization,
        image_size or source.image_size,
        arguments,
        source.architecture,
    )


def _check_options(options: Mapping[str, Any]) -> None:
    for name in options:
        if name in NO_OPTIONS:
            expected = "arguments of the architecture, with which the saved model is built again"
            raise InvalidArgument("options", name, expected, NO_OPTIONS[name])


def _from_timm(
    source: Source, arguments: dict[str, Any], image_size: int | None, pretrained: bool
) -> nn.Module:
    """Build as timm does, with the classes of the weights, so that timm loads them strictly."""
    own = source.image_size
    if not (image_size and source.has_fixed_size):
        return _create(source.name, pretrained, arguments)
    sized = {**arguments, "img_size": image_size}
    channels = int(arguments.get("in_chans", source.in_chans))
    try:
        backbone = _create(source.name, pretrained, sized)
        if image_size != own:
            try_size(backbone, image_size, channels)
    except Unreachable:
        raise
    # The code of an architecture may raise any error.
    except Exception:
        if image_size == own:
            # Some architectures do not take the argument.
            return _create(source.name, pretrained, arguments)
        backbone, arguments["img_size"] = resize(
            _create(source.name, pretrained, arguments),
            lambda side: _create(source.name, False, {**arguments, "img_size": side}),
            own,
            image_size,
            channels,
        )
    else:
        arguments["img_size"] = image_size
    return backbone


def _from_file(
    source: Source,
    arguments: dict[str, Any],
    image_size: int | None,
    normalization: Normalization,
    pretrained: bool,
    pretrained_head: bool,
) -> nn.Module:
    """Build with the input size of the weights, load them, and then change the size."""
    assert source.weights is not None
    known = {f.name for f in fields(PretrainedCfg)}
    cfg = {key: value for key, value in source.pretrained_cfg.items() if key in known}
    with_cfg = {**arguments, "pretrained_cfg": cfg}
    backbone = _create(source.name, False, with_cfg)
    weights = read_for(source, backbone, normalization) if pretrained else None
    classes = _classes(source, backbone, weights if pretrained_head else None)
    if classes != getattr(backbone, "num_classes", classes) and "num_classes" not in arguments:
        # timm's own architectures read the number from `pretrained_cfg`, others need an argument.
        with_cfg["num_classes"] = classes
        backbone = _create(source.name, False, with_cfg)
    if weights is not None:
        fit_weights(backbone, weights, pretrained_head, str(source.weights))
    if image_size and source.has_fixed_size and image_size != source.image_size:
        backbone, arguments["img_size"] = resize(
            backbone,
            lambda side: _create(source.name, False, {**with_cfg, "img_size": side}),
            source.image_size,
            image_size,
            int(arguments.get("in_chans", source.in_chans)),
        )
    return backbone


def _classes(source: Source, backbone: nn.Module, weights: Weights | None) -> int | None:
    """Return the number of classes of the weights: as described, else as their head has it."""
    built = getattr(backbone, "num_classes", None)
    if source.num_classes is not None or built is None or weights is None:
        return source.num_classes or built
    return classes_in(weights, backbone.state_dict(), built)


def _create(name: str, pretrained: bool, arguments: Mapping[str, Any]) -> nn.Module:
    try:
        with hub_access() if pretrained else nullcontext():
            return timm.create_model(name, pretrained=pretrained, **arguments)
    except RampartError:
        raise
    # The code of the architecture and of the hub may raise any error.
    except Exception as error:
        # torch's words for weights that do not fit.
        misfit = "loading state_dict" in str(error)
        if pretrained and not misfit and not isinstance(error, TypeError | AssertionError):
            raise unreachable(name, error) from error
        options = {k: v for k, v in arguments.items() if k != "pretrained_cfg"}
        raise ModelError(
            f"'{name}' cannot be built with the options {options} ({reason(error)})."
        ) from error


def _require_interface(backbone: nn.Module, architecture: str) -> None:
    """Refuse an architecture without the required parts of timm's interface."""
    lacks = [name for name in ("num_classes", "get_classifier") if not hasattr(backbone, name)]
    if lacks:
        raise ModelError(
            f"the architecture '{architecture}' lacks {' and '.join(lacks)}: like timm's "
            "architectures, its class needs the attribute num_classes and the method "
            "get_classifier(), which returns its head."
        )


def _set_head(
    backbone: nn.Module, name: str, num_classes: int | None, pretrained_head: bool
) -> None:
    if not pretrained_head and hasattr(backbone, "reset_classifier"):
        backbone.reset_classifier(num_classes)  # type: ignore[operator]  # timm's interface
    elif num_classes not in (None, backbone.num_classes):
        raise ModelError(
            f"the head of '{name}' has {backbone.num_classes} classes, expected {num_classes}. Use "
            "the data that it was trained on, or check that its architecture uses num_classes."
        )


def _per_channel(
    name: str, values: Sequence[float] | None, own: Sequence[float]
) -> Sequence[float]:
    if values is None:
        return own
    if len(values) != len(own):
        raise InvalidArgument(
            name, list(values), f"{counted(len(own), 'value')}, one for each channel"
        )
    return values
