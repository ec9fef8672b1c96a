"""The state of a sample in the engine, its runs, and the tensors of the runs in progress.

One run of a sample takes its turn. Free rows of a batch may hold later runs of the sample, begun
ahead of their turn at its present strength. Such a run does exactly what it would do in its turn.
If the sample descends before that, the run is dropped, and begins anew at the smaller strength.
"""

from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from rampart.attacks.algorithm import AlgorithmState, Output, Problem
from rampart.evaluation.engine.policy import AttackRun, SampleProgress
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
        attacked_prediction: predicted class at the adversarial example that set its strength, or of
            the image without one.
        finite: whether the logits there, or of the image without one, are all finite.
        distance: its distance from the image.
        stage, run: the stage and run that found it; -1 if there is none.
        forwards, backwards: passes so far.
        ahead: the runs begun ahead of their turn, at the present strength.
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
    attacked_prediction: int = -1
    finite: bool = True
    distance: float = float("nan")
    stage: int = -1
    run: int = -1
    forwards: int = 1
    backwards: int = 0
    ahead: "dict[AttackRun, RunState]" = field(default_factory=dict)

    def drop_ahead(self) -> tuple[int, int]:
        """Drop the runs begun ahead of their turn; return the forwards and backwards they took."""
        dropped = list(self.ahead.values())
        self.ahead.clear()
        for run in dropped:
            run.dropped = True
        return sum(run.forwards for run in dropped), sum(run.backwards for run in dropped)


@dataclass(eq=False)
class RunState:
    """One run of one sample, waiting for a row or in a row.

    Attributes:
        sample: the sample.
        run: which of its runs.
        ahead: whether it is ahead of its turn.
        dropped: whether its sample has descended before its turn.
        forwards, backwards: passes ahead of its turn.
        event: what happened at its last query, if that has to wait for its turn.
    """

    sample: SampleState
    run: AttackRun
    ahead: bool = False
    dropped: bool = False
    forwards: int = 0
    backwards: int = 0
    event: "Event | None" = None

    def count(self, forwards: int, backwards: int) -> None:
        """Add passes; those ahead of the turn count for the sample once the turn has come."""
        owner = self if self.ahead else self.sample
        owner.forwards += forwards
        owner.backwards += backwards

    def take_turn(self) -> None:
        """Begin the turn: the passes so far count for the sample."""
        self.ahead = False
        self.count(self.forwards, self.backwards)


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
    """Runs that have not been queried yet; row i of every tensor belongs to runs[i].

    Attributes:
        points: (N, C, H, W), the points to query first.
    """

    runs: list[RunState]
    problem: Problem
    points: Tensor

    def select(self, rows: list[int]) -> "Starting":
        """Return some rows."""
        index = torch.tensor(rows, device=self.points.device)
        runs = [self.runs[row] for row in rows]
        return Starting(runs, self.problem.select(index), self.points[index])

    def wanted(self) -> "Starting | None":
        """Return the rows without dropped runs."""
        stay = _wanted(self.runs)
        return self if len(stay) == len(self.runs) else self.select(stay) if stay else None


@dataclass(frozen=True)
class Running:
    """Runs in progress; row i of every tensor belongs to runs[i]."""

    runs: list[RunState]
    problem: Problem
    state: AlgorithmState
    margins: Margins

    def select(self, rows: list[int]) -> "Running":
        """Return some rows."""
        index = torch.tensor(rows, device=self.problem.images.device)
        return Running(
            [self.runs[row] for row in rows],
            self.problem.select(index),
            rows_of(self.state, index),
            rows_of(self.margins, index),
        )

    def wanted(self) -> "Running | None":
        """Return the rows without dropped runs."""
        stay = _wanted(self.runs)
        return self if len(stay) == len(self.runs) else self.select(stay) if stay else None


@dataclass(frozen=True)
class Event:
    """What happened to a run at a query: it succeeded, came to its end, or is pruned.

    Attributes:
        running: the run, which is in row `row`.
        row: its row.
        point: (1, C, H, W), the point of the query.
        distance: its distance from the image.
        hit: whether the point is adversarial within eps.
        over: whether this was the last step.
        pruned: whether the run is hopeless.
        prediction: predicted class at the point; -1 where the logits are not all finite.
        finite: whether the logits there are all finite.
    """

    running: Running
    row: int
    point: Tensor
    distance: float
    hit: bool
    over: bool
    pruned: bool
    prediction: int
    finite: bool

    @property
    def run(self) -> RunState:
        """The run."""
        return self.running.runs[self.row]

    def alone(self) -> "Event":
        """Return the event without the other rows."""
        return replace(self, running=self.running.select([self.row]), row=0)


def _wanted(runs: list[RunState]) -> list[int]:
    return [row for row, run in enumerate(runs) if not run.dropped]


def join_starting(first: Starting, second: Starting) -> Starting:
    """Return the rows of `first` followed by those of `second`."""
    return Starting(
        first.runs + second.runs,
        join_problems(first.problem, second.problem),
        torch.cat([first.points, second.points]),
    )


def join_running(first: Running, second: Running) -> Running:
    """Return the rows of `first` followed by those of `second`."""
    return Running(
        first.runs + second.runs,
        join_problems(first.problem, second.problem),
        join_rows(first.state, second.state),
        join_rows(first.margins, second.margins),
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


def join_rows(first: T, second: T) -> T:
    """Return the rows of every tensor of `first` followed by those of `second`."""
    parts: dict[str, Any] = {
        f.name: torch.cat([getattr(first, f.name), getattr(second, f.name)]) for f in fields(second)
    }
    return replace(second, **parts)


def rows_of(record: T, index: Tensor | slice) -> T:
    """Return the given rows of every tensor."""
    parts: dict[str, Any] = {f.name: getattr(record, f.name)[index] for f in fields(record)}
    return replace(record, **parts)
