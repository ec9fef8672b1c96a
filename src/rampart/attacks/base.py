"""The interface of an attack: check the arguments, freeze the model, run, clip, restore."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, final, get_args

from rampart.attacks.algorithm import Problem
from rampart.attacks.frozen import Mode, Model, frozen, local
from rampart.attacks.stages import Stage
from rampart.deferred import torch
from rampart.errors import InvalidArgument, UnknownName
from rampart.guarded import GuardedModel, guarded
from rampart.images_and_labels import as_labels, check_batch, type_of
from rampart.losses import LOSSES, Loss, full_precision
from rampart.registry import Registry
from rampart.runtime import Noise
from rampart.strengths import warn_of_slip
from rampart.threat import per_sample, round_inside
from rampart.units import MAX_EPS, Norm, parse_eps, parse_norm

if TYPE_CHECKING:
    from torch import Tensor

ATTACKS: Registry[Attack] = Registry(
    "attack",
    dict.fromkeys(
        ("aa", "autoattack", "auto-attack"),
        "name a version of AutoAttack instead: standard, short, plus or rand",
    ),
)


@dataclass(frozen=True)
class Attack(ABC):
    """Perturbs images inside the ball and the pixel box so that a loss rises.

    A subclass implements `_run` for valid samples with eps > 0 on a frozen model. This class does
    the rest. In "eval" mode the result depends on the noise and not on the rest of the batch.

    Attributes:
        norm: norm of the ball, "linf", "l2" or "l1".
        mode: mode of the model during the attack: "eval", "train" or "unchanged".
        loss: name of the loss to maximize, unless a call passes another loss.
    """

    norm: Norm = "linf"
    mode: Mode = "eval"
    loss: str = "ce"

    #: Whether a call may pass another loss to maximize.
    takes_any_loss: ClassVar[bool] = True
    #: Whether a call may pass the points at which it begins.
    takes_start: ClassVar[bool] = False
    #: Default number of steps in training; None uses the attack's own default.
    training_steps: ClassVar[int | None] = None

    @property
    def averages_answers(self) -> bool:
        """Whether it averages gradients over several passes of a stochastic model."""
        return False

    @property
    def is_single_step(self) -> bool:
        """Whether it takes one gradient step."""
        return getattr(self, "steps", None) == 1

    @property
    def starts_at_image(self) -> bool:
        """Whether it starts at the image itself, where some losses have zero gradient."""
        return False

    @property
    def reach(self) -> float:
        """How far from the image its points may lie, as a multiple of eps.

        Above 1 the points leave the ball: training may use them, and no evaluation may.
        """
        return 1.0

    def __post_init__(self) -> None:
        parse_norm(self.norm)
        LOSSES.get(self.loss)
        if self.mode not in get_args(Mode):
            raise UnknownName("mode", self.mode, get_args(Mode))

    @final
    def __call__(
        self,
        model: Model,
        images: Tensor,
        targets: Tensor,
        eps: float | Tensor,
        noise: Noise | int = 0,
        loss: Loss | None = None,
        start: Tensor | None = None,
    ) -> Tensor:
        """Return perturbed images, within `reach` eps of `images` and in [0, 1], detached.

        The call does not change parameters, gradients, buffers or mode of the model. Samples with
        eps = 0 are returned unchanged, at no cost. The call works under `no_grad`,
        `inference_mode` and autocast. It attacks the local module of a `DistributedDataParallel`.

        Args:
            model: any callable from pixels in [0, 1] to logits (N, K).
            images: (N, C, H, W), floating point, pixels in [0, 1]. The model gets images of the
                same type. With bf16 and fp16 the attack itself computes in fp32, and the result
                lies in the ball in the type of the images.
            targets: labels (N,), integers of any size, or the targets of `loss` (see
                `rampart.losses`).
            eps: fraction of the pixel range, such as 4/255; a number or (N,). A number that is
                probably a slip, such as 0.4 for 0.4/255, is shown as a `RampartWarning`.
            noise: one key per sample, or a seed; a seed keys the noise by the position in the
                batch.
            loss: what to maximize instead of this attack's loss.
            start: (N, C, H, W), where to begin, for an attack with `takes_start`; the points are
                projected first. A row with a NaN begins as usual.

        Raises:
            InvalidArgument: an argument is out of range or has the wrong shape; a label is none of
                the model's classes.
            ModelError: the model does not return logits (N, K), they have no gradient with respect
                to the pixels, or its backward pass fails.
        """
        loss = LOSSES.get(self.loss)() if loss is None else loss
        with torch.inference_mode(False), torch.no_grad():
            images, targets = _detach(images), as_labels(_detach(targets), images)
            loss.check(targets, len(images))
            needed = check_batch(images, targets, "targets").classes
            exact = full_precision(images)
            start = self._parse_start(start, exact)
            strengths, attacked = _parse_strengths(eps, exact, self.norm)
            if not attacked:
                return images.clone()
            problem = Problem(
                guarded(local(model)),
                *(exact, targets, strengths, _parse_noise(noise, images), loss, self.norm),
                dtype=images.dtype,
                classes=needed,
                begin=start,
            )
            return self._attack(problem, everyone=attacked == len(images))

    @final
    def on_checked(
        self,
        model: Model,
        images: Tensor,
        targets: Tensor,
        eps: float,
        noise: Noise,
        loss: Loss | None = None,
        start: Tensor | None = None,
    ) -> Tensor:
        """Return what a call returns, for images and targets that were checked before.

        It reads no value, so a GPU is not waited for, unless the attack itself has to know which
        samples are left.

        Args:
            model: as in a call.
            images: as in a call; pixels in [0, 1].
            targets: as in a call; labels are int64 and classes of the model.
            eps: strength of every sample, a fraction of the pixel range above 0.
            noise: one key per sample.
            loss: as in a call.
            start: as in a call.
        """
        loss = LOSSES.get(self.loss)() if loss is None else loss
        with torch.inference_mode(False), torch.no_grad():
            images, targets = _detach(images), _detach(targets)
            if not len(images):
                return images.clone()
            exact = full_precision(images)
            problem = Problem(
                guarded(local(model)),
                *(exact, targets, per_sample(eps, exact), noise, loss, self.norm),
                dtype=images.dtype,
                begin=self._parse_start(start, exact),
            )
            return self._attack(problem, everyone=True)

    def _attack(self, problem: Problem, *, everyone: bool) -> Tensor:
        """Attack the samples with eps > 0; return points in the type of the caller's images."""
        chosen = None if everyone else problem.eps > 0
        part = problem if chosen is None else problem.select(chosen)
        with frozen(part.model, self.mode):
            found = self._run(_complete_targets(part)).detach()
        # A model whose logits are not finite may have led the attack to no point at all.
        points = part.wider(self.reach).project_(torch.where(found.isfinite(), found, part.images))
        if chosen is not None:
            points = problem.images.index_put((chosen,), points)
        return round_inside(points, problem.images, problem.dtype or points.dtype)

    def _parse_start(self, start: Tensor | None, images: Tensor) -> Tensor | None:
        if start is None:
            return None
        if not self.takes_start:
            raise InvalidArgument(
                "start", "points", "none, because this attack chooses its own", "use pgd or apgd"
            )
        if start.shape != images.shape:
            raise InvalidArgument("start", tuple(start.shape), f"the shape {tuple(images.shape)}")
        return _detach(start).to(images)

    def stages(self) -> tuple[Stage, ...]:
        """Return the attack's stages; empty for an attack that is only a call.

        The evaluation engine can change a sample's strength within stages, but not within a call.
        """
        return ()

    @abstractmethod
    def _run(self, problem: Problem) -> Tensor:
        """Return points (N, C, H, W); runs without gradients, on a frozen model."""


