"""AutoAttack: an ensemble of four attacks without parameters to choose, and its versions.

Croce & Hein 2020 (arXiv 2003.01690), with the settings of its published code. Our own code rather
than an adapter: there is no maintained package, the attacks that others ship under the name run
with other settings, and an engine that moves samples between strengths has to hold each of them
at its own step.
"""

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor

from rampart.attacks.apgd import ApgdSearch
from rampart.attacks.averaged import Averaged
from rampart.attacks.base import ATTACKS, Attack
from rampart.attacks.fab import FabSearch
from rampart.attacks.search import Problem
from rampart.attacks.square import SquareSearch
from rampart.attacks.stages import Stage, cascade
from rampart.errors import InvalidArgument
from rampart.losses import LOSSES

#: Under L1 the published standard version runs APGD-CE and APGD-T so often.
L1_RESTARTS, L1_TARGETS = 5, 5


@dataclass(frozen=True)
class AutoAttack(Attack):
    """Stages one after the other, each on the samples that still stand, from the clean image.

    An image is broken as soon as one iterate of one stage is misclassified. With fewer classes
    than `targets` + 1, every wrong class is tried.

    Attributes:
        steps: steps of APGD and of FAB.
        targets: how many of the most likely wrong classes the targeted stages try.
        queries: queries of Square.
    """

    steps: int = 100
    targets: int = 9
    queries: int = 5000

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("steps", "targets", "queries"):
            if getattr(self, name) < 1:
                raise InvalidArgument(name, getattr(self, name), "at least 1")
        if self.loss != "ce":
            raise InvalidArgument("loss", self.loss, "no loss here", "each stage has its own")

    @abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """Return the stages in their order."""

    def _run(self, problem: Problem) -> Tensor:
        if problem.loss != LOSSES.get(self.loss)():
            got = type(problem.loss).__name__
            raise InvalidArgument(
                "loss", got, f"no loss for {type(self).__name__}", "use apgd or pgd, which take any"
            )
        return cascade(problem, self.stages())

    def _apgd(self, loss: str, restarts: int = 1, draws: int = 1) -> Stage:
        search = ApgdSearch(self.steps)
        averaged = Averaged(search, draws) if draws > 1 else search
        return Stage(f"apgd-{loss}", averaged, LOSSES.get(loss)(), restarts)

    def _apgd_t(self, targets: int) -> Stage:
        loss = LOSSES.get("targeted-dlr")()
        return Stage("apgd-t", ApgdSearch(self.steps), loss, targets=targets)

    def _usual_targets(self) -> int:
        return min(self.targets, L1_TARGETS) if self.norm == "l1" else self.targets

    def _fab_t(self) -> Stage:
        loss = LOSSES.get("targeted-margin")()
        return Stage("fab-t", FabSearch(self.steps), loss, targets=self.targets)

    def _square(self) -> Stage:
        return Stage("square", SquareSearch(self.queries), LOSSES.get("margin")())


@ATTACKS.register("short")
@dataclass(frozen=True)
class Short(AutoAttack):
    """The two gradient stages: APGD on the cross-entropy, then targeted APGD.

    It leaves out FAB and Square, which take about three quarters of the standard version's passes
    on a robust sample, and are there for models whose gradients mislead.
    """

    def stages(self) -> tuple[Stage, ...]:
        """APGD-CE, APGD-T."""
        return (self._apgd("ce"), self._apgd_t(self._usual_targets()))


@ATTACKS.register("standard")
@dataclass(frozen=True)
class Standard(AutoAttack):
    """AutoAttack's standard version, that of the published leaderboards."""

    def stages(self) -> tuple[Stage, ...]:
        """APGD-CE, APGD-T, FAB-T, Square."""
        restarts = L1_RESTARTS if self.norm == "l1" else 1
        return (
            self._apgd("ce", restarts),
            self._apgd_t(self._usual_targets()),
            self._fab_t(),
            self._square(),
        )


@ATTACKS.register("plus")
@dataclass(frozen=True)
class Plus(AutoAttack):
    """AutoAttack's version 'plus': five restarts of the untargeted attacks, then the targeted ones.

    Untargeted FAB takes one backward per class and step.
    """

    def stages(self) -> tuple[Stage, ...]:
        """APGD-CE, APGD-DLR, FAB, Square, APGD-T, FAB-T."""
        margin, fab = LOSSES.get("margin")(), FabSearch(self.steps, targeted=False)
        return (
            self._apgd("ce", 5),
            self._apgd("dlr", 5),
            # Of its five restarts the first begins at the image.
            Stage("fab", fab, margin),
            Stage("fab-random", fab.restart(1), margin, restarts=4),
            self._square(),
            self._apgd_t(self.targets),
            self._fab_t(),
        )


@ATTACKS.register("rand")
@dataclass(frozen=True)
class Rand(AutoAttack):
    """AutoAttack's version for stochastic models: gradients are means over `draws` answers."""

    draws: int = 20

    def stages(self) -> tuple[Stage, ...]:
        """APGD-CE and APGD-DLR, averaged."""
        return (self._apgd("ce", draws=self.draws), self._apgd("dlr", draws=self.draws))
