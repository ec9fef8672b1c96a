"""When a run is hopeless: the secant through the clean margin says how far a break still is.

With m_0 the margin of the clean image, and m the smallest margin that the run has seen at strength
eps, the margin would vanish at about eps * m_0 / (m_0 - m). That ratio falls while the run works;
where it is still above a limit that tightens with the number of steps, the run is given up.

The limits only save passes: an rechecked fraction of the samples repeats in full what was given up,
and if that changes a result beyond a tolerance, all samples do (`rampart.evaluation.critical`).
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

#: Largest projected strength, in units of the strength attacked at, by steps made: above the
#: largest from which a run still succeeded on the networks of benchmarks/calibration.md, none of
#: which a benchmark reports. After APGD, FAB succeeded nowhere there; its limits follow the
#: distances that it had found, and it is never given up before it has found any.
LIMITS: dict[Kind, dict[int, float]] = {
    "untargeted": {3: 2.3, 5: 2.2, 10: 2.1, 30: 1.8, 50: 1.3, 70: 1.1},
    "targeted": {3: 4.5, 5: 2.8, 10: 2.2, 20: 1.75, 30: 1.35, 50: 1.12},
    "minimum-norm": {3: 2.0, 5: 1.6, 10: 1.35, 20: 1.2, 30: 1.12, 50: 1.05},
    "black-box": {50: 4.0, 100: 3.0, 250: 2.0, 500: 1.6, 1000: 1.35, 2000: 1.25},
}
#: Gradient ascent with fewer steps than this anneals faster; its limits go by the fraction of the
#: run.
SHORT = 50
#: Still shorter runs have no limits.
LEAST = 8
SHORT_LIMITS = {0.2: 2.4, 0.3: 2.1, 0.4: 1.9, 0.5: 1.55, 0.6: 1.4, 0.7: 1.15, 0.8: 1.08}


#: What the limits were found with; a run of any other method is carried through.
CALIBRATED = (ApgdAlgorithm, FabAlgorithm, SquareAlgorithm)


def kind(stage: Stage) -> Kind:
    """Return which limits a stage has."""
    if not stage.algorithm.gradient:
        return "black-box"
    if stage.algorithm.minimum_norm:
        return "minimum-norm"
    return "targeted" if stage.targets else "untargeted"


@dataclass(frozen=True)
class Limits:
    """The limits of one stage as a table.

    Attributes:
        table: (steps + 1,) the limit at each age, infinite where none applies.
    """

    table: Tensor

    @classmethod
    def of(cls, stage: Stage, norm: Norm, device: torch.device) -> "Limits":
        """Return the limits of a stage.

        APGD under L1 first climbs in larger balls, where a margin projects nothing: no limits.
        """
        table = torch.full((stage.algorithm.steps + 1,), torch.inf, device=device)
        for age, limit in _limits(stage, norm).items():
            # A run that is over at that age has failed, which is as good as given up.
            if age < stage.algorithm.steps:
                table[age] = limit
        return cls(table)

    def exceeded(self, age: Tensor, projected: Tensor) -> Tensor:
        """Return (N,) whether runs at these ages (N,) with these projections (N,) are hopeless."""
        return projected > self.table[age.clamp_max(len(self.table) - 1)]


def _limits(stage: Stage, norm: Norm) -> dict[int, float]:
    """The limits by the number of steps made."""
    steps, ascends = stage.algorithm.steps, kind(stage) in ("untargeted", "targeted")
    if not isinstance(stage.algorithm, CALIBRATED) or (ascends and (norm == "l1" or steps < LEAST)):
        return {}
    if ascends and steps < SHORT:
        return {round(fraction * steps): limit for fraction, limit in SHORT_LIMITS.items()}
    return LIMITS[kind(stage)]


def projected(clean_gap: Tensor, gap: Tensor) -> Tensor:
    """Return the strengths at which margins would vanish, in units of the present strength.

    Args:
        clean_gap: margins of the clean images, above 0.
        gap: smallest margins at the present strength.

    Returns:
        clean_gap / (clean_gap - gap); infinite where the margin has not shrunk.
    """
    fallen = clean_gap - gap
    return torch.where(fallen > 0, clean_gap / fallen.clamp_min(1e-30), torch.inf)


def gaps(logits: Tensor, targets: Tensor) -> Tensor:
    """Return margins in the logits (N, K): z_y - max z_i for labels (N,), z_y - z_t for (N, 2)."""
    if targets.ndim == 2:
        pair = logits.gather(1, targets)
        return pair[:, 0] - pair[:, 1]
    own = logits.gather(1, targets[:, None])[:, 0]
    return own - logits.scatter(1, targets[:, None], -torch.inf).amax(1)
