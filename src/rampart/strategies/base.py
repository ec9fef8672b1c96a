"""The contract of a strategy: it decides which weights an optimiser step changes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from rampart.errors import InvalidArgument
from rampart.models.normalised import NormalisedModel
from rampart.registry import Registry
from rampart.schedules.scheduler import EpsilonScheduler

STRATEGIES: "Registry[Strategy]" = Registry("strategy")


@dataclass(frozen=True)
class Strategy:
    """Which weights are trained, and when; what is not overridden leaves all of them in training.

    Attributes:
        excludes: names of strategies that it contradicts.
    """

    excludes: ClassVar[tuple[str, ...]] = ()

    def check(self, scheduler: EpsilonScheduler) -> None:
        """Refuse a run in which the strategy could do nothing, or the wrong thing.

        Args:
            scheduler: of the run, before its first step; left as found.

        Raises:
            InvalidArgument: what contradicts what, and what to change.
        """

    def prepare(self, model: NormalisedModel, seed: int) -> None:
        """Change the model before its optimiser is made: freeze or add parameters.

        Args:
            model: pretrained, with a fresh head.
            seed: of parameters that are added.
        """

    def set_mode(self, model: NormalisedModel, alpha: float) -> None:
        """Set back to eval mode what a step does not train; the model is in train mode.

        Args:
            model: about to take a step.
            alpha: share of eps_g of that step, in [0, 1].
        """

    def drop_gradients(self, model: NormalisedModel, alpha: float) -> None:
        """Remove the gradients of what the step is not to change; arguments as `set_mode`."""

    def finished(self, model: NormalisedModel) -> NormalisedModel:
        """Return the trained model as an ordinary timm model; `model` stays as it is."""
        return model


def check_together(strategies: Mapping[str, Strategy]) -> None:
    """Refuse strategies that contradict each other.

    Raises:
        InvalidArgument: which two.
    """
    for name, strategy in strategies.items():
        for other in strategies:
            if other in strategy.excludes:
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
        strategy.set_mode(_normalised(model), alpha)


def drop_gradients(strategies: Iterable[Strategy], model: nn.Module, alpha: float) -> None:
    """Remove the gradients that a step must not follow."""
    for strategy in strategies:
        strategy.drop_gradients(_normalised(model), alpha)


def _normalised(model: nn.Module) -> NormalisedModel:
    assert isinstance(model, NormalisedModel), "a strategy tells the head from the backbone"
    return model