def with_fewer_steps(attack: Attack, alpha: float, fewest: int = 2) -> Attack:
    """Return the attack with max(fewest, ceil(K alpha)) of its K steps.

    In a small ball, few steps suffice. An attack without steps, or with `fewest` or less, is
    returned unchanged.

    Args:
        attack: the attack at the full strength.
        alpha: current strength as a fraction of eps_g, in [0, 1].
        fewest: smallest number of steps, 1 or more.
    """
    most = getattr(attack, "steps", 0)
    # Rounding may raise K alpha slightly above a whole number.
    steps = max(fewest, math.ceil(most * alpha - 1e-9))
    return attack if steps >= most else replace(attack, steps=steps)  # type: ignore[call-arg]  # it has steps


class CountingModel(GuardedModel):
    """Counts the passes of a model; a pass is one sample forward, or one sample backward.

    Attacks freeze and restore the wrapped module. Wrap the local module of a
    `DistributedDataParallel`, not the wrapper.

    Attributes:
        forwards: number of samples passed forward.
        backwards: number of samples whose logits, or features, received a gradient.
    """

    def __init__(self, module: Callable[..., Any]) -> None:
        super().__init__(module)
        self.forwards = 0
        self.backwards = 0

    def __call__(self, images: Tensor, **options: Any) -> Any:
        """Return the output of the wrapped model: logits, or logits and features."""
        output = super().__call__(images, **options)
        self.forwards += len(images)
        # A backward pass goes through the features, whether the loss uses them or the logits.
        reached = output[1] if isinstance(output, tuple) else output
        if reached.requires_grad:
            reached.register_hook(self._count_backward)
        return output

    def _count_backward(self, gradient: Tensor) -> None:
        self.backwards += len(gradient)


