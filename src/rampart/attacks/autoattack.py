"""AutoAttack: an ensemble of four parameter-free attacks, and its versions.

Croce & Hein 2020 (arXiv 2003.01690), with the settings of its published code. This is an
implementation and not an adapter, for three reasons: no maintained package exists, other libraries
use other settings, and the evaluation engine needs attacks that it can run step by step.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from rampart.attacks.algorithm import Problem
from rampart.attacks.apgd import ApgdAlgorithm
from rampart.attacks.averaged import Averaged
from rampart.attacks.base import ATTACKS, Attack
from rampart.attacks.fab import FabAlgorithm
from rampart.attacks.square import SquareAlgorithm
from rampart.attacks.stages import Stage, cascade
from rampart.errors import InvalidArgument, RampartWarning, UnknownName
from rampart.logits import kind_of_outputs
from rampart.losses import LOSSES

if TYPE_CHECKING:
    from torch import Tensor

Version = Literal["short", "standard", "plus", "rand"]

#: Images of a call that are asked twice, and the largest relative change of their logits.
ASKED, REPEATED = 16, 1e-4
#: Restarts of APGD-CE and targets of APGD-T in the published standard version under L1.
L1_RESTARTS, L1_TARGETS = 5, 5


@ATTACKS.register("rand", version="rand")
@ATTACKS.register("plus", version="plus")
@ATTACKS.register("standard", version="standard")
@ATTACKS.register("short", version="short")
@dataclass(frozen=True)
class AutoAttack(Attack):
    """Several stages one after another, each on the samples that are still robust.

    An image counts as misclassified as soon as one iterate of one stage is adversarial. With at
    most `targets` + 1 classes, the targeted stages try every wrong class. The versions:

    - "short": APGD-CE, then APGD-T. It leaves out FAB and Square, which help against models with
      misleading gradients and take about three quarters of the standard version's passes on a
      robust sample.
    - "standard": APGD-CE, APGD-T, FAB-T, Square, as on the published leaderboards.
    - "plus": five restarts of APGD-CE, APGD-DLR and FAB, then Square, APGD-T and FAB-T. Untargeted
      FAB takes one backward per wrong class and step.
    - "rand": APGD-CE and APGD-DLR for stochastic models; gradients are means over `draws` passes.

    A configuration gives the version as the name: `evaluation.attack=standard`.

    Attributes:
        version: "short", "standard", "plus" or "rand".
        steps: steps of APGD and of FAB.
        targets: number of the likeliest wrong classes that the targeted stages try.
        queries: queries of Square.
        draws: passes that "rand" averages.

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
            raise InvalidArgument("loss", self.loss, "no loss", "each stage has its own")

    @property
    def averages_answers(self) -> bool:
        """Return whether the version is "rand"."""
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
                "loss", got, f"no loss for {type(self).__name__}", "use apgd or pgd for this loss"
            )
        clean = problem.ask(problem.images)
        self._question(problem, clean)
        return cascade(problem, self.stages(), clean)

    def _question(self, problem: Problem, clean: Tensor) -> None:
        """Warn of outputs that are no logits and of random ones, as the published code does.

        An evaluation asks more, in its checks. The cost is two passes of at most `ASKED` images.
        """
        if self.mode != "eval" or self.averages_answers:
            return
        some = problem.images[:ASKED]
        first, second = problem.ask(some), problem.ask(some)
        spread = first.amax() - first.amin()
        if bool((second - first).abs().amax() > REPEATED * spread):
            _warn("equal calls of the model give different logits", "use version='rand'")
        # Few numbers lie in [0, 1] by chance.
        kind = kind_of_outputs(clean)
        if len(clean) >= ASKED and kind != "logits":
            _warn(f"the model returns {kind}", "return the inputs of the softmax or the sigmoid")

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
            # The first of FAB's five runs starts at the image.
            Stage("fab", fab, margin),
            Stage("fab-random", fab.restart(1), margin, restarts=4),
        )


def _warn(seen: str, do: str) -> None:
    """Show a warning at the line that calls the attack."""
    message = f"{seen}, so AutoAttack may overrate the model: {do}."
    warnings.warn(message, RampartWarning, stacklevel=6)
