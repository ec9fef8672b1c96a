"""Schedule, attack and objective as one loss, for a training loop of your own."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn

from rampart.attacks.apgd import Apgd
from rampart.attacks.base import Attack
from rampart.attacks.frozen import local
from rampart.errors import InvalidArgument
from rampart.objectives.adversarial import Adversarial
from rampart.objectives.base import Objective
from rampart.runtime import Noise
from rampart.schedules.adaptive import Adaptive
from rampart.schedules.base import EpsilonScheduler, Granularity, Schedule
from rampart.training.perturbing import perturbing
from rampart.units import Horizon, Norm


@dataclass
class _Batch:
    """What the calls since the last step have seen, on this process."""

    right: Tensor | int = 0
    images: int = 0


class RobustLoss:
    """The loss of robust fine-tuning at the strength that the schedule has reached.

    Three lines of a loop change:

        robust = RobustLoss(model, "4/255", Horizon(epochs, steps_per_epoch), classes=10)
        ...
        loss = robust(images, labels)          # in place of cross_entropy(model(images), labels)
        loss.backward(); optimiser.step()
        robust.step()                          # after each step of the optimiser

    The mode of the model, its buffers and gradients are those of an ordinary forward pass; in what
    mode it is attacked is the attack's choice. Works under autocast, `torch.compile` and
    `DistributedDataParallel`, whose inner module is attacked. Several calls before a `step` are
    pieces of one batch. There is no trial at full strength, which only a run that can start over
    has.

    Args:
        model: pixels in [0, 1] to logits (N, K).
        eps: the target strength eps_g, a fraction of the pixel range such as "4/255".
        horizon: epochs, and optimiser steps in each.
        classes: K, which an adaptive schedule needs to tell skill from chance.
        schedule: over eps; `adaptive` by default.
        objective: what is minimised; adversarial training by default.
        attack: how images are perturbed; APGD with 7 steps by default. Its norm is the threat's.
        granularity: whether eps moves at every "step" or every "epoch".
        fewer_steps: whether the attack takes fewer steps while eps is small.
        seed: of the attack's noise.

    Attributes:
        scheduler: with `eps`, `alpha` and `decision` of the step to come.

    Raises:
        InvalidArgument: an argument out of range, or a schedule that does not fit the horizon.
        ModelError: the objective needs another kind of model.
    """

    def __init__(
        self,
        model: nn.Module,
        eps: float | str,
        horizon: Horizon,
        *,
        classes: int | None = None,
        schedule: Schedule | None = None,
        objective: Objective | None = None,
        attack: Attack | None = None,
        granularity: Granularity = "step",
        fewer_steps: bool = True,
        seed: int = 0,
    ) -> None:
        self._model = model
        self._attack = Apgd(steps=7) if attack is None else attack
        norm: Norm = self._attack.norm
        self.scheduler = EpsilonScheduler(
            Adaptive() if schedule is None else schedule,
            eps,
            horizon,
            granularity,
            norm=norm,
            classes=classes,
        )
        chosen = Adversarial() if objective is None else objective
        self._objective = chosen.bind(_inner(model))
        self._fewer_steps = fewer_steps
        self._seed = seed
        self._batch = _Batch()

    # A compiled training step would guard on alpha and eps, and be compiled anew at every one of
    # them. The model inside runs compiled if it was compiled itself.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def __call__(
        self,
        images: Tensor,
        labels: Tensor,
        samples: Tensor | None = None,
        *,
        through: nn.Module | None = None,
    ) -> Tensor:
        """Return the mean loss of a batch, or of a piece of one.

        Args:
            images: (N, C, H, W), pixels in [0, 1].
            labels: (N,), whole numbers.
            samples: (N,) int64, each image's number in the dataset, which keys its noise: results
                then do not depend on the order or the number of processes. Without it the position
                in the batch does.
            through: what the gradient is taken through instead of the model, such as a wrapper of
                it that distributed training has made.
        """
        alpha, eps = self.scheduler.alpha, self.scheduler.eps
        noise = self._noise(len(images), images.device, samples)
        perturb = None
        if eps > 0:
            attacked, fewer = _inner(self._model), self._fewer_steps
            perturb = perturbing(self._attack, attacked, eps, noise, alpha=alpha, fewer_steps=fewer)
        terms = self._objective(through or self._model, images, labels, perturb)
        name = "robust_correct" if "robust_correct" in terms.logs else "clean_correct"
        self._batch.right = self._batch.right + terms.logs[name].sum().long()
        self._batch.images += len(images)
        return terms.loss.mean()

    def step(self) -> None:
        """Move eps on, after each step of the optimiser.

        Raises:
            InvalidArgument: no loss was asked for since the last step.
        """
        if not self._batch.images:
            raise InvalidArgument("step", "no batch", "a loss since the last step", "call it first")
        right, images = self._everywhere()
        self.scheduler.step(right / images if self.scheduler.schedule.needs_accuracy else None)
        self._batch = _Batch()

    def observe(self, accuracy: float) -> None:
        """Show the schedule the clean validation accuracy, a share, at the end of an epoch."""
        self.scheduler.observe(accuracy)

    def state_dict(self) -> dict[str, Any]:
        """Return what an exact continuation needs, as plain values."""
        return {"scheduler": self.scheduler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` returned.

        Raises:
            RunError: it belongs to another schedule.
        """
        self.scheduler.load_state_dict(state["scheduler"])
        self._batch = _Batch()

    def _noise(self, count: int, device: torch.device, samples: Tensor | None) -> Noise:
        """Another for each epoch with samples; else for each step and piece of it."""
        if samples is not None:
            epoch = self.scheduler.steps_done // self.scheduler.horizon.steps_per_epoch
            return Noise.of(self._seed, samples.to(device), "attack", epoch)
        rank = distributed.get_rank() if _distributed() else 0
        step, first = self.scheduler.steps_done, self._batch.images
        positions = torch.arange(first, first + count, device=device)
        return Noise.of(self._seed, positions, "attack in a loop", step, rank)

    def _everywhere(self) -> tuple[int, int]:
        """Right answers and images of the step, over all processes."""
        if not self.scheduler.schedule.needs_accuracy:
            return 0, 1
        right, images = int(self._batch.right), self._batch.images
        if not _distributed():
            return right, images
        device = next(self._model.parameters()).device
        counts = torch.tensor([right, images], device=device)
        distributed.all_reduce(counts)
        return int(counts[0]), int(counts[1])


def _inner(model: nn.Module) -> nn.Module:
    """The replica inside a `DistributedDataParallel`."""
    inner = local(model)
    assert isinstance(inner, nn.Module)
    return inner


def _distributed() -> bool:
    return distributed.is_available() and distributed.is_initialized()