class Features(GuardedModel):
    """A model that returns its features (N, D), so that an attack changes those.

    Attributes:
        module: returns (logits, features) when called with `features="joint"`.
    """

    def __call__(self, images: Tensor, **options: Any) -> Any:
        """Return the features."""
        _, features = super().__call__(images, features="joint", **options)
        return features


def _complete_targets(problem: Problem) -> Problem:
    """Replace labels by clean logits if the loss needs them; costs one forward."""
    if not problem.loss.relative or problem.targets.is_floating_point():
        return problem
    return problem.with_targets(problem.ask(problem.images))


def _detach(tensor: Tensor) -> Tensor:
    """Return the tensor detached; a tensor made in inference mode is copied."""
    return tensor.clone() if tensor.is_inference() else tensor.detach()


def _parse_strengths(eps: float | Tensor, images: Tensor, norm: Norm) -> tuple[Tensor, int]:
    """Return the strengths (N,), and how many are above 0."""
    n = len(images)
    if not isinstance(eps, torch.Tensor):
        value = parse_eps(eps, norm)
        warn_of_slip(eps, norm, images.shape[1:], stacklevel=4, scheduled=True)
        return per_sample(value, images), n if value > 0 else 0
    if eps.ndim > 1 or (eps.ndim == 1 and len(eps) != n) or not eps.is_floating_point():
        got = f"{type_of(eps)} {tuple(eps.shape)}"
        raise InvalidArgument("eps", got, f"a number or a floating-point tensor ({n},)")
    strengths = per_sample(_detach(eps), images)
    inside = (strengths >= 0) & (strengths <= MAX_EPS[norm])
    good, attacked = torch.stack([inside.sum(), (strengths > 0).sum()]).tolist()
    if good < n:
        got = f"{strengths[~inside][0].item():.6g}"
        expected = f"fractions of the pixel range in [0, {MAX_EPS[norm]:g}]"
        raise InvalidArgument("eps", got, expected, "write 4/255 for 4 gray levels")
    return strengths, int(attacked)


def _parse_noise(noise: Noise | int, images: Tensor) -> Noise:
    if not isinstance(noise, Noise):
        return Noise.like(images, noise)
    if len(noise) != len(images):
        raise InvalidArgument("noise", f"{len(noise)} keys", f"{len(images)}, one per image")
    return noise


def require_eval_mode(attack: Attack, name: str = "attack.mode") -> None:
    """Raise `InvalidArgument` unless the attack runs in eval mode, like the evaluation."""
    # An attack of another library has no mode and does not change that of the model.
    mode = getattr(attack, "mode", "eval")
    if mode != "eval":
        raise InvalidArgument(name, mode, "eval, since evaluation runs in eval mode")
