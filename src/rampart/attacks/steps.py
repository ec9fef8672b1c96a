"""Starting points and steps of gradient attacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from rampart.attacks.algorithm import Problem
from rampart.deferred import torch
from rampart.errors import InvalidArgument, UnknownName
from rampart.threat import column, random_start, steepest

if TYPE_CHECKING:
    from torch import Tensor

#: "uniform" in the ball (Madry et al. 2018); "gaussian", 0.001 · N(0, 1) around the image (the
#: published code of TRADES, Zhang et al. 2019); "none", the image itself.
Start = Literal["uniform", "gaussian", "none"]

GAUSSIAN_START = 0.001


def check_start(start: str) -> None:
    """Raise `UnknownName` unless `start` is known."""
    if start not in get_args(Start):
        raise UnknownName("start", start, get_args(Start))


def require_different_runs(restarts: int, start: str) -> None:
    """Refuse restarts from the image itself.

    Raises:
        InvalidArgument: more than one restart from "none".
    """
    if restarts > 1 and start == "none":
        raise InvalidArgument(
            "restarts", restarts, "1 with start 'none'", "all runs would be equal"
        )


def starting_point(problem: Problem, start: Start) -> Tensor:
    """Return the starting points of PGD, (N, C, H, W) in ball and box."""
    return problem.starting_at(_usual_start(problem, start))


def _usual_start(problem: Problem, start: Start) -> Tensor:
    if start == "none":
        return problem.images
    if start == "uniform":
        return random_start(problem.images, problem.eps, problem.norm, problem.noise)
    offset = problem.noise.normal(*problem.images.shape[1:]).mul_(GAUSSIAN_START)
    return problem.project_(problem.images + offset.to(problem.images.dtype))


def sphere_start(problem: Problem) -> Tensor:
    """Return the starting points of APGD: noise scaled onto the sphere, then clipped to the box.

    Linf: uniform noise divided by its largest entry. L2: a uniform direction. L1: the point of ball
    and box nearest to Gaussian noise. As in AutoAttack, the points are not uniform in the ball.
    """
    images = problem.images
    if problem.norm == "linf":
        noise = problem.noise.uniform(*images.shape[1:]).mul_(2).sub_(1)
        largest = torch.maximum(noise.flatten(1).amax(1), noise.flatten(1).amin(1).neg())
        noise.div_(column(largest.clamp_min(1e-12), noise))
    elif problem.norm == "l1":
        noise = problem.noise.normal(*images.shape[1:])
        return problem.project(images + noise.to(images.dtype))
    else:
        noise = steepest(problem.noise.normal(*images.shape[1:]), "l2")
    return problem.project_(images + noise.to(images.dtype).mul_(problem.scaled(1.0)))


def ascend(problem: Problem, points: Tensor, gradient: Tensor, size: Tensor) -> Tensor:
    """Return the points after a projected step of length `size` (N,) along the gradient."""
    step = steepest(gradient, problem.norm).mul_(column(size, points))
    return problem.project_(points + step)


def choose(mask: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Return, for each sample, `yes` where the (N,) mask holds and else `no`.

    The result may be one of the two tensors itself, so nobody may write into it.
    """
    # Other devices would have to wait for the answer.
    if mask.device.type == "cpu" and (count := int(mask.sum())) in (0, len(mask)):
        return yes if count else no
    return torch.where(column(mask, yes), yes, no)
