"""Per-sample losses: functions that return (N,), and the objects that attacks maximize.

They compute in fp32 (fp64 for fp64 logits), also under mixed precision. Logits are `(N, K)` with
K >= 2 classes, labels `(N,)` integers in 0..K-1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

from rampart.deferred import F, torch
from rampart.errors import InvalidArgument
from rampart.images_and_labels import is_whole, type_of
from rampart.logits import is_correct
from rampart.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

LOSSES: Registry[Loss] = Registry("loss")


def full_precision(logits: Tensor) -> Tensor:
    """Return the logits in fp32, or unchanged in fp64."""
    return logits if logits.dtype == torch.float64 else logits.float()


def cross_entropy(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Return the (N,) cross-entropies -log p_y, with label smoothing if given.

    `label_smoothing` s replaces the label by (1 - s) y + s / K (Szegedy et al. 2016, section 7).
    """
    return F.cross_entropy(
        full_precision(logits), labels, reduction="none", label_smoothing=label_smoothing
    )


def boosted_cross_entropy(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Return the (N,) losses -log p_y - log(1 - max_{k != y} p_k).

    Wang et al. 2020 (MART, ICLR), equation 8; the second term penalizes a confident wrong class.
    """
    logits = _several_classes(full_precision(logits))
    rival = logits.scatter(1, labels[:, None], -torch.inf).argmax(1, keepdim=True)
    # Compute log(1 - p_k) from the logits, because 1 - p_k may round to 0.
    others = logits.scatter(1, rival, -torch.inf).logsumexp(1)
    return cross_entropy(logits, labels, label_smoothing) - (others - logits.logsumexp(1))


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the (N,) margins max_{i != y} z_i - z_y; positive means misclassified."""
    logits = _several_classes(full_precision(logits))
    own = logits.gather(1, labels[:, None])
    rivals = logits.scatter(1, labels[:, None], -torch.inf)
    return rivals.amax(1) - own[:, 0]


def dlr(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the (N,) differences of logits ratio, -(z_y - max_{i != y} z_i) / (z_(1) - z_(3)).

    Croce & Hein 2020 (arXiv 2003.01690), equation 6; z_(k) is the k-th largest logit. Two classes
    have no z_(3), and any scale-free ratio of two logits is constant; the result is the margin.
    """
    return margin(logits, labels) / _spread(full_precision(logits), tail=1)


def targeted_dlr(logits: Tensor, labels: Tensor, classes: Tensor) -> Tensor:
    """Return the (N,) ratios -(z_y - z_t) / (z_(1) - (z_(3) + z_(4)) / 2) for targets t.

    Croce & Hein 2020, equation 7. With fewer than four classes the result is the numerator, as in
    `dlr`. With three, z_(3) in place of the mean would often be z_t itself.

    Args:
        logits: (N, K).
        labels: (N,), the true class y.
        classes: (N,), the target class t.
    """
    logits = _several_classes(full_precision(logits))
    gap = logits.gather(1, classes[:, None]) - logits.gather(1, labels[:, None])
    return gap[:, 0] / _spread(logits, tail=2)


def kl(clean_logits: Tensor, logits: Tensor) -> Tensor:
    """Return the (N,) divergences KL(p_clean || p) = sum_k p_clean,k log(p_clean,k / p_k)."""
    clean = full_precision(clean_logits).log_softmax(1)
    other = full_precision(logits).log_softmax(1)
    return F.kl_div(other, clean, reduction="none", log_target=True).sum(1)


def squared_distance(features: Tensor, targets: Tensor) -> Tensor:
    """Return ‖features − targets‖² (N,) of features (N, D)."""
    return (full_precision(features) - full_precision(targets)).square().sum(1)


def _spread(logits: Tensor, tail: int) -> Tensor:
    """Return z_(1) minus the mean of `tail` logits from the third on; 1 if there are too few."""
    if logits.shape[1] < 2 + tail:
        return torch.ones_like(logits[:, 0])
    top = logits.topk(2 + tail, dim=1).values
    return top[:, 0] - top[:, 2:].mean(1) + 1e-12


def _several_classes(logits: Tensor) -> Tensor:
    if logits.ndim != 2 or logits.shape[1] < 2:
        raise InvalidArgument("logits", tuple(logits.shape), "shape (N, K) with K >= 2 classes")
    return logits


@dataclass(frozen=True)
class Loss(ABC):
    """The function that an attack maximizes, and when it succeeds; targets have one row per sample.

    Attributes:
        shape: form of `targets`, for messages.
        relative: whether the targets are clean logits. If an attack gets labels instead, it
            computes the clean logits from the model.
    """

    shape: ClassVar[str] = "labels (N,)"
    relative: ClassVar[bool] = False

    @abstractmethod
    def value(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the (N,) values to be maximized, in fp32 or better."""

    @abstractmethod
    def is_adv(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return (N,) bool: whether the point is adversarial.

        A row of logits that are not all finite is always adversarial.
        """

    @final
    def check(self, targets: Tensor, n: int) -> None:
        """Raise `InvalidArgument` unless `targets` are valid for n samples."""
        if targets.ndim == 0 or len(targets) != n or not self.fits(targets):
            got = f"{type_of(targets)} {tuple(targets.shape)}"
            raise InvalidArgument("targets", got, f"{self.shape} with N = {n}")

    def fits(self, targets: Tensor) -> bool:
        """Return whether rank and dtype are valid; by default, integers (N,)."""
        return targets.ndim == 1 and is_whole(targets)


@dataclass(frozen=True)
class _ToLabels(Loss):
    """Losses whose targets are labels; the attack succeeds if the prediction differs."""

    def is_adv(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return whether the predicted class differs from the label."""
        return ~is_correct(logits, targets)


@LOSSES.register("ce")
@dataclass(frozen=True)
class CrossEntropy(_ToLabels):
    """Cross-entropy of the true class; targets: labels (N,)."""

    def value(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return -log p_y."""
        return cross_entropy(logits, targets)


@LOSSES.register("dlr")
@dataclass(frozen=True)
class Dlr(_ToLabels):
    """Difference of logits ratio (see `dlr`); targets: labels (N,)."""

    def value(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return -(z_y - max_{i != y} z_i) / (z_(1) - z_(3))."""
        return dlr(logits, targets)


@LOSSES.register("margin")
@dataclass(frozen=True)
class Margin(_ToLabels):
    """Plain margin (see `margin`); targets: labels (N,)."""

    def value(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return max_{i != y} z_i - z_y."""
        return margin(logits, targets)


@dataclass(frozen=True)
class _Targeted(Loss):
    """Losses with targets (N, 2): true class, target class.

    Any wrong class counts as success, as in AutoAttack: the target only guides the attack.
    """

    shape: ClassVar[str] = "integers (N, 2): true class, target class"

    def fits(self, targets: Tensor) -> bool:
        """Return whether the targets are integers of shape (N, 2)."""
        return targets.shape[1:] == (2,) and is_whole(targets)

    def is_adv(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return whether the predicted class differs from the true class."""
        return ~is_correct(logits, targets[:, 0])


@LOSSES.register("targeted-ce")
@dataclass(frozen=True)
class TargetedCrossEntropy(_Targeted):
    """Negated cross-entropy of the target class; targets (N, 2): true class, target class."""

    def value(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return log p_t."""
        return -cross_entropy(logits, targets[:, 1])


@LOSSES.register("targeted-dlr")
@dataclass(frozen=True)
class TargetedDlr(_Targeted):
    """Targeted difference of logits ratio; targets (N, 2): true class, target class."""

    def value(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return -(z_y - z_t) / (z_(1) - (z_(3) + z_(4)) / 2)."""
        return targeted_dlr(logits, targets[:, 0], targets[:, 1])


@LOSSES.register("targeted-margin")
@dataclass(frozen=True)
class TargetedMargin(_Targeted):
    """Difference of two logits; targets (N, 2): true class, target class.

    It is linear in the logits: its value and gradient give the hyperplane that FAB steps to.
    """

    def value(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return z_t - z_y."""
        picked = full_precision(logits).gather(1, targets)
        return picked[:, 1] - picked[:, 0]


@LOSSES.register("kl")
@dataclass(frozen=True)
class Kl(Loss):
    """Divergence from the clean prediction, as TRADES maximizes it (arXiv 1901.08573, eq. 5).

    Targets: clean logits (N, K). If an attack gets labels (N,) instead, it computes the clean
    logits in the mode of the attack. The gradient is zero at the clean image, so an attack has to
    start elsewhere.
    """

    shape: ClassVar[str] = "clean logits (N, K), or labels (N,) to compute them,"
    relative: ClassVar[bool] = True

    def fits(self, targets: Tensor) -> bool:
        """Return whether the targets are clean logits (N, K) or labels (N,)."""
        return (
            targets.ndim == 2
            if targets.is_floating_point()
            else targets.ndim == 1 and is_whole(targets)
        )

    def value(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return KL(p_clean || p)."""
        return kl(targets, logits)

    def is_adv(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return whether the predicted class differs from the clean prediction."""
        return ~is_correct(logits, targets.argmax(1))


@dataclass(frozen=True)
class FeatureDistance(Loss):
    """Squared distance from the clean features, ‖φ(x') − φ(x)‖² (arXiv 2402.12336, eq. 3).

    The model returns features (N, D), and the targets are features too. No point counts as
    adversarial, so no attack stops early.
    """

    shape: ClassVar[str] = "features (N, D)"

    def fits(self, targets: Tensor) -> bool:
        """Return whether the targets are features (N, D)."""
        return targets.ndim == 2 and targets.is_floating_point()

    def value(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the squared distances (N,); `logits` are features (N, D)."""
        return squared_distance(logits, targets)

    def is_adv(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return False for every sample, since features predict no class."""
        return torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
