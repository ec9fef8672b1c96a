"""Catastrophic overfitting: a model that one step cannot fool any more, and several steps can.

Training on single-step attacks may end, within a few hundred steps, in a model whose loss surface
is bent such that the gradient at the start misleads: accuracy under the step rises while that under
PGD falls to almost nothing. Wong, Rice & Kolter 2020 (arXiv 2001.03994) name it, and stop a run on
a sudden fall of PGD accuracy on a batch; Andriushchenko & Flammarion 2020 (arXiv 2007.02617) find
it at larger strengths with a random start as well.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import nn

from rampart.attacks.base import Attack
from rampart.attacks.pgd import Fgsm, Pgd
from rampart.skill import clearly_above
from rampart.training.monitors.base import Alert, Memory, Monitor, Observation, Row, begins, percent
from rampart.units import format_eps

#: What a sound model keeps at least, under PGD-10, of its accuracy under a single step.
KEPT = 0.25
#: (model, attack, eps) to the fraction of some fixed images that is right without and under attack.
Measure = Callable[[nn.Module, Attack, float], float]


def collapsed(single: float, several: float, chance: float, images: int) -> bool:
    """Whether accuracy under several steps shows that accuracy under one step is an illusion.

    The rule: accuracy under PGD-10 is below a quarter of that under the single step, and the latter
    is clearly above chance, by three standard errors of chance on so many images. PGD-10 is always
    stronger than one step, the more so the larger eps is: on the embedded task sound models kept
    from 1 down to 0.5 of it at 20/255; a collapsed one keeps next to nothing. Where nothing is
    right under the single step, there is nothing to be an illusion.

    Args:
        single: accuracy under the single step.
        several: accuracy under PGD-10, on the same images at the same strength.
        chance: accuracy of the best constant answer.
        images: their number.
    """
    return clearly_above(single, chance, images) and several < KEPT * single


@dataclass(frozen=True)
class Overfitting(Monitor):
    """Compares a single-step attack with PGD-10 after every epoch in which anything was attacked.

    Both attack the same images in eval mode at the epoch's last strength, with the same noise each
    time; a look costs 15 forwards and 11 backwards of an image at most. The figures are
    `monitor_fgsm`, `monitor_pgd10` and their difference `monitor_gap`.

    Attributes:
        attack: the training attack, of a single step.
        measure: accuracy on the fixed images.
        images: their number.
        chance: accuracy of the best constant answer on them.
    """

    name: ClassVar[str] = "overfitting"

    attack: Attack
    measure: Measure
    images: int
    chance: float

    def query(self, model: nn.Module, row: Row, memory: Memory) -> Observation:
        """Return both accuracies, and an alert when their gap opens."""
        if row["eps"] <= 0:
            return Observation()
        single = self.measure(model, replace(self.attack, mode="eval"), row["eps"])
        several = self.measure(model, Pgd(norm=self.attack.norm, steps=10), row["eps"])
        figures = {
            "monitor_fgsm": single,
            "monitor_pgd10": several,
            "monitor_gap": single - several,
        }
        if not begins(memory, collapsed(single, several, self.chance, self.images)):
            return Observation(figures)
        return Observation(figures, (self._make_alert(single, several, row["eps"]),))

    def _make_alert(self, single: float, several: float, eps: float) -> Alert:
        return Alert(
            "catastrophic-overfitting",
            f"catastrophic overfitting: at {format_eps(eps)} the model gets {percent(single)} of "
            f"{self.images} validation images right under the training attack of one step, and "
            f"{percent(several)} under PGD-10, so val_robust means nothing either. Start again "
            f"with attack=pgd attack.steps=7{self._softer()}.",
        )

    def _softer(self) -> str:
        """What to change while one step is kept."""
        if getattr(self.attack, "start", None) == "none":
            return ", or, to keep one step, with attack.start=uniform"
        if isinstance(self.attack, Fgsm):
            return (
                f", or, to keep one step, with attack.step_size below {self.attack.step_size:g} "
                "or a smaller threat.eps"
            )
        return ", or with a smaller threat.eps"
