"""The contract of a callback: frozen settings, and a hook around the steps of one run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rampart.registry import Registry
from rampart.schedules.scheduler import EpsilonScheduler

if TYPE_CHECKING:
    from torch import Tensor, nn

CALLBACKS: Registry[Callback] = Registry("callback", {"swa": "Weights are averaged by ema"})
#: Adds the gradient of one batch to the parameters; a second call uses the perturbed images of the
#: first.
Gradients = Callable[[], None]


class Hook:
    """Acts around the steps of one run; by default a method changes nothing."""

    def around(self, model: nn.Module, gradients: Gradients, eps: float) -> None:
        """Compute the gradient for the optimizer step; by default that of the batch.

        Args:
            model: its parameters have no gradient yet.
            gradients: adds it, averaged over all processes; a callback that calls it more than
                once declares `repeats`.
            eps: the strength of the step, a fraction of the pixel range.
        """
        gradients()

    def stepped(self, model: nn.Module, alpha: float) -> None:
        """Receive the weights after an optimizer step.

        Args:
            model: after the step.
            alpha: fraction of eps_g in that step, in [0, 1].
        """

    @contextmanager
    def measured(self, model: nn.Module) -> Iterator[None]:
        """Inside the block the model has the weights to validate and save; then its own again."""
        yield

    def state_dict(self) -> dict[str, Tensor]:
        """Return what an exact resume needs; the next step may change it, so write it at once."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore what `state_dict` returned."""


@dataclass(frozen=True)
class Callback(ABC):
    """The settings of a hook."""

    #: Whether it has no effect without an attack.
    needs_attack: ClassVar[bool] = False
    #: Whether it calls `gradients` more than once in a step, so that the objective sees each batch
    #: again, perhaps at other weights.
    repeats: ClassVar[bool] = False

    def check(self, scheduler: EpsilonScheduler) -> None:  # noqa: B027  # most allow any
        """Refuse a run in which the hook would have no effect or a wrong one.

        Args:
            scheduler: of the run, before its first step; it is not changed.

        Raises:
            InvalidArgument: the callback contradicts the run; the error says what to change.
        """

    @abstractmethod
    def begin(self, model: nn.Module) -> Hook:
        """Return the hook of a run that starts from this model."""
