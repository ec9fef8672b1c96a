"""Catastrophic overfitting: the model withstands an attack of few steps, but not one of many.

Training on single-step attacks may bend the loss surface within a few hundred steps, so that the
gradient at the start misleads. Accuracy under the single step then rises, while accuracy under PGD
falls to almost 0. Wong, Rice & Kolter 2020 (arXiv 2001.03994) name it and stop a run when PGD
accuracy on a batch falls suddenly. Andriushchenko & Flammarion 2020 (arXiv 2007.02617) find it with
a random start as well, at larger strengths.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from rampart.attacks.base import Attack
from rampart.attacks.costs import attack_passes
from rampart.attacks.pgd import Fgsm, Pgd
from rampart.skill import clearly_above
from rampart.training.monitors.base import (
    Alert,
    Memory,
    Monitor,
    Observation,
    Row,
    affords,
    begins,
    earn,
    percent,
    spend,
)
from rampart.units import format_eps

#: The code of the alert.
OVERFITTING = "catastrophic-overfitting"
#: Smallest sound ratio of accuracy under a single step and PGD-10 to that under the step alone.
RATIO = 0.25
#: (model, attacks, eps) to the accuracy on fixed images under the first attack, under the first
#: two, and so on, and the passes they took (`rampart.evaluation.accuracy.accuracy_in_turn`).
Measure = Callable[[nn.Module, Sequence[Attack], float], tuple[list[float], int]]


def collapsed(single: float, both: float, chance: float, images: int) -> bool:
    """Whether accuracy under a single step is an illusion.

    The rule: accuracy under it and PGD-10 is below a quarter of that under it alone, and the latter
    is clearly above chance, by three standard errors of chance on so many images. PGD-10 is always
    stronger than one step, and more so at a larger eps: on the embedded task the ratio of sound
    models falls from 1 to 0.5 at 20/255, while that of a collapsed model is almost 0.

    Args:
        single: accuracy under the single step.
        both: accuracy under the single step and PGD-10, on the same images at the same strength.
        chance: accuracy of the best constant answer.
        images: their number.
    """
    return clearly_above(single, chance, images) and both < RATIO * single


@dataclass(frozen=True)
class Overfitting(Monitor):
    """Compares a training attack of one step or a few with PGD-10 after epochs with an attack.

    The training attack attacks those of some fixed images that are right, and PGD-10 those that
    withstand it: in eval mode, at the last strength of the epoch, with the same noise in every
    epoch. For a single step that costs at most 14 forwards and 11 backwards per image. The figures
    are `monitor_fgsm`; `monitor_pgd10`, which is accuracy under both; and `monitor_gap`, their
    difference.

    Attributes:
        attack: the training attack, of one step or a few. Once an alert has given it more steps,
            nothing is measured.
        measure: accuracy on the fixed images.
        images: number of the fixed images.
        chance: accuracy of the best constant answer on them.
        more_steps: steps of the training attack after the alert; 0 if the alert only warns.
        share: fraction of the training passes that the monitor saves up, so that it leaves out
            epochs; None for no limit. It measures once half of the most passes of a measurement are
            saved, because images that an attack has fooled cost less, and may overdraw by the rest.
    """

    name: ClassVar[str] = "overfitting"

    attack: Attack
    measure: Measure
    images: int
    chance: float
    more_steps: int = 0
    share: float | None = None

    def observe(self, model: nn.Module, row: Row, memory: Memory) -> Observation:
        """Return both accuracies, and an alert when they begin to differ too much."""
        if self.share is not None:
            earn(memory, self.share, row)
        if row["eps"] <= 0 or "attack_steps" in row or not self._affords(memory):
            return Observation()
        attacks = (self.attack, self._strong())
        (single, both), passes = self.measure(model, attacks, row["eps"])
        if self.share is not None:
            spend(memory, passes)
        figures = {
            "monitor_fgsm": single,
            "monitor_pgd10": both,
            "monitor_gap": single - both,
        }
        if not begins(memory, collapsed(single, both, self.chance, self.images)):
            return Observation(figures, passes=passes)
        alert = self._make_alert(single, both, row["eps"])
        return Observation(figures, (alert,), passes)

    def _strong(self) -> Attack:
        return Pgd(norm=self.attack.norm, steps=10)

    def _affords(self, memory: Memory) -> bool:
        """Whether half of both attacks is paid for, with the forward before them."""
        if self.share is None:
            return True
        most = 1 + attack_passes(self.attack) + attack_passes(self._strong())
        return affords(memory, self.images * most / 2) > 0

    def _make_alert(self, single: float, both: float, eps: float) -> Alert:
        steps = getattr(self.attack, "steps", 1)
        then = f"Restart with attack=pgd attack.steps=7{self._advise_single_step()}"
        if self.more_steps:
            then = f"From the next epoch on the attack takes {self.more_steps} steps"
        return Alert(
            OVERFITTING,
            f"catastrophic overfitting: at {format_eps(eps)} accuracy on {self.images} validation "
            f"images is {percent(single)} under the training attack of "
            f"{'one step' if steps == 1 else f'{steps} steps'}, but {percent(both)} under it and "
            f"PGD-10. Do not rely on val_robust. {then}.",
        )

    def _advise_single_step(self) -> str:
        """Return what to change for a user who needs a single step."""
        if getattr(self.attack, "start", None) == "none":
            return ", or keep one step with attack.start=uniform"
        if isinstance(self.attack, Fgsm):
            return (
                f", or keep one step with attack.step_size below {self.attack.step_size:g} "
                "or a smaller threat.eps"
            )
        return ", or with a smaller threat.eps"
