"""Low-rank adapters of peft."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rampart.deferred import nn, torch
from rampart.errors import InvalidArgument, ModelError
from rampart.extras import require_extra
from rampart.models.weights import head_modules, is_head
from rampart.restoring import in_mode
from rampart.runtime import scoped_seed
from rampart.strategies.base import STRATEGIES, Strategy

if TYPE_CHECKING:
    from rampart.models.normalized import NormalizedModel


@STRATEGIES.register("lora")
@dataclass(frozen=True)
class Lora(Strategy):
    """Hu et al. 2021 (arXiv 2106.09685): W + (alpha / rank) B A; only A, B and head are trained.

    Every linear layer and every convolution gets an adapter, unless the adapter could not be
    trained or merged (see `list_adapted_layers`). The other weights of the backbone do not change.
    Running statistics of BatchNorm change unless model.batch_norm=frozen. In the finished model the
    adapters are merged, so it is an ordinary timm model. Needs `pip install 'rampart-rft[lora]'`.

    Attributes:
        rank: of B A, 1 or more.
        alpha: scale of the adapters, above 0.
        dropout: fraction of an adapter's inputs that is dropped in training, in [0, 1).
    """

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0

    backbone = "part"
    adds_adapters = True

    def __post_init__(self) -> None:
        check_size(self.rank, self.alpha)
        if not 0 <= self.dropout < 1:
            raise InvalidArgument("dropout", self.dropout, "a number in [0, 1)")

    def prepare(self, model: NormalizedModel, seed: int) -> None:
        """Freeze the backbone and add the adapters; B is 0, so the outputs do not change.

        Raises:
            MissingExtra: peft is not installed, or cannot be imported.
            ModelError: no layer can have an adapter.
        """
        add_adapters(model, seed, "lora", self.rank, self.alpha, self.dropout)

    def finished(self, model: NormalizedModel) -> NormalizedModel:
        """Return a copy with the adapters merged into the weights."""
        return without_adapters(model, merge=True)


def check_size(rank: int, alpha: float) -> None:
    """Refuse an impossible size of adapters.

    Raises:
        InvalidArgument: rank or alpha is out of range.
    """
    if rank < 1:
        raise InvalidArgument("rank", rank, "a whole number of at least 1")
    if not 0 < alpha < math.inf:
        raise InvalidArgument("alpha", alpha, "a number above 0")


def add_adapters(
    model: NormalizedModel, seed: int, strategy: str, rank: int, alpha: float, dropout: float = 0.0
) -> None:
    """Freeze the backbone, add adapters to its layers, and leave only these and the head to train.

    Args:
        model: pretrained, with a fresh head.
        seed: of the adapters.
        strategy: name of the strategy, for errors.
        rank: see `Lora`, as the others.
        alpha: scale.
        dropout: fraction of dropped inputs.

    Raises:
        MissingExtra: peft is not installed, or cannot be imported.
        ModelError: no layer can have an adapter.
    """
    peft: Any = require_extra("peft", "lora", f"strategy {strategy}")
    targets = list_adapted_layers(model)
    if not targets:
        raise ModelError(
            f"strategy {strategy}: no layer of the backbone can have an adapter; leave out "
            f"{strategy}."
        )
    settings = peft.LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        # In a list peft would match the ends of names; a pattern matches whole names.
        target_modules="|".join(re.escape(name) for name in targets),
    )
    with scoped_seed(seed, "lora"):
        peft.inject_adapter_in_model(settings, model.backbone)
    heads = head_modules(model.backbone)
    for name, parameter in model.backbone.named_parameters():
        if is_head(name, heads):
            parameter.requires_grad_(True)


def adapters(model: NormalizedModel) -> Iterator[tuple[str, Any]]:
    """Yield (name, layer) of the backbone's layers with an adapter; the layer is peft's."""
    from peft.tuners.lora import LoraLayer

    for name, module in model.backbone.named_modules():
        if isinstance(module, LoraLayer):
            yield name, module


def without_adapters(model: NormalizedModel, *, merge: bool) -> NormalizedModel:
    """Return a copy whose adapters are merged into the weights, or else dropped."""
    plain = copy.deepcopy(model)
    for name, layer in list(adapters(plain)):
        if merge:
            layer.merge()
        plain.backbone.set_submodule(name, layer.get_base_layer())
    return plain.requires_grad_(True)


def list_adapted_layers(model: NormalizedModel) -> list[str]:
    """Return the names of the layers of the backbone that get an adapter.

    These get none: the head; convolutions that are grouped, dilated or padded with other values
    than zeros; layers that standardize their weight; and layers whose weight the network uses
    without calling them, as timm's BEiT, EVA and Swin V2 do in their attention.
    """
    heads = head_modules(model.backbone)
    fit = {
        module: name
        for name, module in model.backbone.named_modules()
        if not is_head(name, heads) and _takes_adapter(module)
    }
    called: set[nn.Module] = set()
    hooks = [module.register_forward_hook(lambda m, *_: called.add(m)) for module in fit]
    size = model.image_size
    images = torch.zeros(1, model.in_chans, size, size, device=model.mean.device)
    try:
        with in_mode(model, training=False), torch.no_grad():
            model(images)
    finally:
        for hook in hooks:
            hook.remove()
    return [name for module, name in fit.items() if module in called]


def _plain() -> tuple[type[nn.Module], ...]:
    """The layers that use their weight unchanged; an adapter of others cannot be merged."""
    # timm is slow to import, and a configuration needs the options of a strategy only.
    from timm.layers.conv2d_same import Conv2dSame

    return nn.Linear, nn.Conv2d, Conv2dSame


def _takes_adapter(module: nn.Module) -> bool:
    if type(module) not in _plain():
        return False
    if isinstance(module, nn.Conv2d):
        plain = module.padding_mode == "zeros" and module.dilation == (1, 1)
        return plain and module.groups == 1
    return True
