"""The contract of a strategy: which weights an optimizer step changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from rampart.errors import InvalidArgument
from rampart.models.weights import parameter_groups
from rampart.registry import Registry
from rampart.schedules.scheduler import EpsilonScheduler

if TYPE_CHECKING:
    from torch import nn

    from rampart.models.normalized import NormalizedModel

STRATEGIES: Registry[Strategy] = Registry("strategy")


@dataclass(frozen=True)
class Strategy:
    """Which weights are trained and when; by default all of them in every step."""

    #: How the backbone is trained: "whole" (every weight from the first step), "part" (some weights
    #: or some of the time), "frozen" (not at all, in eval mode), or "" if the strategy does not
    #: decide it. Strategies with different values exclude each other.
    backbone: ClassVar[Literal["whole", "part", "frozen", ""]] = ""
    #: Whether it needs a phase at eps = 0, which a run that starts above 0 lacks.
    needs_clean_phase: ClassVar[bool] = False
    #: Name of the objective that it needs, which trains what it adds; "" for any.
    needs_objective: ClassVar[str] = ""
    #: Whether it adds adapters to layers; a model can have those of one strategy.
    adds_adapters: ClassVar[bool] = False
    #: Whether the network of a forward pass is still the same in its backward pass, so that
    #: activations may be computed anew there.
    allows_gradient_checkpointing: ClassVar[bool] = True

    def probe_epochs(self, epochs: int) -> int:
        """Return the epochs before the schedule; they train only the head, at full strength.

        Args:
            epochs: of the run.
        """
        return 0

    def check(self, scheduler: EpsilonScheduler) -> None:
        """Refuse a run in which the strategy would have no effect or a wrong one.

        Args:
            scheduler: of the run, before its first step; it is not changed.

        Raises:
            InvalidArgument: the strategy contradicts the run; the error says what to change.
        """

    def prepare(self, model: NormalizedModel, seed: int) -> None:
        """Freeze or add parameters, before the optimizer is created.

        Args:
            model: pretrained, with a fresh head.
            seed: of the added parameters.
        """

    def prepare_for(self, model: NormalizedModel, seed: int, defenses: int) -> None:
        """Prepare for an objective with this number of variants; by default as `prepare`."""
        self.prepare(model, seed)

    def choose(self, model: NormalizedModel, defense: int | None) -> None:
        """Use the weights for one variant of the objective, before its step.

        Args:
            model: of the run.
            defense: number of the variant; None for the network that is validated and saved.
        """

    def set_mode(self, model: NormalizedModel, alpha: float) -> None:
        """Put what a step does not train back into eval mode; the model is in train mode.

        Args:
            model: before the step.
            alpha: fraction of eps_g of the step, in [0, 1].
        """

    def drop_gradients(self, model: NormalizedModel, alpha: float) -> None:
        """Remove the gradients of weights that a step must not change; see `set_mode`."""

    def finished(self, model: NormalizedModel) -> NormalizedModel:
        """Return the trained model as an ordinary timm model; `model` is not changed."""
        return model


def check_together(strategies: Mapping[str, Strategy]) -> None:
    """Refuse strategies that exclude each other.

    Raises:
        InvalidArgument: two strategies disagree on how the backbone is trained, or both add
            adapters.
    """
    adding = [name for name, one in strategies.items() if one.adds_adapters]
    if len(adding) > 1:
        raise InvalidArgument(
            "strategies",
            adding,
            "one strategy that adds adapters",
            f"leave out '{adding[0]}' or '{adding[1]}'",
        )
    deciding = [(name, one.backbone) for name, one in strategies.items() if one.backbone]
    for (name, backbone), (other, another) in combinations(deciding, 2):
        if backbone != another:
            raise InvalidArgument(
                "strategies",
                [name, other],
                "strategies that agree on how the backbone is trained",
                f"leave out '{name}' or '{other}'",
            )


def longest_probe(strategies: Iterable[Strategy], epochs: int) -> int:
    """Return the epochs before the schedule of a run with these strategies."""
    return max((one.probe_epochs(epochs) for one in strategies), default=0)


def set_modes(
    strategies: Iterable[Strategy], model: nn.Module, alpha: float, probing: bool = False
) -> None:
    """Put a model into train mode, except for what is not trained in this step.

    Args:
        strategies: of the run.
        model: before the step.
        alpha: fraction of eps_g of the step, in [0, 1].
        probing: whether the step trains only the head.
    """
    model.train()
    for strategy in strategies:
        strategy.set_mode(_require_normalized(model), alpha)
    if probing:
        train_head_only(_require_normalized(model))


@contextmanager
def chosen(strategies: Iterable[Strategy], model: nn.Module, defense: int) -> Iterator[None]:
    """Use the weights for one variant of the objective inside the block."""
    strategies = tuple(strategies)
    try:
        for strategy in strategies:
            strategy.choose(_require_normalized(model), defense)
        yield
    finally:
        for strategy in strategies:
            strategy.choose(_require_normalized(model), None)


def drop_gradients(
    strategies: Iterable[Strategy], model: nn.Module, alpha: float, probing: bool = False
) -> None:
    """Remove the gradients that a step must not use; see `set_modes`."""
    for strategy in strategies:
        strategy.drop_gradients(_require_normalized(model), alpha)
    if probing:
        keep_head_gradients(_require_normalized(model))


def train_head_only(model: NormalizedModel) -> None:
    """Put all except the head into eval mode."""
    head: Any = model.backbone.get_classifier()  # type: ignore[operator]  # timm's interface
    model.eval()
    # The run reads the flag of the whole model, which must say train mode.
    model.training = True
    for part in head if isinstance(head, tuple | list) else [head]:
        part.train()


def keep_head_gradients(model: NormalizedModel) -> None:
    """Remove all gradients except those of the head.

    `requires_grad` must not change within a run that is distributed or compiled, so the gradients
    are computed and removed.
    """
    for _, parameter in parameter_groups(model)[0]:
        parameter.grad = None


def _require_normalized(model: nn.Module) -> NormalizedModel:
    from rampart.models.normalized import NormalizedModel

    assert isinstance(model, NormalizedModel), "a strategy needs to know the head and the backbone"
    return model
