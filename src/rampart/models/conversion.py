"""The weights of a published file in the form of timm's network."""

import sys
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from rampart.errors import ModelError
from rampart.models.sources import Source
from rampart.models.weight_files import Weights, read_weights
from rampart.models.weights import without_prefix

#: Mean and std of each channel.
Normalization = tuple[Sequence[float], Sequence[float]]
#: Names under which layers in front of a network keep mean and std.
_PAIRS = (("mean", "std"), ("new_mean", "new_std"), ("mu", "sigma"))


def read_for(source: Source, backbone: nn.Module, normalization: Normalization) -> Weights:
    """Return the weights of a source's file with the keys of a backbone.

    Args:
        source: with a weights file.
        backbone: of the same architecture.
        normalization: mean and std that the model will have.

    Raises:
        ModelError: the file cannot be read, or holds another normalization.
    """
    assert source.weights is not None
    origin, own = str(source.weights), backbone.state_dict()
    weights = without_normalization(read_weights(source.weights), own, normalization, origin)
    weights = without_prefix(weights, own, origin)
    if source.entry is not None and source.entry.key_filter == "timm":
        weights = timm_filter(backbone)(weights, backbone)
    return weights


def timm_filter(backbone: nn.Module) -> Callable[[Weights, nn.Module], Weights]:
    """Return timm's function that renames the keys of other files of this architecture."""
    found: Callable[[Weights, nn.Module], Weights]
    found = sys.modules[type(backbone).__module__].checkpoint_filter_fn
    return found


def without_normalization(
    weights: Weights, own: Weights, normalization: Normalization, origin: str
) -> Weights:
    """Return weights without the mean and std of a layer in front of the network.

    Raises:
        ModelError: they differ from those that the model will have, so its logits would be others.
    """
    kept = dict(weights)
    for mean, std in _stored(weights, own, len(normalization[0])):
        found = kept.pop(mean).flatten(), kept.pop(std).flatten()
        if not all(map(_equal, found, normalization)):
            theirs, ours = _spell(*found), _spell(*map(torch.tensor, normalization))
            raise ModelError(
                f"'{origin}' was trained with {theirs}, but the model would have {ours}: write "
                "model.mean and model.std as in the file."
            )
    return kept


def _stored(weights: Weights, own: Weights, channels: int) -> Iterator[tuple[str, str]]:
    """Yield the keys of a mean and its std that are not weights of the network."""
    for key in weights:
        layer, _, name = key.rpartition(".")
        for mean, std in _PAIRS:
            other = f"{layer}.{std}" if layer else std
            if name != mean or other not in weights or any(_ends(key, one) for one in own):
                continue
            if weights[key].numel() == weights[other].numel() == channels:
                yield key, other


def _ends(key: str, own: str) -> bool:
    return key == own or key.endswith(f".{own}")


def _equal(found: Tensor, expected: Sequence[float]) -> bool:
    return torch.allclose(found.float(), torch.tensor(expected), rtol=0, atol=1e-3)


def _spell(mean: Tensor, std: Tensor) -> str:
    parts = (("mean", mean), ("std", std))
    return " and ".join(f"{name} {[round(v, 4) for v in one.tolist()]}" for name, one in parts)
