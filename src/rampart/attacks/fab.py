"""FAB finds a near adversarial example by steps onto the linearized boundary between two classes.

Croce & Hein 2020 (arXiv 1907.02044), algorithm 1, with the settings of AutoAttack's published code
where the two differ. The steps are independent of the strength, so one run serves every strength.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from rampart.attacks.algorithm import (
    Algorithm,
    AlgorithmState,
    Found,
    Output,
    Problem,
    check_algorithm,
)
from rampart.attacks.base import ATTACKS, Attack
from rampart.attacks.hyperplane import to_hyperplane
from rampart.attacks.running import run_algorithm
from rampart.attacks.stages import Stage, likely_classes, with_classes
from rampart.attacks.steps import sphere_start
from rampart.deferred import torch
from rampart.errors import InvalidArgument, UnknownName
from rampart.input_gradients import input_gradient
from rampart.losses import LOSSES, full_precision
from rampart.rows import row_sum
from rampart.threat import column, distance, dual

if TYPE_CHECKING:
    from torch import Tensor


@ATTACKS.register("fab")
@dataclass(frozen=True)
class Fab(Attack):
    """Fast adaptive boundary attack, which minimizes the distance from the image.

    n steps cost n + 1 forwards and backwards, and one more of both after each step that ends at a
    misclassified point. With loss "margin" the targets of a call are labels, and the target classes
    are the likeliest wrong classes of the clean image; with "targeted-margin" the call gives them.

    Attributes:
        steps: steps onto the boundary.
        eta: overshoot; the step as a multiple of the way to the boundary.
        alpha_max: largest weight of the projection of the image itself in a step.
        beta: after a success, the run continues at this fraction of the distance.
        targets: number of target classes, at most K - 1; 0 steps to the class whose linearized
            boundary is nearest, at K - 1 backwards per step.
        restarts: runs for each class, the first from the image, the others from a random point.
        iterate: "best" for the smallest perturbation of the whole run, "adversarial" for the first
            one within eps. Only samples that are still robust run for the next class.
    """

    loss: str = "margin"
    steps: int = 100
    eta: float = 1.05
    alpha_max: float = 0.1
    beta: float = 0.9
    targets: int = 9
    restarts: int = 1
    iterate: Literal["best", "adversarial"] = "best"

    takes_any_loss: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_algorithm(self.steps, self.restarts, self.iterate)
        if self.iterate not in ("best", "adversarial"):
            raise UnknownName("iterate", self.iterate, ["best", "adversarial"])
        if self.loss not in ("margin", "targeted-margin"):
            raise UnknownName("loss", self.loss, ["margin", "targeted-margin"])
        if self.targets < 0:
            raise InvalidArgument("targets", self.targets, "at least 0")
        if not self.eta >= 1:
            raise InvalidArgument("eta", self.eta, "at least 1, to reach the boundary")
        for name in ("alpha_max", "beta"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidArgument(name, getattr(self, name), "a fraction in [0, 1]")

    def stages(self) -> tuple[Stage, ...]:
        """Return its only stage."""
        return (self._stage(self.loss == "targeted-margin"),)

    def _stage(self, given: bool) -> Stage:
        targeted = given or self.targets > 0
        algorithm = FabAlgorithm(self.steps, targeted, self.eta, self.alpha_max, self.beta)
        loss = LOSSES.get("targeted-margin" if targeted else "margin")()
        number = 0 if given else self.targets
        return Stage("fab-t" if targeted else "fab", algorithm, loss, self.restarts, number)

    def _run(self, problem: Problem) -> Tensor:
        if problem.loss not in (LOSSES.get("margin")(), LOSSES.get("targeted-margin")()):
            got = type(problem.loss).__name__
            raise InvalidArgument("loss", got, "margin or targeted-margin", "use apgd or pgd")
        stage = self._stage(problem.loss == LOSSES.get("targeted-margin")())
        output = problem.query(problem.images, gradient=False)
        value = torch.where(output.is_adv, 0.0, -torch.inf).to(output.value.dtype)
        found = Found(problem.images, value, output.is_adv)
        classes = likely_classes(output.logits, problem.targets) if stage.targets else None
        for run in range(stage.runs(output.logits.shape[1])):
            index = (~found.is_adv).nonzero()[:, 0]
            if not len(index):
                break
            part = replace(problem.restart(run).select(index), loss=stage.loss)
            if classes is not None:
                wanted = classes[index, stage.rank(run)]
                part = part.with_targets(with_classes(part.targets, wanted))
            algorithm = stage.algorithm.restart(run % self.restarts)
            found = found.improve(index, run_algorithm(part, algorithm, self.iterate))
        return found.points


@dataclass(frozen=True)
class FabAlgorithm(Algorithm):
    """FAB with `steps` steps towards one class, or towards the nearest class.

    Attributes:
        steps, eta, alpha_max, beta: as in `Fab`.
        targeted: whether the problem's loss is "targeted-margin"; otherwise its targets are labels.
        random: whether it starts at distance eps / 2 from the image instead of at the image.
    """

    steps: int
    targeted: bool = True
    eta: float = 1.05
    alpha_max: float = 0.1
    beta: float = 0.9
    random: bool = False
    minimum_norm: ClassVar[bool] = True

    @property
    def one_pass(self) -> bool:
        """Whether it is targeted; otherwise a query takes one backward per wrong class."""
        return self.targeted

    def restart(self, number: int) -> FabAlgorithm:
        """Return the algorithm of a run: the first starts at the image, the others at random."""
        return replace(self, random=number > 0)

    def start(self, problem: Problem) -> Tensor:
        """Return the images, or random points on the sphere of radius eps / 2."""
        return (
            sphere_start(replace(problem, eps=problem.eps / 2)) if self.random else problem.images
        )

    def query(self, problem: Problem, points: Tensor, gradient: bool = True) -> Output:
        """Return the logit of the target class minus that of the label, and its gradient.

        It always computes the gradient: a query at a pulled-back point is never the last one.
        """
        if not self.targeted:
            return _nearest(problem, points)
        return self.read(problem, points, problem.query(points))

    def read(self, problem: Problem, points: Tensor, output: Output) -> Output:
        """Return the output with finite values."""
        # The hyperplane of a point without finite logits, where the gradient is 0 too.
        return replace(output, value=output.value.masked_fill(output.value.isinf(), 0.0))

    def begin(self, problem: Problem, points: Tensor, output: Output) -> FabWalk:
        """Return the state after a query at the starting points."""
        length = distance(points, problem.images, problem.norm).to(output.value.dtype)
        return FabWalk(
            best=points,
            best_value=torch.where(output.is_adv, -length, -torch.inf),
            age=torch.zeros_like(output.value, dtype=torch.int64),
            point=points,
            value=output.value,
            gradient=output.gradient,
            won=torch.zeros_like(output.is_adv),
            eta=torch.full_like(output.value, self.eta),
            alpha_max=torch.full_like(output.value, self.alpha_max),
            beta=torch.full_like(output.value, self.beta),
        )


@dataclass(frozen=True)
class FabWalk(AlgorithmState):
    """State of FAB; the best value is the negated distance of the nearest adversarial point.

    It is -inf before the first success. After a success the point is pulled back towards the image
    and queried again; that does not count as a step.

    Attributes:
        point: the current point.
        value, gradient: the logit of the target class minus that of the label, and its gradient.
        won: (N,) bool, whether `point` ended a step misclassified and will be pulled back.
        eta, alpha_max, beta: (N,), as in `Fab`.
    """

    point: Tensor
    value: Tensor
    gradient: Tensor
    won: Tensor
    eta: Tensor
    alpha_max: Tensor
    beta: Tensor

    def advance(self, problem: Problem) -> Tensor:
        """Return the points after a step onto the boundary; after a success, pulled back."""
        images = problem.images
        pulled = images + column(self.beta, images).to(images.dtype) * (self.point - images)
        return torch.where(column(self.won, images), pulled, self._step(problem))

    def _step(self, problem: Problem) -> Tensor:
        """Return a weighted mean of the overshot projections of the point and of the image."""
        point, image, slope = (
            full_precision(x.flatten(1)) for x in (self.point, problem.images, self.gradient)
        )
        # Both are projected onto the hyperplane value + slope · (x - point) = 0.
        gap = torch.cat([-self.value, row_sum(slope * (point - image)) - self.value])
        both = torch.cat([point, image])
        moves = to_hyperplane(both, torch.cat([slope, slope]), gap, problem.norm)
        near, far = distance(moves, torch.zeros_like(moves), problem.norm).clamp_min(1e-8).chunk(2)
        alpha = torch.minimum(near / (near + far), self.alpha_max)[:, None]
        ends = both + torch.cat([self.eta, self.eta])[:, None] * moves
        step = (1 - alpha) * ends[: len(point)] + alpha * ends[len(point) :]
        return step.clamp(0.0, 1.0).view_as(self.point).to(self.point.dtype)

    def observe(self, problem: Problem, points: Tensor, output: Output) -> FabWalk:
        """Return the state after a query at `points`; it keeps the nearest adversarial point."""
        value = -distance(points, problem.images, problem.norm).to(self.best_value.dtype)
        nearer = output.is_adv & (value > self.best_value)
        return replace(
            self,
            best=torch.where(column(nearer, points), points, self.best),
            best_value=torch.where(nearer, value, self.best_value),
            age=self.age + ~self.won,
            point=points,
            value=output.value,
            gradient=output.gradient,
            won=output.is_adv & ~self.won,
        )


def _nearest(problem: Problem, points: Tensor) -> Output:
    """Query for the class with the nearest linearized boundary; one backward per wrong class."""
    points = problem.rounded(points).detach().requires_grad_()
    with torch.enable_grad():
        raw = problem.ask(points)
        logits = full_precision(raw)
        classes = likely_classes(logits.detach(), problem.targets)
        rises = logits.gather(1, classes) - logits.gather(1, problem.targets[:, None])
        value, gradient = torch.zeros_like(rises[:, 0]), torch.zeros_like(points)
        least = torch.full_like(value, torch.inf)
        for rise in rises.unbind(1):
            slope = input_gradient(rise, points, again=True)
            away = rise.detach().abs() / (dual(slope, problem.norm) + 1e-12)
            closer = away < least
            least = torch.where(closer, away, least)
            value = torch.where(closer, rise.detach(), value)
            gradient = torch.where(column(closer, points), slope, gradient)
    logits = logits.detach()
    return Output(value.detach(), problem.loss.is_adv(logits, problem.targets), gradient, logits)
