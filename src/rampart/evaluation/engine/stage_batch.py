"""A stage batch: the samples of one stage that are attacked together, each at its own strength.

When a run ends, its row takes the next waiting sample, so the batch stays full. The result of a
sample depends on that sample alone.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from rampart.attacks.algorithm import AlgorithmState, Output, Problem
from rampart.attacks.stages import Stage, run_noise, with_classes
from rampart.evaluation.engine.pruning import Limits, gaps, project_strength
from rampart.evaluation.engine.sample_state import (
    Margins,
    Running,
    SampleState,
    Starting,
    join_problems,
    join_running,
    join_starting,
    rows_of,
)
from rampart.evaluation.inference import QueriedModel
from rampart.logits import all_finite
from rampart.runtime import Noise
from rampart.threat import distance
from rampart.tolerance import least_eps, within
from rampart.units import Norm


@dataclass
class StageBatch:
    """The rows of one stage.

    Attributes:
        number: index of the stage in the attack suite.
        stage: the attack.
        model: the model, which counts its passes.
        norm: norm of the balls.
        grid: ascending strengths from 0.
        limits: when a run is pruned; None prunes no run.
        waiting: samples without a row.
    """

    number: int
    stage: Stage
    model: QueriedModel
    norm: Norm
    grid: Sequence[float]
    limits: Limits | None = None
    waiting: deque[SampleState] = field(default_factory=deque)
    _running: Running | None = None
    _starting: Starting | None = None

    def __len__(self) -> int:
        return self._active + len(self.waiting)

    @property
    def _active(self) -> int:
        return sum(len(part.samples) for part in (self._running, self._starting) if part)

    def step(self, batch_size: int) -> list[SampleState]:
        """Query one point per row; return the samples that leave the stage batch."""
        self._admit(batch_size - self._active)
        parts = [part for part in (self._advance_runs(), self._starting) if part]
        assert parts, "a step needs samples"
        points = torch.cat([part.points for part in parts])
        output = self._query_model(parts, points)
        self._running = self._observe_output(parts, points, output)
        return self._settle(self._running, points, output)

    def _admit(self, free: int) -> None:
        """Fill free rows with waiting samples."""
        samples = [self.waiting.popleft() for _ in range(min(free, len(self.waiting)))]
        if samples:
            problem = self._problem_of(samples)
            new = Starting(samples, problem, self.stage.algorithm.start(problem))
            old = self._starting
            self._starting = new if old is None else join_starting(old, new)

    def _problem_of(self, samples: Sequence[SampleState]) -> Problem:
        images = torch.cat([sample.image for sample in samples])
        device = images.device
        numbers = [sample.progress.runs[0].number for sample in samples]
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
            self._strengths(samples, images),
            run_noise(noise, self.stage, torch.tensor(numbers, device=device)),
            self.stage.loss,
            self.norm,
        )

    def _strengths(self, samples: Sequence[SampleState], images: Tensor) -> Tensor:
        eps = [self.grid[sample.progress.grid_index] for sample in samples]
        return torch.tensor(eps, device=images.device, dtype=images.dtype)

    def _advance_runs(self) -> Starting | None:
        """Return the runs in progress with their next points."""
        running = self._running
        if running is None:
            return None
        return Starting(running.samples, running.problem, running.state.advance(running.problem))

    def _query_model(self, parts: Sequence[Starting], points: Tensor) -> Output:
        """Query the model, and divide the passes equally among the samples."""
        problem = (
            parts[0].problem
            if len(parts) == 1
            else join_problems(parts[0].problem, parts[1].problem)
        )
        before = self.model.passes
        # The last query of a run needs no gradient, but it is always computed: other rows need it,
        # and the cost of a sample must not depend on them.
        output = self.stage.algorithm.query(problem, points)
        forwards, backwards = (
            (now - then) // len(points) for now, then in zip(self.model.passes, before, strict=True)
        )
        for part in parts:
            for sample in part.samples:
                sample.forwards += forwards
                sample.backwards += backwards
        return output

    def _observe_output(self, parts: Sequence[Starting], points: Tensor, output: Output) -> Running:
        """Update the state of runs in progress, and create that of starting runs."""
        done, row = [], 0
        for part in parts:
            rows = slice(row, row + len(part.samples))
            row = rows.stop
            done.append(self._update_state(part, points[rows], rows_of(output, rows)))
        self._starting = None
        return done[0] if len(done) == 1 else join_running(*done)

    def _update_state(self, part: Starting, points: Tensor, output: Output) -> Running:
        gap = gaps(output.logits, part.problem.targets)
        running = self._running
        if running is not None and part.samples is running.samples:
            state: AlgorithmState = running.state.observe(part.problem, points, output)
            return Running(
                part.samples, part.problem, state, running.margins.observe(gap, output.logits)
            )
        state = self.stage.algorithm.begin(part.problem, points, output)
        clean = torch.cat([sample.clean for sample in part.samples])
        margins = Margins(gaps(clean, part.problem.targets), gap, output.logits)
        return Running(part.samples, part.problem, state, margins)

    def _settle(self, running: Running, points: Tensor, output: Output) -> list[SampleState]:
        """Descend after a success; return the samples whose run is over or pruned."""
        distances = distance(points, running.problem.images, self.norm)
        hit = output.is_adv & within(distances, running.problem.eps)
        over = running.state.age >= self.stage.algorithm.steps
        ratio = self._project_strength(running)
        pruned = self._find_pruned(running, ratio)
        if not bool((hit | over | pruned).any()):
            return []
        left: list[SampleState] = []
        stay: list[int] = []
        descending: list[int] = []
        finite = all_finite(output.logits)
        columns = (
            hit.tolist(),
            over.tolist(),
            pruned.tolist(),
            distances.tolist(),
            finite.tolist(),
        )
        for row, (is_hit, is_over, is_pruned, length, sane) in enumerate(
            zip(*columns, strict=True)
        ):
            sample = running.samples[row]
            descends = is_hit and self._descend(running, row, points[row : row + 1], length)
            sample.finite = sane if descends else sample.finite
            if sample.progress.grid_index == 0:
                left.append(sample)
            elif descends and not self.stage.algorithm.minimum_norm:
                descending.append(row)
            elif is_over or is_pruned:
                ended = sample.progress
                sample.progress = ended.fail_run() if is_over else ended.prune_run()
                self._save_guide(sample, running.margins.guide[row : row + 1])
                self._save_nearest(sample, running, row)
                left.append(sample)
            else:
                stay.append(row)
        self._retain(running, stay, descending, points)
        return left

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

    def _descend(self, running: Running, row: int, point: Tensor, length: float) -> bool:
        """Record an adversarial point; return whether the sample descends to a smaller strength.

        A point from a minimum-norm method is first projected onto the ball of its strength.
        """
        sample = running.samples[row]
        critical = max(bisect_left(self.grid, least_eps(length)), 1)
        if self.stage.algorithm.minimum_norm and critical <= sample.progress.grid_index:
            inside = self._move_inside(running, row, point, critical)
            if inside is None:
                # The point itself lies in the ball of the next strength.
                critical += 1
            else:
                point, length = inside, float(distance(inside, sample.image, self.norm))
        if critical > sample.progress.grid_index:
            return False
        sample.adversarial_example, sample.distance = point.clone(), length
        sample.stage, sample.run = self.number, sample.progress.runs[0].number
        sample.progress = sample.progress.descend(critical - 1)
        return True

    def _move_inside(
        self, running: Running, row: int, point: Tensor, grid_index: int
    ) -> Tensor | None:
        """Return the point projected onto the ball of a strength; None if not adversarial there.

        It queries the model once if the projection changes the point.
        """
        ball = running.problem.select(torch.tensor([row], device=point.device))
        ball = replace(ball, eps=torch.full_like(ball.eps, self.grid[grid_index]))
        inside = ball.project(point)
        if torch.equal(inside, point):
            return point
        running.samples[row].forwards += 1
        return inside if bool(ball.query(inside, gradient=False).is_adv) else None

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

    def _retain(
        self, running: Running, stay: list[int], descending: list[int], points: Tensor
    ) -> None:
        """Remove the rows that left; rows that descend restart from the projected point."""
        self._running = self._starting = None
        if stay:
            index = torch.tensor(stay, device=points.device)
            samples = [running.samples[row] for row in stay]
            problem = running.problem.select(index)
            problem = replace(problem, eps=self._strengths(samples, points))
            state, margins = rows_of(running.state, index), rows_of(running.margins, index)
            self._running = Running(samples, problem, state, margins)
        if descending:
            samples = [running.samples[row] for row in descending]
            problem = self._problem_of(samples)
            n_strengths = torch.tensor([sample.progress.grid_index for sample in samples])
            problem = replace(problem, noise=problem.noise.at(n_strengths.to(points.device)))
            self._starting = Starting(samples, problem, problem.project(points[descending]))
