"""Pruning: a run stops early when a secant through the clean margin predicts that it will fail.

With m_0 the margin of the clean image, and m the smallest margin of the run at strength eps, the
margin would vanish at about eps * m_0 / (m_0 - m), the projected strength. It falls while the run
makes progress. The run is pruned where it exceeds a limit that tightens with the number of steps.

Pruning saves passes. A recheck attacks some of the samples in full (`rampart.evaluation.recheck`);
if that changes too many results, all samples with pruned runs are attacked in full
(`rampart.evaluation.escalation`).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rampart.attacks.apgd import ApgdAlgorithm
from rampart.attacks.fab import FabAlgorithm
from rampart.attacks.square import SquareAlgorithm
from rampart.attacks.stages import Stage
from rampart.units import Norm

Kind = Literal["untargeted", "targeted", "minimum-norm", "black-box"]

#: Limits of the projected strength, in units of the current strength, by the number of steps made.
#: For gradient ascent they lie above the largest projection from which a run still succeeded on the
#: networks of benchmarks/calibration.md; no benchmark reports these networks. FAB had no success
#: after APGD there, and Square only where gradients were masked. Both get a short look: they go on
#: where they come close, so that they find masked gradients, and the recheck covers the rest. FAB
#: is not pruned before it finds an adversarial example.
LIMITS: dict[Kind, dict[int, float]] = {
    "untargeted": {3: 2.3, 5: 2.2, 10: 2.1, 30: 1.8, 50: 1.3, 70: 1.1},
    "targeted": {3: 4.5, 5: 2.8, 10: 2.2, 20: 1.75, 30: 1.35, 50: 1.12},
    "minimum-norm": {3: 1.6, 5: 1.35, 10: 1.12, 20: 1.05, 30: 1.02},
    "black-box": {50: 2.0, 100: 1.5, 250: 1.2, 1000: 1.1, 2000: 1.02},
}
#: Gradient ascent with fewer steps adapts faster; its limits go by the fraction of the run.
SHORT = 50
#: Gradient ascent with fewer steps than this has no limits.
LEAST = 8
SHORT_LIMITS = {0.2: 2.4, 0.3: 2.1, 0.4: 1.9, 0.5: 1.55, 0.6: 1.4, 0.7: 1.15, 0.8: 1.08}


#: The algorithms with calibrated limits; runs of all others are never pruned.
CALIBRATED = (ApgdAlgorithm, FabAlgorithm, SquareAlgorithm)


def kind(stage: Stage) -> Kind:
    """Return the kind of limits for a stage."""
    if not stage.algorithm.gradient:
        return "black-box"
    if stage.algorithm.minimum_norm:
        return "minimum-norm"
    return "targeted" if stage.targets else "untargeted"


@dataclass(frozen=True)
class Limits:
    """The limits of one stage as a table.

    Attributes:
        table: (steps + 1,) the limit at each age; infinite if there is none.
    """

    table: Tensor

    @classmethod
    def of(cls, stage: Stage, norm: Norm, device: torch.device) -> "Limits":
        """Return the limits of a stage.

        APGD under L1 has no limits: it starts in larger balls, where margins predict nothing.
        """
        table = torch.full((stage.algorithm.steps + 1,), torch.inf, device=device)
        for age, limit in _limits(stage, norm).items():
            # A run that ends at that age has failed; there is nothing to prune.
            if age < stage.algorithm.steps:
                table[age] = limit
        return cls(table)

    @property
    def ages(self) -> list[int]:
        """The ages that have a limit."""
        ages: list[int] = self.table.isfinite().nonzero()[:, 0].tolist()
        return ages

    def exceeded(self, age: Tensor, projected: Tensor) -> Tensor:
        """Return (N,) bool: whether to prune runs of these ages (N,) and projections (N,)."""
        return projected > self.table[age.clamp_max(len(self.table) - 1)]


def _limits(stage: Stage, norm: Norm) -> dict[int, float]:
    """Return the limits by the number of steps made."""
    steps, ascends = stage.algorithm.steps, kind(stage) in ("untargeted", "targeted")
    if not isinstance(stage.algorithm, CALIBRATED) or (ascends and (norm == "l1" or steps < LEAST)):
        return {}
    if ascends and steps < SHORT:
        return {round(fraction * steps): limit for fraction, limit in SHORT_LIMITS.items()}
    return LIMITS[kind(stage)]


def project_strength(clean_gap: Tensor, gap: Tensor) -> Tensor:
    """Return the strengths at which margins would vanish, in units of the current strength.

    Args:
        clean_gap: margins of the clean images, above 0.
        gap: smallest margins at the current strength.

    Returns:
        clean_gap / (clean_gap - gap); infinite where the margin has not shrunk.
    """
    fallen = clean_gap - gap
    return torch.where(fallen > 0, clean_gap / fallen.clamp_min(1e-30), torch.inf)


def gaps(logits: Tensor, targets: Tensor) -> Tensor:
    """Return margins of logits (N, K): z_y - max z_i for labels (N,), z_y - z_t for (N, 2)."""
    if targets.ndim == 2:
        pair = logits.gather(1, targets)
        return pair[:, 0] - pair[:, 1]
    own = logits.gather(1, targets[:, None])[:, 0]
    return own - logits.scatter(1, targets[:, None], -torch.inf).amax(1)
