"""The low-rank branch of AutoLoRA, beside a backbone that is trained too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rampart.models.weights import parameter_groups
from rampart.strategies.base import STRATEGIES, Strategy
from rampart.strategies.lora import adapters, add_adapters, check_size, without_adapters

if TYPE_CHECKING:
    from rampart.models.normalized import NormalizedModel


@STRATEGIES.register("autolora")
@dataclass(frozen=True)
class AutoLoraBranch(Strategy):
    """The strategy of AutoLoRA (arXiv 2310.01818): a branch for clean images, dropped at test.

    Every layer that can have an adapter of `lora` gets one. Together they are the branch, which
    only the clean images of `objective=autolora` pass. Attacks, validation, monitors and the
    finished model leave it. The backbone and the head are trained too. Needs
    `pip install 'rampart-rft[lora]'`.

    Attributes:
        rank: of the branch, 1 or more; 8 in the published code.
        alpha: scale of the branch, above 0.
    """

    rank: int = 8
    alpha: float = 16.0

    backbone = "whole"
    adds_adapters = True
    needs_objective = "autolora"
    allows_gradient_checkpointing = False

    def __post_init__(self) -> None:
        check_size(self.rank, self.alpha)

    def prepare(self, model: NormalizedModel, seed: int) -> None:
        """Add the branch; it is left, so the outputs do not change.

        Raises:
            MissingExtra: peft is not installed, or cannot be imported.
            ModelError: no layer can have an adapter.
        """
        from rampart.models.branch import Branch

        backbone, head = ([p for _, p in pairs] for pairs in parameter_groups(model))
        trained = [parameter for parameter in backbone if parameter.requires_grad]
        add_adapters(model, seed, "autolora", self.rank, self.alpha)
        for parameter in trained:
            parameter.requires_grad_(True)
        layers = [layer for _, layer in adapters(model)]
        for layer in layers:
            layer._disable_adapters = True
        branch = Branch(layers, trained, head, model.num_classes)
        model.branch = branch.to(model.mean.device)

    def finished(self, model: NormalizedModel) -> NormalizedModel:
        """Return a copy without the branch."""
        plain = without_adapters(model, merge=False)
        del plain.branch
        return plain
