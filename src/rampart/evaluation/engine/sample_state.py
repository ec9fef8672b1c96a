"""The state of a sample in the engine, and the tensors of the runs in progress."""

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
    """What the engine knows of one sample on its way through the stages.

    Attributes:
        index: position in the split.
        label: true class.
        prediction: predicted class of the clean image; -1 where its logits are not all finite.
        right: whether that prediction counts as correct.
        image: (1, C, H, W), pixels in [0, 1].
        clean: (1, K) logits of the image.
        classes: (M,) the classes that targeted stages try, likeliest first.
        noise: noise with the key of this sample.
        progress: its strength and remaining runs.
        guide: (1, K) logits at the point with the smallest margin in an untargeted stage.
        adversarial_example: (1, C, H, W), the adversarial example at the smallest strength so far.
        finite: whether the logits there, or of the image without one, are all finite.
        distance: its distance from the image.
        stage, run: the stage and run that found it; -1 if there is none.
        forwards, backwards: passes so far.
        rechecked: whether the sample repeats its pruned runs in full.
        before_recheck: critical index before that; 0 if it has not begun.
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
    finite: bool = True
    distance: float = float("nan")
    stage: int = -1
    run: int = -1
    forwards: int = 1
    backwards: int = 0
    rechecked: bool = False
    before_recheck: int = 0


@dataclass(frozen=True)
class Margins:
    """The margins of the runs in progress.

    Attributes:
        clean_gap: (N,) margin of the clean image.
        gap: (N,) smallest margin in the run so far.
        guide: (N, K) logits there.
    """

    clean_gap: Tensor
    gap: Tensor
    guide: Tensor

    def observe(self, gap: Tensor, logits: Tensor) -> "Margins":
        """Return the margins after a query."""
        closer = gap < self.gap
        return Margins(
            self.clean_gap,
            torch.where(closer, gap, self.gap),
            torch.where(closer[:, None], logits, self.guide),
        )


@dataclass(frozen=True)
class Starting:
    """Runs that have not been queried yet; row i of every tensor belongs to samples[i].

    Attributes:
        points: (N, C, H, W), the points to query first.
    """

    samples: list[SampleState]
    problem: Problem
    points: Tensor


@dataclass(frozen=True)
class Running:
    """Runs in progress; row i of every tensor belongs to samples[i]."""

    samples: list[SampleState]
    problem: Problem
    state: AlgorithmState
    margins: Margins


def join_starting(first: Starting, second: Starting) -> Starting:
    """Return the rows of `first` followed by those of `second`."""
    return Starting(
        first.samples + second.samples,
        join_problems(first.problem, second.problem),
        torch.cat([first.points, second.points]),
    )


def join_running(first: Running, second: Running) -> Running:
    """Return the rows of `first` followed by those of `second`."""
    return Running(
        first.samples + second.samples,
        join_problems(first.problem, second.problem),
        _stack_states(first.state, second.state),
        _stack_states(first.margins, second.margins),
    )


def join_problems(first: Problem, second: Problem) -> Problem:
    """Return the rows of `first` followed by those of `second`."""
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
    """Return the given rows of every tensor."""
    parts: dict[str, Any] = {f.name: getattr(record, f.name)[index] for f in fields(record)}
    return replace(record, **parts)
