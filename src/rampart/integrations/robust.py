"""Schedule, attack and objective as one loss, for a training loop of your own."""

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, distributed, nn

from rampart.attacks.apgd import Apgd
from rampart.attacks.base import Attack
from rampart.attacks.frozen import frozen, local
from rampart.counting import counted
from rampart.devices import rank_and_processes
from rampart.errors import InvalidArgument, RunError
from rampart.guarded import GuardedModel
from rampart.images_and_labels import as_labels, check_batch, require_classes
from rampart.integrations.arguments import (
    chance_for,
    require_kind,
    require_whole,
    warn_of_divergence,
)
from rampart.objectives.adversarial import Adversarial
from rampart.objectives.base import Objective
from rampart.runtime import Noise
from rampart.schedules.adaptive import Adaptive
from rampart.schedules.base import Schedule
from rampart.schedules.scheduler import EpsilonScheduler, UpdateInterval
from rampart.strengths import warn_of_slip
from rampart.threat import per_sample
from rampart.training.optimizers import untrainable
from rampart.training.perturbing import make_perturb
from rampart.units import Horizon, Norm, format_eps


@dataclass
class _Batch:
    """Counts over the calls since the last step, on this process."""

    right: Tensor | int = 0
    images: int = 0


class RobustLoss:
    """The loss of robust fine-tuning at the current strength of the schedule.

    Three lines of a loop change:

        robust = RobustLoss(model, "4/255", Horizon(epochs, steps_per_epoch), num_classes=10)
        ...
        loss = robust(images, labels)          # in place of cross_entropy(model(images), labels)
        loss.backward(); optimizer.step()
        robust.step()                          # after each step of the optimizer

    A call treats the model's mode, buffers and gradients like an ordinary forward pass. The attack
    chooses the mode in which the model is attacked. Works under autocast, `torch.compile` and
    `DistributedDataParallel`, whose inner module is attacked. Several calls before a `step` are
    micro-batches of one batch; calls without gradients, as in validation, do not count. There is no
    pilot, because a loop cannot start over. Warnings of the schedule, such as a run that is too
    short for it, are `UserWarning`s.

    Args:
        model: maps pixels in [0, 1] to logits (N, K). Pass it before training if the objective
            copies the initial model (`Fare`).
        eps: the target strength eps_g, a fraction of the pixel range such as "4/255". One that is
            probably a slip for the images is shown as a `RampartWarning` at the first call.
        horizon: epochs, and optimizer steps per epoch.
        num_classes: K; an adaptive schedule uses 1/K as chance, which assumes classes of the same
            size.
        chance: accuracy of the best constant prediction. If one class is commoner than others, pass
            `chance_of(labels)` of the training labels: otherwise a model that has collapsed onto
            this class seems to have learned.
        schedule: over eps; `adaptive` by default.
        objective: the loss to minimize; adversarial training by default.
        attack: perturbs the images; APGD with 3 steps by default. Its norm is that of the threat.
        interval: whether eps changes at every "step" or every "epoch".
        fewer_steps: whether the attack takes fewer steps while eps is small.
        seed: of the attack's noise.

    Attributes:
        scheduler: with `eps`, `alpha` and `decision` of the next step.

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
        num_classes: int | None = None,
        chance: float | None = None,
        schedule: Schedule | None = None,
        objective: Objective | None = None,
        attack: Attack | None = None,
        interval: UpdateInterval = "step",
        fewer_steps: bool = True,
        seed: int = 0,
    ) -> None:
        require_kind("model", model, nn.Module)
        require_kind("horizon", horizon, Horizon)
        require_kind("schedule", schedule, Schedule, None)
        require_kind("objective", objective, Objective, None)
        require_kind("attack", attack, Attack, None)
        self._model = model
        self._attack = Apgd(steps=3) if attack is None else attack
        norm: Norm = self._attack.norm
        chosen_schedule = Adaptive() if schedule is None else schedule
        if isinstance(chosen_schedule, Adaptive):
            chosen_schedule = replace(chosen_schedule, pilot=0.0)
        self.scheduler = EpsilonScheduler(
            chosen_schedule,
            eps,
            horizon,
            interval,
            norm=norm,
            chance=chance_for(chosen_schedule, num_classes, chance),
        )
        inner = _inner(model)
        self._attacked = GuardedModel(inner, warns=False)
        # The objective copies the network itself, not its compiled wrapper.
        self._objective = (objective or Adversarial()).bind(getattr(inner, "_orig_mod", inner))
        self._objective.check_attack(self._attack)
        self._fewer_steps = fewer_steps
        self._seed = seed
        self._batch = _Batch()
        self._num_classes, self._classes = num_classes, 0
        self._last_loss: Tensor | None = None
        for warning in self.scheduler.warnings():
            warnings.warn(warning, stacklevel=2)

    # A compiled training step would specialize on alpha and eps, and recompile whenever they
    # change. A model that was compiled itself still runs compiled.
    @torch.compiler.disable  # type: ignore[untyped-decorator]  # torch has no types for it
    def __call__(
        self,
        images: Tensor,
        labels: Tensor,
        indices: Tensor | None = None,
        *,
        through: nn.Module | None = None,
    ) -> Tensor:
        """Return the mean loss of a batch, or of a micro-batch of one.

        Args:
            images: (N, C, H, W), pixels in [0, 1].
            labels: (N,), integers from 0 to K - 1, of any size.
            indices: (N,) int64, each image's position in the dataset, which keys its noise: results
                then do not depend on the order or the number of processes. By default the position
                in the batch keys the noise.
            through: the module to compute the loss with instead of the model, such as its wrapper
                for distributed training.

        Raises:
            InvalidArgument: images or labels are invalid, also at eps = 0; a label is none of the
                model's classes; at the first call also logits that do not fit `num_classes`.
            ModelError: the model does not return logits (N, K), or has no weights to train.
        """
        labels = self._check_batch(images, labels, indices)
        copied = self._objective.frozen_copy()
        if copied is not None:
            # The model may have been moved since it was copied.
            copied.to(images.device)
        alpha, eps = self.scheduler.alpha, self.scheduler.eps
        noise = self._noise(len(images), images.device, indices)
        perturb = None
        if eps > 0:
            fewer = self._fewer_steps
            perturb = make_perturb(
                self._attack, self._attacked, eps, noise, alpha=alpha, fewer_steps=fewer
            )
        # The check of the first call has warned of a model that writes into its input.
        trained = GuardedModel(through or self._model, warns=False)
        objective = self._objective_of_step().of_images(indices)
        terms = objective(trained, images, labels, perturb)
        if torch.is_grad_enabled():
            if not terms.loss.requires_grad:
                raise untrainable()
            self._batch.right = self._batch.right + terms.correct.sum()
            self._batch.images += len(images)
        loss = terms.loss.mean()
        self._last_loss = loss.detach() if len(images) else None
        return loss

    def perturbed(self, images: Tensor, labels: Tensor, indices: Tensor | None = None) -> Tensor:
        """Return the images attacked at eps_g, to measure accuracy in validation.

        The attack is that of training, in eval mode; `rampart evaluate` has stronger ones. Works in
        `inference_mode`. The same weights give the same images.

        Args:
            images: (N, C, H, W), pixels in [0, 1].
            labels: (N,), integers from 0 to K - 1, of any size.
            indices: as in a call.
        """
        labels = self._check_batch(images, labels, indices)
        positions = torch.arange(len(images), device=images.device)
        keys = positions if indices is None else indices.to(images.device)
        noise = Noise.of(self._seed, keys, "validation attack")
        attack = replace(self._attack, mode="eval")
        eps = per_sample(self.scheduler.eps_g, images)
        return attack(self._attacked, images, labels, eps, noise)

    def __repr__(self) -> str:
        scheduler, attack = self.scheduler, self._attack
        now = f"{format_eps(scheduler.eps)} after {counted(scheduler.steps_done, 'step')}"
        return (
            f"RobustLoss(eps={format_eps(scheduler.eps_g)}, norm={attack.norm}, eps now {now} of "
            f"{scheduler.horizon.steps}, schedule={scheduler.schedule}, attack={attack}, "
            f"objective={self._objective})"
        )

    def step(self) -> None:
        """Step the schedule, after each step of the optimizer.

        Raises:
            InvalidArgument: no loss was computed since the last step.
        """
        if not self._batch.images:
            do = "call the loss first"
            raise InvalidArgument("step", "no batch", "a loss since the last step", do)
        right, images = self._count_everywhere()
        self.scheduler.step(right / images if self.scheduler.schedule.needs_accuracy else None)
        self._batch = _Batch()
        if self.scheduler.steps_done % self.scheduler.horizon.steps_per_epoch == 0:
            self._objective.finish_epoch()

    @property
    def remembers(self) -> bool:
        """Whether the objective remembers what it saw, or the model before training."""
        return self._objective.remembers or set(self.state_dict()) != {"scheduler"}

    @property
    def waits_for_validation(self) -> bool:
        """Whether an epoch has just ended and the schedule needs its validation accuracy."""
        ended = self.scheduler.steps_done % self.scheduler.horizon.steps_per_epoch == 0
        return self.scheduler.schedule.needs_validation and ended and self.scheduler.steps_done > 0

    def observe(self, accuracy: float) -> None:
        """Pass the clean validation accuracy, a fraction, to the schedule after an epoch."""
        self.scheduler.observe(accuracy)

    def state_dict(self) -> dict[str, Any]:
        """Return the state from which training resumes exactly.

        Plain values; also the tensors that the objective remembers, such as a copy of the initial
        model.
        """
        state: dict[str, Any] = {"scheduler": self.scheduler.state_dict()}
        if own := self._objective.state_dict():
            state["objective"] = own
        if (copied := self._objective.frozen_copy()) is not None:
            state["frozen_copy"] = copied.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned.

        Raises:
            RunError: the state lacks a key.
            InvalidArgument: the state belongs to another schedule.
        """
        copied = self._objective.frozen_copy()
        expected = {"scheduler"} if copied is None else {"scheduler", "frozen_copy"}
        expected |= {"objective"} if self._objective.state_dict() else set()
        if missing := expected - set(state):
            raise RunError(
                f"the state of the loss lacks {', '.join(sorted(missing))}: pass the state that "
                "RobustLoss.state_dict() returned with this objective."
            )
        self.scheduler.load_state_dict(state["scheduler"])
        if copied is not None:
            copied.load_state_dict(state["frozen_copy"])
        self._objective.load_state_dict(state.get("objective", {}))
        self._batch = _Batch()

    def _objective_of_step(self) -> Objective:
        """Return the variant of the objective that this step takes."""
        done = self.scheduler.steps_done
        variant = self._objective.variants[self._objective.draw(self._seed, done)]
        if not self._batch.images and torch.is_grad_enabled():
            variant.begin_step(done, self.scheduler.horizon)
        return variant

    def _check_batch(self, images: Tensor, labels: Tensor, indices: Tensor | None) -> Tensor:
        """Refuse an invalid batch at every strength; return the labels as int64.

        At eps = 0 no attack would check it.
        """
        require_whole("labels", labels, len(images))
        if indices is not None:
            require_whole("indices", indices, len(images))
        labels = as_labels(labels, images)
        # The last loss is read here, together with the images: by itself it would make a GPU wait.
        last, self._last_loss = self._last_loss, None
        seen = check_batch(images, labels, others=() if last is None else (last,))
        if len(images):
            if not self._classes:
                warn_of_slip(self.scheduler.eps_g, self._attack.norm, images.shape[1:])
            self._classes = self._classes or self._count_classes(images)
            require_classes(seen.classes, self._classes)
        if not all(map(math.isfinite, seen.others)):
            warn_of_divergence(seen.others[0])
        return labels

    def _count_classes(self, images: Tensor) -> int:
        """Return the number of logits of the first image; it has to be `num_classes`."""
        model = _inner(self._model)
        # A compiled model would recompile for a single image and for another mode.
        model = getattr(model, "_orig_mod", model)
        with torch.no_grad(), frozen(model):
            classes: int = GuardedModel(model)(images[:1]).shape[1]
        if self._num_classes not in (None, classes):
            raise InvalidArgument(
                "num_classes", self._num_classes, f"{classes}, the number of the model's logits"
            )
        return classes

    def _noise(self, count: int, device: torch.device, indices: Tensor | None) -> Noise:
        """Return noise keyed by epoch and indices; without indices by step, position and rank."""
        if indices is not None:
            epoch = self.scheduler.steps_done // self.scheduler.horizon.steps_per_epoch
            return Noise.of(self._seed, indices.to(device), "attack", epoch)
        step, first = self.scheduler.steps_done, self._batch.images
        positions = torch.arange(first, first + count, device=device)
        return Noise.of(self._seed, positions, "attack in a loop", step, rank_and_processes()[0])

    def _count_everywhere(self) -> tuple[int, int]:
        """Return correct predictions and images of the step, over all processes."""
        if not self.scheduler.schedule.needs_accuracy:
            return 0, 1
        right, images = int(self._batch.right), self._batch.images
        if rank_and_processes()[1] == 1:
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
