"""The contract of a strategy: it decides which weights an optimizer step changes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, Literal

from torch import nn

from rampart.errors import InvalidArgument
from rampart.models.normalized import NormalizedModel
from rampart.registry import Registry
from rampart.schedules.scheduler import EpsilonScheduler

STRATEGIES: "Registry[Strategy]" = Registry("strategy")


@dataclass(frozen=True)
class Strategy:
    """Which weights are trained, and when; all of them, where a member overrides nothing."""

    #: What becomes of the backbone: "whole" (every weight is trained from the first step), "part"
    #: (some weights, or some of the time), "frozen" (it stays as it is, in eval mode), or "" where
    #: the strategy has no say in it. Two strategies that say different things exclude each other.
    backbone: ClassVar[Literal["whole", "part", "frozen", ""]] = ""
    #: Whether it needs a time at eps = 0, which a run that starts at a strength above 0 lacks.
    needs_clean_phase: ClassVar[bool] = False

    def check(self, scheduler: EpsilonScheduler) -> None:
        """Refuse a run in which the strategy could do nothing, or the wrong thing.

        Args:
            scheduler: of the run, before its first step; left as found.

        Raises:
            InvalidArgument: what contradicts what, and what to change.
        """

    def prepare(self, model: NormalizedModel, seed: int) -> None:
        """Change the model before its optimizer is made: freeze or add parameters.

        Args:
            model: pretrained, with a fresh head.
            seed: of parameters that are added.
        """

    def set_mode(self, model: NormalizedModel, alpha: float) -> None:
        """Set back to eval mode what a step does not train; the model is in train mode.

        Args:
            model: about to take a step.
            alpha: fraction of eps_g of that step, in [0, 1].
        """

    def drop_gradients(self, model: NormalizedModel, alpha: float) -> None:
        """Remove the gradients of what the step is not to change; arguments as `set_mode`."""

    def finished(self, model: NormalizedModel) -> NormalizedModel:
        """Return the trained model as an ordinary timm model; `model` stays as it is."""
        return model


def check_together(strategies: Mapping[str, Strategy]) -> None:
    """Refuse strategies that contradict each other.

    Raises:
        InvalidArgument: which two.
    """
    deciding = [(name, one.backbone) for name, one in strategies.items() if one.backbone]
    for (name, backbone), (other, another) in combinations(deciding, 2):
        if backbone != another:
            raise InvalidArgument(
                "strategies",
                [name, other],
                "strategies that go together",
                f"'{name}' and '{other}' contradict each other: leave out one of them",
            )


def set_modes(strategies: Iterable[Strategy], model: nn.Module, alpha: float) -> None:
    """Put a model into train mode, less what the strategies leave untrained in this step."""
    model.train()
    for strategy in strategies:
        strategy.set_mode(_require_normalized(model), alpha)


def drop_gradients(strategies: Iterable[Strategy], model: nn.Module, alpha: float) -> None:
    """Remove the gradients that a step must not follow."""
    for strategy in strategies:
        strategy.drop_gradients(_require_normalized(model), alpha)


def _require_normalized(model: nn.Module) -> NormalizedModel:
    assert isinstance(model, NormalizedModel), "a strategy tells the head from the backbone"
    return model
