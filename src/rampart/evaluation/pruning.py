"""When a run is hopeless: the secant through the clean margin says how far a break still is.

With m_0 the margin of the clean image, and m the smallest margin that the run has seen at strength
eps, the margin would vanish at about eps * m_0 / (m_0 - m). That ratio falls while the run works;
where it is still above a limit that tightens with the number of steps, the run is given up.

The limits only save passes: an audited share of the samples repeats in full what was given up, and
if that changes a result beyond a tolerance, all samples do (`rampart.evaluation.critical`).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rampart.attacks.stages import Stage

Kind = Literal["untargeted", "targeted", "strength-free", "black-box"]

#: Largest projected strength, in units of the strength attacked at, by steps made. Found with
#: benchmarks/calibration.py on networks that no benchmark reports.
LIMITS: dict[Kind, dict[int, float]] = {
    "untargeted": {10: 1.35, 20: 1.15, 30: 1.08, 50: 1.05},
    "targeted": {5: 3.0, 10: 1.6, 20: 1.35, 30: 1.15, 50: 1.06},
    "strength-free": {5: 2.0, 10: 1.5, 20: 1.27, 30: 1.16, 50: 1.05},
    "black-box": {100: 6.5, 250: 3.2, 500: 2.3, 1000: 1.65, 2000: 1.3},
}


def kind(stage: Stage) -> Kind:
    """Return which limits a stage has."""
    if not stage.search.gradient:
        return "black-box"
    if stage.search.strength_free:
        return "strength-free"
    return "targeted" if stage.targets else "untargeted"


@dataclass(frozen=True)
class Limits:
    """The limits of one stage as a table.

    Attributes:
        table: (steps + 1,) the limit at each age, infinite where none applies.
        lead: (steps + 1,) how many times further away than gradients came a run may be.
    """

    table: Tensor
    lead: Tensor | None = None

    @classmethod
    def of(cls, stage: Stage, device: torch.device) -> "Limits":
        """Return the limits of a stage."""
        steps = stage.search.steps
        table = torch.full((steps + 1,), torch.inf, device=device)
        for age, limit in LIMITS[kind(stage)].items():
            # A run that is over at that age has failed, which is as good as given up.
            if age < steps:
                table[age] = limit
        return cls(table)

    def exceeded(self, age: Tensor, projected: Tensor, nearest: Tensor) -> Tensor:
        """Return (N,) whether runs are hopeless.

        Args:
            age: (N,) steps made.
            projected: (N,) strengths at which the runs would break, in units of the present one.
            nearest: (N,) the smallest such strengths that gradients projected before.
        """
        age = age.clamp_max(len(self.table) - 1)
        behind = projected > nearest * self.lead[age] if self.lead is not None else False
        return (projected > self.table[age]) | behind


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
