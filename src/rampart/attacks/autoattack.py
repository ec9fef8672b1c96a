"""AutoAttack: an ensemble of four attacks without parameters to choose, and its versions.

Croce & Hein 2020 (arXiv 2003.01690), with the settings of its published code. Our own code rather
than an adapter: there is no maintained package, the attacks that others ship under the name run
with other settings, and an engine that moves samples between strengths has to hold each of them
at its own step.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from torch import Tensor

from rampart.attacks.algorithm import Problem
from rampart.attacks.apgd import ApgdAlgorithm
from rampart.attacks.averaged import Averaged
from rampart.attacks.base import ATTACKS, Attack
from rampart.attacks.fab import FabAlgorithm
from rampart.attacks.square import SquareAlgorithm
from rampart.attacks.stages import Stage, cascade
from rampart.errors import InvalidArgument, UnknownName
from rampart.losses import LOSSES

Version = Literal["short", "standard", "plus", "rand"]

#: Under L1 the published standard version runs APGD-CE and APGD-T so often.
L1_RESTARTS, L1_TARGETS = 5, 5


@ATTACKS.register("rand", version="rand")
@ATTACKS.register("plus", version="plus")
@ATTACKS.register("standard", version="standard")
@ATTACKS.register("short", version="short")
@dataclass(frozen=True)
class AutoAttack(Attack):
    """Stages one after the other, each on the samples that still stand, from the clean image.

    An image is broken as soon as one iterate of one stage is misclassified. With fewer classes
    than `targets` + 1, every wrong class is tried. The versions:

    - "short": APGD on the cross-entropy, then targeted APGD. FAB and Square, which take about three
      quarters of the standard version's passes on a robust sample, are for models whose gradients
      mislead.
    - "standard": APGD-CE, APGD-T, FAB-T, Square; that of the published leaderboards.
    - "plus": five restarts of APGD-CE, APGD-DLR and FAB, then Square, APGD-T and FAB-T. Untargeted
      FAB takes one backward per class and step.
    - "rand": APGD-CE and APGD-DLR for stochastic models; gradients are means over `draws` answers.

    A configuration names a version alone: `evaluation.attack=standard`.

    Attributes:
        version: "short", "standard", "plus" or "rand".
        steps: steps of APGD and of FAB.
        targets: how many of the most likely wrong classes the targeted stages try.
        queries: queries of Square.
        draws: answers that "rand" takes the mean of.

    Example:
        >>> [stage.name for stage in AutoAttack(version="standard").stages()]
        ['apgd-ce', 'apgd-t', 'fab-t', 'square']
    """

    version: Version = "standard"
    steps: int = 100
    targets: int = 9
    queries: int = 5000
    draws: int = 20

    takes_any_loss: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.version not in get_args(Version):
            raise UnknownName("version", self.version, get_args(Version))
        for name in ("steps", "targets", "queries", "draws"):
            if getattr(self, name) < 1:
                raise InvalidArgument(name, getattr(self, name), "at least 1")
        if self.loss != "ce":
            raise InvalidArgument("loss", self.loss, "no loss here", "each stage has its own")

    @property
    def averages_answers(self) -> bool:
        """Yes in version "rand"."""
        return self.version == "rand"

    def stages(self) -> tuple[Stage, ...]:
        """Return the version's stages in their order."""
        match self.version:
            case "short":
                return (self._apgd("ce"), self._apgd_t(self._usual_targets()))
            case "standard":
                restarts = L1_RESTARTS if self.norm == "l1" else 1
                gradient = (self._apgd("ce", restarts), self._apgd_t(self._usual_targets()))
                return (*gradient, self._fab_t(), self._square())
            case "plus":
                targeted = (self._apgd_t(self.targets), self._fab_t())
                return (*self._untargeted(), self._square(), *targeted)
            case "rand":
                return (self._apgd("ce", draws=self.draws), self._apgd("dlr", draws=self.draws))

    def _run(self, problem: Problem) -> Tensor:
        if problem.loss != LOSSES.get(self.loss)():
            got = type(problem.loss).__name__
            raise InvalidArgument(
                "loss", got, f"no loss for {type(self).__name__}", "use apgd or pgd, which take any"
            )
        return cascade(problem, self.stages())

    def _apgd(self, loss: str, restarts: int = 1, draws: int = 1) -> Stage:
        algorithm = ApgdAlgorithm(self.steps)
        averaged = Averaged(algorithm, draws) if draws > 1 else algorithm
        return Stage(f"apgd-{loss}", averaged, LOSSES.get(loss)(), restarts)

    def _apgd_t(self, targets: int) -> Stage:
        loss = LOSSES.get("targeted-dlr")()
        return Stage("apgd-t", ApgdAlgorithm(self.steps), loss, targets=targets)

    def _usual_targets(self) -> int:
        return min(self.targets, L1_TARGETS) if self.norm == "l1" else self.targets

    def _fab_t(self) -> Stage:
        loss = LOSSES.get("targeted-margin")()
        return Stage("fab-t", FabAlgorithm(self.steps), loss, targets=self.targets)

    def _square(self) -> Stage:
        return Stage("square", SquareAlgorithm(self.queries), LOSSES.get("margin")())

    def _untargeted(self) -> tuple[Stage, ...]:
        margin, fab = LOSSES.get("margin")(), FabAlgorithm(self.steps, targeted=False)
        return (
            self._apgd("ce", 5),
            self._apgd("dlr", 5),
            # Of its five restarts the first begins at the image.
            Stage("fab", fab, margin),
            Stage("fab-random", fab.restart(1), margin, restarts=4),
        )
