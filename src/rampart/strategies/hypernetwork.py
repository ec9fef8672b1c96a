"""A small network that emits the adapters of another one."""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Hypernetwork(nn.Module):
    """Emits the factors A and B of every layer's adapter for each of several defenses.

    Embeddings of the defense d (E numbers) and of the layer l (E numbers) give `rank` codes of H
    numbers: codes = norm(gelu(trunk([d, l]))). Code i gives row i of A and column i of B by one
    linear map for each kind of layer. B is 0 at first, so the outputs of the network do not change.

    Args:
        fans: (inputs of a row of A, outputs) of each layer; layers with equal pairs share maps.
        defenses: their number, D.
        rank: of the adapters.
        embedding: E.
        hidden: H.

    Attributes:
        chosen: number of the defense whose adapters are emitted. None for the mean over all, as
            factors of rank D x `rank`: A of all defenses below each other, and B / D side by side,
            so that their product is the mean of the products.
    """

    def __init__(
        self,
        fans: Sequence[tuple[int, int]],
        defenses: int,
        rank: int,
        embedding: int,
        hidden: int,
    ) -> None:
        super().__init__()
        self.chosen: int | None = None
        self._keys = [f"{inputs} to {outputs}" for inputs, outputs in fans]
        self._rank, self._hidden = rank, hidden
        self.defenses = nn.Parameter(torch.randn(defenses, embedding))
        self.layers = nn.Parameter(torch.randn(len(fans), embedding))
        self.trunk = Map(2 * embedding, rank * hidden)
        kinds = dict(zip(self._keys, fans, strict=True))
        # The rows of A are as large at first as those of LoRA: of variance 1 / 3n for n inputs.
        self.down = nn.ModuleDict(
            {key: Map(hidden, n, 1 / math.sqrt(3 * n)) for key, (n, _) in kinds.items()}
        )
        self.up = nn.ModuleDict({key: Map(hidden, n, 0.0) for key, (_, n) in kinds.items()})

    def a(self, layer: int) -> Tensor:
        """Return the rows of A of a layer, (rank, inputs), or (D x rank, inputs) for the mean."""
        rows: Tensor = self.down[self._keys[layer]](self._codes(layer))
        return rows

    def b(self, layer: int) -> Tensor:
        """Return B of a layer, (outputs, rank), or (outputs, D x rank) for the mean."""
        codes = self._codes(layer)
        columns: Tensor = self.up[self._keys[layer]](codes)
        return columns.T * (self._rank / len(codes))

    def _codes(self, layer: int) -> Tensor:
        """Return the codes of the chosen defense, or of all, (rows, hidden)."""
        chosen = self.chosen
        defenses = self.defenses if chosen is None else self.defenses[chosen : chosen + 1]
        pairs = torch.cat([defenses, self.layers[layer].expand_as(defenses)], 1)
        codes = F.gelu(self.trunk(pairs)).view(-1, self._hidden)
        return F.layer_norm(codes, (self._hidden,))


class Map(nn.Module):
    """y = W x / n for n inputs, so that a learning rate that suits the weights of LoRA suits W.

    A step of Adam moves every weight by about the learning rate. Without the division the n weights
    together would move y n times as far, and with it y moves as far as a weight of LoRA.

    Args:
        inputs: n.
        outputs: their number.
        std: standard deviation of y at first, for inputs of variance 1.
    """

    def __init__(self, inputs: int, outputs: int, std: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * (std * math.sqrt(inputs)))

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        return F.linear(x, self.weight) / x.shape[-1]


def emit(layer: Any, hypernetwork: Hypernetwork, number: int) -> None:
    """Let the hypernetwork emit the weights of an adapter that peft has made.

    Args:
        layer: peft's, with one adapter, called "default".
        hypernetwork: its weights are trained in place of the adapter's.
        number: of the layer in the hypernetwork.
    """
    for factors, source in ((layer.lora_A, hypernetwork.a), (layer.lora_B, hypernetwork.b)):
        factor = factors["default"]
        # All dimensions but the first two are those of the kernel.
        kernel = factor.weight.shape[2:]
        del factor.weight
        kind: Any = type(factor)
        factor.__class__ = _emitted(kind)
        factor.emission = _Emission(source, number, kernel)


class _Emission:
    """The weight of a factor, whenever it is asked for."""

    def __init__(self, source: Any, number: int, kernel: torch.Size) -> None:
        self.source, self.number, self.kernel = source, number, kernel

    def __call__(self) -> Tensor:
        matrix: Tensor = self.source(self.number)
        return matrix.reshape(len(matrix), -1, *self.kernel)


@cache
def _emitted(kind: Any) -> Any:
    """Return a kind of layer whose weight is emitted each time that it is used."""
    weight = property(lambda self: self.emission())
    return type(f"Emitted{kind.__name__}", (kind,), {"weight": weight})
