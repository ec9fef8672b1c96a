"""Loading weights into a model; every key must fit."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from rampart.deferred import nn
from rampart.errors import ModelError, RampartWarning

if TYPE_CHECKING:
    from rampart.models.normalized import NormalizedModel
    from rampart.models.weight_files import Weights

NamedParameters = list[tuple[str, "nn.Parameter"]]
#: Prefixes that wrappers of a model add to the keys of its weights, alone or one after another; the
#: last one is that of a network behind its normalization in a sequence.
PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.", "1.")
#: Wrappers inside wrappers at most, such as "model._orig_mod.module.".
_DEPTH = 4


def head_modules(backbone: nn.Module) -> list[str]:
    """Return the names of the modules that timm calls the classifier."""
    head = backbone.get_classifier()  # type: ignore[operator]  # timm's interface
    heads = head if isinstance(head, tuple | list) else [head]
    return [name for name, module in backbone.named_modules() if any(module is h for h in heads)]


def is_head(key: str, heads: list[str]) -> bool:
    """Whether a key of a state_dict belongs to one of the modules in `heads`."""
    return any(key == name or key.startswith(f"{name}.") for name in heads)


def parameter_groups(model: NormalizedModel) -> tuple[NamedParameters, NamedParameters]:
    """Return the (name, parameter) pairs of the backbone and those of the head."""
    heads = [f"backbone.{name}" for name in head_modules(model.backbone)]
    named = list(model.named_parameters())
    head = [(name, parameter) for name, parameter in named if is_head(name, heads)]
    return [pair for pair in named if not is_head(pair[0], heads)], head


def fit_weights(backbone: nn.Module, weights: Weights, pretrained_head: bool, origin: str) -> None:
    """Load weights of any origin into a backbone; those of the head only with `pretrained_head`.

    Keys may carry `PREFIXES`; otherwise as `fit_exactly`.

    Raises:
        ModelError: keys are missing, unexpected or of another shape.

    Warns:
        RampartWarning: keys without the prefix were left out.
    """
    found = without_prefix(weights, backbone.state_dict(), origin)
    fit_exactly(backbone, found, pretrained_head, origin)


def fit_exactly(backbone: nn.Module, weights: Weights, pretrained_head: bool, origin: str) -> None:
    """Load weights with the backbone's own keys; those of the head only with `pretrained_head`.

    Counters of BatchNorm (`num_batches_tracked`), which files from
    before torch 0.4 lack, keep their values.

    Raises:
        ModelError: keys are missing, unexpected or of another shape.
    """
    heads = [] if pretrained_head else head_modules(backbone)
    state = backbone.state_dict()
    own = {k: v for k, v in state.items() if not is_head(k, heads)}
    given = {k: v for k, v in weights.items() if not is_head(k, heads)}
    faults = misfits(own, given)
    if faults:
        raise ModelError(
            f"the weights in '{origin}' do not fit the model: {'; '.join(faults)}. Use the "
            "architecture and the options that they were trained with."
        )
    backbone.load_state_dict(given, strict=False)


def without_prefix(weights: Weights, own: Weights, origin: str) -> Weights:
    """Return the weights without the prefix under which most keys are the model's own."""
    prefix, found = max(_views(weights, _DEPTH), key=lambda view: len(own.keys() & view[1].keys()))
    left = [key for key in weights if not key.startswith(prefix)]
    if left:
        warnings.warn(
            f"'{origin}': the weights whose keys begin with '{prefix}' were taken; left out: "
            f"{', '.join(left[:3])}{', ...' if len(left) > 3 else ''}.",
            RampartWarning,
            stacklevel=2,
        )
    return found


def _views(weights: Weights, depth: int, prefix: str = "") -> Iterator[tuple[str, Weights]]:
    """Yield every possible prefix with the weights below it, the shortest first."""
    yield prefix, weights
    for part in PREFIXES if depth else ():
        below = {k.removeprefix(part): v for k, v in weights.items() if k.startswith(part)}
        if below:
            yield from _views(below, depth - 1, prefix + part)


def classes_in(weights: Weights, own: Weights, classes: int) -> int:
    """Return the number of classes of the head in `weights`.

    Args:
        weights: of a file.
        own: of the same architecture with `classes` classes.
        classes: returned if the weights hold no head, or one that fits.
    """
    found = {
        weights[key].shape[0]
        for key, value in own.items()
        if key in weights
        and value.shape[:1] == (classes,)
        and weights[key].shape[1:] == value.shape[1:]
        and weights[key].ndim
    }
    return found.pop() if len(found) == 1 else classes


def require_numbers(model: nn.Module, origin: str) -> None:
    """Refuse a model with a weight that is NaN, or a parameter that is infinite.

    Buffers may be infinite, such as the mask of an attention.

    Raises:
        ModelError: names the weight.
    """
    for name, value in chain(model.named_parameters(), model.named_buffers()):
        finite = value.isfinite() if isinstance(value, nn.Parameter) else ~value.isnan()
        if not value.is_meta and not finite.all():
            raise not_finite(origin, name, int((~finite).sum()), value.numel())


def not_finite(origin: str, name: str, count: int, total: int) -> ModelError:
    """Return the error for `count` of the `total` numbers in a weight that are not finite."""
    return ModelError(
        f"the model '{origin}' has {count} of {total} weights in '{name}' that are not finite: its "
        "training has diverged or the file is damaged; take an earlier checkpoint, or download it "
        "again."
    )


def misfits(own: Weights, given: Weights) -> list[str]:
    """Return the differences of weights from those of a model: missing keys and so on."""
    missing = own.keys() - given.keys()
    faults = {
        "missing": sorted(key for key in missing if not key.endswith("num_batches_tracked")),
        "unexpected": sorted(given.keys() - own.keys()),
        "of another shape": [
            f"{key} {tuple(given[key].shape)} instead of {tuple(own[key].shape)}"
            for key in sorted(own.keys() & given.keys())
            if own[key].shape != given[key].shape
        ],
    }
    return [
        f"{len(keys)} {kind} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
        for kind, keys in faults.items()
        if keys
    ]
