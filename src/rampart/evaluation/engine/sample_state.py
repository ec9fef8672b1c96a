"""Samples on their way through the stages, and the tensors of the runs that they are in."""

from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from rampart.attacks.algorithm import AlgorithmState, Output, Problem
from rampart.evaluation.engine.policy import SampleProgress
from rampart.runtime import Noise

T = TypeVar("T", bound="Margins | AlgorithmState | Output")


@dataclass
class SampleState:
    """A sample on its way through the stages; what is found is written on it.

    Attributes:
        index: position in the split.
        label: true class.
        prediction: predicted class of the clean image.
        right: whether that counts as right.
        image: (1, C, H, W), pixels in [0, 1].
        clean: (1, K) logits of the image.
        classes: (M,) the classes that targeted stages try, the most likely first.
        noise: the sample's own.
        progress: where it stands.
        guide: (1, K) logits at the point of smallest margin that untargeted stages found.
        adversarial_example: (1, C, H, W), the adversarial image at the smallest strength so far.
        distance: its distance from the image.
        stage, run: what found it; -1 where nothing has.
        forwards, backwards: passes so far.
        rechecked: whether it repeats in full what was given up.
        before_recheck: critical index before that.
    """

    index: int
    label: int
    prediction: int
    right: bool
    image: Tensor
    clean: Tensor
    classes: Tensor
    noise: Noise
    progress: SampleProgress
    guide: Tensor | None = None
    adversarial_example: Tensor | None = None
    distance: float = float("nan")
    stage: int = -1
    run: int = -1
    forwards: int = 1
    backwards: int = 0
    rechecked: bool = False
    before_recheck: int = 0


@dataclass(frozen=True)
class Margins:
    """What the policy needs to know of a run; one row per row.

    Attributes:
        clean_gap: (N,) margin of the clean image.
        gap: (N,) smallest margin that the run has seen.
        guide: (N, K) logits there.
    """

    clean_gap: Tensor
    gap: Tensor
    guide: Tensor

    def observe(self, gap: Tensor, logits: Tensor) -> "Margins":
        """Return the memory after a look."""
        closer = gap < self.gap
        return Margins(
            self.clean_gap,
            torch.where(closer, gap, self.gap),
            torch.where(closer[:, None], logits, self.guide),
        )


@dataclass(frozen=True)
class Starting:
    """Runs that are about to begin; row i of every tensor belongs to flights[i].

    Attributes:
        points: (N, C, H, W), where they begin.
    """

    samples: list[SampleState]
    problem: Problem
    points: Tensor


@dataclass(frozen=True)
class Running:
    """Runs under way; row i of every tensor belongs to flights[i]."""

    samples: list[SampleState]
    problem: Problem
    state: AlgorithmState
    margins: Margins


def join_starting(first: Starting, second: Starting) -> Starting:
    """Return the rows of both, the first's before the second's."""
    return Starting(
        first.samples + second.samples,
        join_problems(first.problem, second.problem),
        torch.cat([first.points, second.points]),
    )


def join_running(first: Running, second: Running) -> Running:
    """Return the rows of both, the first's before the second's."""
    return Running(
        first.samples + second.samples,
        join_problems(first.problem, second.problem),
        _stack_states(first.state, second.state),
        _stack_states(first.margins, second.margins),
    )


def join_problems(first: Problem, second: Problem) -> Problem:
    """Return the rows of both, the first's before the second's."""
    return replace(
        first,
        images=torch.cat([first.images, second.images]),
        targets=torch.cat([first.targets, second.targets]),
        eps=torch.cat([first.eps, second.eps]),
        noise=Noise(torch.cat([first.noise.keys, second.noise.keys])),
    )


def _stack_states(first: T, second: T) -> T:
    parts: dict[str, Any] = {
        f.name: torch.cat([getattr(first, f.name), getattr(second, f.name)]) for f in fields(second)
    }
    return replace(second, **parts)


def rows_of(record: T, index: Tensor | slice) -> T:
    """Return some rows of every tensor."""
    parts: dict[str, Any] = {f.name: getattr(record, f.name)[index] for f in fields(record)}
    return replace(record, **parts)
