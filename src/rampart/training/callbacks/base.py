"""The contract of a callback: frozen settings, and a hook around the steps of one run."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from rampart.registry import Registry
from rampart.schedules.scheduler import EpsilonScheduler

CALLBACKS: "Registry[Callback]" = Registry("callback", {"swa": "Weights are averaged by ema"})
#: Adds the gradient of one batch to the parameters; the second call takes the images that the first
#: one perturbed.
Gradients = Callable[[], None]


class Hook:
    """Acts around the steps of one run; what is not overridden does nothing."""

    def around(self, model: nn.Module, gradients: Gradients, eps: float) -> None:
        """Leave the gradient that the optimizer steps with; by default that of the batch.

        Args:
            model: whose parameters have no gradient yet.
            gradients: adds it, averaged over all processes; may be called more than once.
            eps: the strength of the step, a fraction of the pixel range.
        """
        gradients()

    def stepped(self, model: nn.Module, alpha: float) -> None:
        """Look at the weights that an optimizer step has made.

        Args:
            model: after the step.
            alpha: fraction of eps_g that the step was made with, in [0, 1].
        """

    @contextmanager
    def measured(self, model: nn.Module) -> Iterator[None]:
        """Put into the model what is to be validated and kept; as it was, after the block."""
        yield

    def state_dict(self) -> dict[str, Tensor]:
        """Return what an exact continuation needs."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Put back what `state_dict` returned."""


@dataclass(frozen=True)
class Callback(ABC):
    """The settings of a hook."""

    #: Whether it does nothing where nothing is attacked.
    needs_attack: ClassVar[bool] = False

    def check(self, scheduler: EpsilonScheduler) -> None:  # noqa: B027  # most allow any
        """Refuse a run in which the hook could do nothing, or the wrong thing.

        Args:
            scheduler: of the run, before its first step; left as found.

        Raises:
            InvalidArgument: what contradicts what, and what to change.
        """

    @abstractmethod
    def begin(self, model: nn.Module) -> Hook:
        """Return the hook of a run that starts from this model."""
