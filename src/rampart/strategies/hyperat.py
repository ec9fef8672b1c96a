"""HyperAT: a hypernetwork emits the adapters of several defenses, which are averaged at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rampart.errors import InvalidArgument
from rampart.runtime import scoped_seed
from rampart.strategies.base import STRATEGIES, Strategy
from rampart.strategies.lora import adapters, add_adapters, check_size, without_adapters

if TYPE_CHECKING:
    from rampart.models.normalized import NormalizedModel
    from rampart.strategies.hypernetwork import Hypernetwork


@STRATEGIES.register("hyperat")
@dataclass(frozen=True)
class HyperAt(Strategy):
    """Lv et al. 2024 (arXiv 2410.05951): adapters of each defense from one small hypernetwork.

    `objective=drawn` draws a defense for each step. The hypernetwork emits the factors of every
    layer's adapter for it, W + (alpha / rank) B A, from learned embeddings of the defense and of
    the layer (see `Hypernetwork`). Only the hypernetwork, the embeddings and the head are trained;
    the adapted layers are those of `lora`. The network that is validated, measured by monitors and
    saved has the mean over the defenses of their products B A. In the finished model this mean is
    merged into the weights, so it is an ordinary timm model. Needs
    `pip install 'rampart-rft[lora]'`.

    Attributes:
        rank: of B A of one defense, 1 or more.
        alpha: scale of the adapters, above 0.
        embedding: numbers in the embedding of a defense, and in that of a layer.
        hidden: numbers in a code, from which the hypernetwork emits one row of A and column of B.
    """

    rank: int = 8
    alpha: float = 16.0
    embedding: int = 64
    hidden: int = 32

    backbone = "part"
    adds_adapters = True
    needs_objective = "drawn"

    def __post_init__(self) -> None:
        check_size(self.rank, self.alpha)
        for name in ("embedding", "hidden"):
            if getattr(self, name) < 1:
                raise InvalidArgument(name, getattr(self, name), "a whole number of at least 1")

    def prepare(self, model: NormalizedModel, seed: int) -> None:
        """Prepare for one defense."""
        self.prepare_for(model, seed, 1)

    def prepare_for(self, model: NormalizedModel, seed: int, defenses: int) -> None:
        """Freeze the backbone and add the hypernetwork; B is 0, so the outputs do not change.

        Raises:
            MissingExtra: peft is not installed, or cannot be imported.
            ModelError: no layer can have an adapter.
        """
        from rampart.strategies.hypernetwork import Hypernetwork, emit

        add_adapters(model, seed, "hyperat", self.rank, self.alpha)
        layers = [layer for _, layer in adapters(model)]
        sizes = [(one.lora_A["default"].weight, one.lora_B["default"].weight) for one in layers]
        fans = [(a[0].numel(), len(b)) for a, b in sizes]
        with scoped_seed(seed, "hyperat"):
            made = Hypernetwork(fans, defenses, self.rank, self.embedding, self.hidden)
        # A child of the backbone could become a step of its forward pass.
        model.hypernetwork = made.to(model.mean.device)
        for number, layer in enumerate(layers):
            emit(layer, made, number)

    def choose(self, model: NormalizedModel, defense: int | None) -> None:
        """Emit the adapters of one defense; None for the mean over all."""
        hypernetwork_of(model).chosen = defense

    def finished(self, model: NormalizedModel) -> NormalizedModel:
        """Return a copy with the mean of the adapters merged into the weights."""
        merged = without_adapters(model, merge=True)
        del merged.hypernetwork
        return merged


def hypernetwork_of(model: NormalizedModel) -> Hypernetwork:
    """Return the hypernetwork that the strategy has added."""
    from rampart.strategies.hypernetwork import Hypernetwork

    found = model.hypernetwork
    assert isinstance(found, Hypernetwork)
    return found
