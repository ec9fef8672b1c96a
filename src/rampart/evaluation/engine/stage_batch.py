"""A stage batch: the runs of one stage that are attacked together, each at its own strength.

When a run ends, its row takes the next waiting run, so the batch stays full. The result of a
sample depends on that sample alone.

A step has three parts, so that several stage batches can share one pass of the model
(`rampart.evaluation.engine.passes`): `ask` returns the points, `count` notes their cost, and
`answer` takes the output.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from rampart.attacks.algorithm import Output, Problem
from rampart.attacks.stages import Stage, run_noise, with_classes
from rampart.evaluation.engine.lookahead import Lookahead
from rampart.evaluation.engine.pruning import Limits, gaps, project_strength
from rampart.evaluation.engine.sample_state import (
    Event,
    Margins,
    Running,
    RunState,
    SampleState,
    Starting,
    join_problems,
    join_rows,
    join_running,
    join_starting,
    rows_of,
)
from rampart.evaluation.inference import QueriedModel
from rampart.logits import all_finite, predict
from rampart.runtime import Noise
from rampart.threat import distance
from rampart.tolerance import least_eps, within
from rampart.units import Norm

#: What follows for a run: its turn ends, it restarts at a smaller strength, or it goes on.
Outcome = Literal["ends", "descends", "stays"]


@dataclass(eq=False)
class StageBatch:
    """The rows of one stage.

    Attributes:
        number: index of the stage in the attack suite.
        stage: the attack.
        model: the model, which counts its passes.
        norm: norm of the balls.
        grid: ascending strengths from 0.
        limits: when a run is pruned; None prunes no run.
        waiting: runs without a row.
    """

    number: int
    stage: Stage
    model: QueriedModel
    norm: Norm
    grid: Sequence[float]
    limits: Limits | None = None
    waiting: deque[RunState] = field(default_factory=deque)
    _running: Running | None = None
    _starting: Starting | None = None
    _parts: list[Starting] = field(default_factory=list)
    _lookahead: Lookahead | None = None
    _cost: int = 1

    def __len__(self) -> int:
        return self.active + len(self.waiting)

    @property
    def active(self) -> int:
        """Number of runs in rows."""
        return len(self.runs)

    @property
    def runs(self) -> list[RunState]:
        """The runs in rows, without those that were dropped."""
        parts = [part for part in (self._running, self._starting) if part]
        return [run for part in parts for run in part.runs if not run.dropped]

    def admit(self, free: int) -> None:
        """Fill free rows with waiting runs."""
        self.begin([self.waiting.popleft() for _ in range(min(free, len(self.waiting)))])

    def begin(self, runs: list[RunState]) -> None:
        """Give each run a row."""
        if runs:
            problem = self._problem_of(runs)
            self._start(Starting(runs, problem, self.stage.algorithm.start(problem)))

    def _start(self, new: Starting) -> None:
        old = self._starting
        self._starting = new if old is None else join_starting(old, new)

    def take_turn(self, run: RunState) -> bool:
        """Begin the turn of a run that is ahead; return whether it has ended already."""
        run.take_turn()
        event, run.event = run.event, None
        if event is None:
            return False
        outcome = self._follow(event)
        if outcome == "descends":
            self._start(self._restart([run], event.point))
        elif outcome == "stays":
            one = self._at_strength(event.running)
            self._running = join_running(self._running, one) if self._running else one
        return outcome == "ends"

    def ask(self, spare: int = 0) -> tuple[Problem, Tensor]:
        """Return the points of all rows, with up to `spare` further queries of runs in progress."""
        self._purge()
        self._parts = [part for part in (self._advance_runs(spare), self._starting) if part]
        assert self._parts, "a step needs runs"
        problem = self._parts[0].problem
        for part in self._parts[1:]:
            problem = join_problems(problem, part.problem)
        return problem, torch.cat([part.points for part in self._parts])

    def count(self, forwards: int, backwards: int) -> None:
        """Note what the query of each row has cost."""
        self._cost = forwards
        for part in self._parts:
            for run in part.runs:
                run.count(forwards, backwards)

    def answer(self, points: Tensor, output: Output) -> list[SampleState]:
        """Continue with the output at the points; return the samples whose turn has ended."""
        observed, row = [], 0
        for part in self._parts:
            rows = slice(row, row + len(part.runs))
            row = rows.stop
            observed.append(self._observe(part, points[rows], rows_of(output, rows)))
        self._parts, self._starting, self._lookahead = [], None, None
        running, points, output = observed[0]
        for other, further, outputs in observed[1:]:
            running = join_running(running, other)
            points, output = torch.cat([points, further]), join_rows(output, outputs)
        self._running = running
        return self._settle(running, points, output)

    def _purge(self) -> None:
        """Take dropped runs out of their rows."""
        self._running = self._running and self._running.wanted()
        self._starting = self._starting and self._starting.wanted()

    def _problem_of(self, runs: Sequence[RunState]) -> Problem:
        samples = [run.sample for run in runs]
        images = torch.cat([sample.image for sample in samples])
        device = images.device
        numbers = [run.run.number for run in runs]
        targets = torch.tensor([sample.label for sample in samples], device=device)
        if self.stage.targets:
            ranks = [self.stage.rank(number) for number in numbers]
            classes = [f.classes[rank] for f, rank in zip(samples, ranks, strict=True)]
            targets = with_classes(targets, torch.stack(classes))
        noise = Noise(torch.cat([sample.noise.keys for sample in samples]))
        return Problem(
            self.model,
            images,
            targets,
            self._strengths(runs, images),
            run_noise(noise, self.stage, torch.tensor(numbers, device=device)),
            self.stage.loss,
            self.norm,
        )

    def _strengths(self, runs: Sequence[RunState], images: Tensor) -> Tensor:
        eps = [self.grid[run.sample.progress.grid_index] for run in runs]
        return torch.tensor(eps, device=images.device, dtype=images.dtype)

    def _advance_runs(self, spare: int) -> Starting | None:
        """Return the runs in progress with their next points."""
        running = self._running
        if running is None:
            return None
        if spare and self.stage.algorithm.only_improves:
            stops = [*(self.limits.ages if self.limits else ()), self.stage.algorithm.steps]
            ahead = Lookahead.of(running.state.age, spare, stops)
            self._lookahead, runs = ahead, [running.runs[row] for row in ahead.place.tolist()]
            return Starting(runs, *ahead.advance(running.problem, running.state))
        return Starting(running.runs, running.problem, running.state.advance(running.problem))

    def _observe(
        self, part: Starting, points: Tensor, output: Output
    ) -> tuple[Running, Tensor, Output]:
        """Return the runs after their queries, with the point and the output of each."""
        gap = gaps(output.logits, part.problem.targets)
        running = self._running
        if running is None or part is self._starting:
            state = self.stage.algorithm.begin(part.problem, points, output)
            clean = torch.cat([run.sample.clean for run in part.runs])
            margins = Margins(gaps(clean, part.problem.targets), gap, output.logits)
            return Running(part.runs, part.problem, state, margins), points, output
        state, margins = running.state, running.margins
        if ahead := self._lookahead:
            used = ahead.used(state, output)
            self._take_back(running.runs, (ahead.counts - 1 - used).tolist())
            margins = replace(margins, gap=ahead.smallest(margins.gap, gap, used))
            state, rows = replace(state, age=state.age + used), ahead.rows(used)
            points, output, gap = points[rows], rows_of(output, rows), gap[rows]
        state = state.observe(running.problem, points, output)
        margins = margins.observe(gap, output.logits)
        return Running(running.runs, running.problem, state, margins), points, output

    def _take_back(self, runs: Sequence[RunState], unused: Sequence[int]) -> None:
        """Take back the passes of queries that are not used."""
        for run, queries in zip(runs, unused, strict=True):
            if not run.dropped:
                run.count(-queries * self._cost, 0)
                self.model.discount(queries * self._cost, 0)

    def _settle(self, running: Running, points: Tensor, output: Output) -> list[SampleState]:
        """Descend after a success; return the samples whose run is over or pruned."""
        distances = distance(points, running.problem.images, self.norm)
        hit = output.is_adv & within(distances, running.problem.eps)
        over = running.state.age >= self.stage.algorithm.steps
        pruned = self._find_pruned(running, self._project_strength(running))
        if not bool((hit | over | pruned).any()):
            return []
        left: list[SampleState] = []
        stay: list[int] = []
        descending: list[int] = []
        columns = (hit, over, pruned, distances, predict(output.logits), all_finite(output.logits))
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for row, (is_hit, is_over, is_pruned, length, predicted, sane) in enumerate(rows):
            run, point = running.runs[row], points[row : row + 1]
            event = Event(running, row, point, length, is_hit, is_over, is_pruned, predicted, sane)
            if not (is_hit or is_over or is_pruned):
                stay.append(row)
            elif run.ahead:
                run.event = event.alone()
            elif (outcome := self._follow(event)) == "stays":
                stay.append(row)
            elif outcome == "descends":
                descending.append(row)
            else:
                left.append(run.sample)
        self._running = self._at_strength(running.select(stay)) if stay else None
        if again := [running.runs[row] for row in descending]:
            self._start(self._restart(again, points[descending]))
        return left

    def _follow(self, event: Event) -> Outcome:
        """Let the sample follow what happened to its run."""
        running, row, sample = event.running, event.row, event.run.sample
        descends = event.hit and self._descend(event)
        sample.finite = event.finite if descends else sample.finite
        if sample.progress.grid_index == 0:
            return "ends"
        if descends and not self.stage.algorithm.minimum_norm:
            return "descends"
        if not (event.over or event.pruned):
            return "stays"
        ended = sample.progress
        sample.progress = ended.fail_run() if event.over else ended.prune_run()
        self._save_guide(sample, running.margins.guide[row : row + 1])
        self._save_nearest(sample, running, row)
        return "ends"

    def _project_strength(self, running: Running) -> Tensor:
        """Return the strength at which each run would succeed, in units of its strength."""
        if self.stage.algorithm.minimum_norm:
            # The best value is the negated distance of the nearest adversarial example. Before
            # the first one, the run must not be pruned.
            ratio = -running.state.best_value / running.problem.eps
            return ratio.masked_fill(ratio.isinf(), 0.0)
        return project_strength(running.margins.clean_gap, running.margins.gap)

    def _find_pruned(self, running: Running, ratio: Tensor) -> Tensor:
        if self.limits is None:
            return torch.zeros_like(running.state.age, dtype=torch.bool)
        return self.limits.exceeded(running.state.age, ratio)

    def _descend(self, event: Event) -> bool:
        """Record an adversarial point; return whether the sample descends to a smaller strength.

        A point from a minimum-norm method is first projected onto the ball of its strength.
        """
        sample, point, length, prediction = (
            *(event.run.sample, event.point, event.distance, event.prediction),
        )
        critical = max(bisect_left(self.grid, least_eps(length)), 1)
        if self.stage.algorithm.minimum_norm and critical <= sample.progress.grid_index:
            inside = self._move_inside(event, critical)
            if inside is None:
                # The point itself lies in the ball of the next strength.
                critical += 1
            else:
                point, prediction = inside
                length = float(distance(point, sample.image, self.norm))
        if critical > sample.progress.grid_index:
            return False
        sample.adversarial_example, sample.distance = point.clone(), length
        sample.attacked_prediction = prediction
        sample.stage, sample.run = self.number, sample.progress.runs[0].number
        sample.progress = sample.progress.descend(critical - 1)
        self.model.discount(*sample.drop_ahead())
        return True

    def _move_inside(self, event: Event, grid_index: int) -> tuple[Tensor, int] | None:
        """Return the point projected onto the ball of a strength, and the class predicted there.

        None if it is not adversarial there. It queries the model once if the projection changes the
        point.
        """
        point = event.point
        ball = event.running.problem.select(torch.tensor([event.row], device=point.device))
        ball = replace(ball, eps=torch.full_like(ball.eps, self.grid[grid_index]))
        inside = ball.project(point)
        if torch.equal(inside, point):
            return point, event.prediction
        event.run.sample.forwards += 1
        output = ball.query(inside, gradient=False)
        return (inside, int(predict(output.logits))) if bool(output.is_adv) else None

    def _save_nearest(self, sample: SampleState, running: Running, row: int) -> None:
        """Save the nearest adversarial example of a minimum-norm run, if nearer than the last."""
        nearest = -float(running.state.best_value[row])
        if self.stage.algorithm.minimum_norm and nearest < sample.distance:
            sample.adversarial_example, sample.distance = (
                running.state.best[row : row + 1].clone(),
                nearest,
            )

    def _save_guide(self, sample: SampleState, guide: Tensor) -> None:
        """Save the logits at the weakest point, which decide the order of the targets."""
        if self.stage.algorithm.gradient and not self.stage.targets:
            sample.guide = guide.clone()

    def _at_strength(self, running: Running) -> Running:
        """Return the runs at the present strengths of their samples."""
        problem = running.problem
        return replace(
            running, problem=replace(problem, eps=self._strengths(running.runs, problem.images))
        )

    def _restart(self, runs: list[RunState], points: Tensor) -> Starting:
        """Return runs that descended: they restart from the projected points."""
        problem = self._problem_of(runs)
        strengths = torch.tensor([run.sample.progress.grid_index for run in runs])
        problem = replace(problem, noise=problem.noise.at(strengths.to(points.device)))
        return Starting(runs, problem, problem.project(points))
