"""Low-rank adapters, by peft."""

import copy
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from rampart.errors import InvalidArgument, ModelError, RampartError
from rampart.models.normalised import NormalisedModel
from rampart.models.weights import head_modules, is_head
from rampart.runtime import scoped_seed
from rampart.strategies.base import STRATEGIES, Strategy


@STRATEGIES.register("lora")
@dataclass(frozen=True)
class Lora(Strategy):
    """Hu et al. 2021 (arXiv 2106.09685): W + (alpha / rank) B A, of which A, B and the head train.

    Every linear layer and every convolution that is not grouped has an adapter; what else the
    backbone has stands still. The finished model has them merged in, and is an ordinary timm model.
    Needs `pip install 'rampart-rft[lora]'`.

    Attributes:
        rank: of B A, 1 or more.
        alpha: scale of the adapters, above 0.
        dropout: share of an adapter's inputs that is left out in training, in [0, 1).
    """

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0

    excludes: ClassVar[tuple[str, ...]] = ("full", "linear-probe")

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise InvalidArgument("rank", self.rank, "a whole number of at least 1")
        if not self.alpha > 0:
            raise InvalidArgument("alpha", self.alpha, "a number above 0")
        if not 0 <= self.dropout < 1:
            raise InvalidArgument("dropout", self.dropout, "a number in [0, 1)")

    def prepare(self, model: NormalisedModel, seed: int) -> None:
        """Freeze the backbone and add the adapters; B is 0, so the model computes what it did.

        Raises:
            RampartError: peft is not installed.
            ModelError: there is no layer that could have an adapter.
        """
        peft = _peft()
        targets = adapted(model.backbone)
        if not targets:
            raise ModelError("no linear layer or convolution of the backbone can have an adapter.")
        settings = peft.LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=targets,
        )
        with scoped_seed(seed, "lora"):
            peft.inject_adapter_in_model(settings, model.backbone)
        heads = head_modules(model.backbone)
        for name, parameter in model.backbone.named_parameters():
            if is_head(name, heads):
                parameter.requires_grad_(True)

    def finished(self, model: NormalisedModel) -> NormalisedModel:
        """Return a copy with the adapters merged into the weights."""
        from peft.tuners.lora import LoraLayer

        merged = copy.deepcopy(model)
        for name, module in list(merged.backbone.named_modules()):
            if isinstance(module, LoraLayer):
                module.merge()
                merged.backbone.set_submodule(name, module.get_base_layer())
        return merged.requires_grad_(True)


def adapted(backbone: nn.Module) -> list[str]:
    """Return the names of the layers that get an adapter: all but the head and grouped ones."""
    heads = head_modules(backbone)
    return [
        name
        for name, module in backbone.named_modules()
        if (isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1))
        and not is_head(name, heads)
    ]


def _peft() -> Any:
    try:
        import peft
    except ImportError:
        raise RampartError("strategy lora needs peft: pip install 'rampart-rft[lora]'.") from None
    return peft
