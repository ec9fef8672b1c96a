"""A lane: the slots of one stage, each holding the run of another sample at its own strength.

A slot whose run is over takes the next sample that waits, so the batch stays full. What happens to
a sample depends on that sample alone.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from rampart.attacks.algorithm import AlgorithmState, Output, Problem
from rampart.attacks.stages import Stage, run_noise, with_classes
from rampart.evaluation.flights import (
    Flight,
    Going,
    Starting,
    Watch,
    both,
    joined,
    rows_of,
    together,
)
from rampart.evaluation.inference import Asked
from rampart.evaluation.pruning import Limits, gaps, projected
from rampart.runtime import Noise
from rampart.threat import distance
from rampart.tolerance import least_eps, within
from rampart.units import Norm


@dataclass
class Lane:
    """The slots of one stage.

    Attributes:
        number: the stage's place in the tier.
        model: counts its passes.
        grid: strengths from 0 up.
        limits: when a run is hopeless; None where every run is carried through.
        waiting: samples without a slot.
    """

    number: int
    stage: Stage
    model: Asked
    norm: Norm
    grid: Sequence[float]
    limits: Limits | None = None
    waiting: deque[Flight] = field(default_factory=deque)
    _going: Going | None = None
    _starting: Starting | None = None

    def __len__(self) -> int:
        return self._seated + len(self.waiting)

    @property
    def _seated(self) -> int:
        return sum(len(part.flights) for part in (self._going, self._starting) if part)

    def step(self, slots: int) -> list[Flight]:
        """Look once at one point of each slot's run; return the samples that leave the lane."""
        self._seat(slots - self._seated)
        parts = [part for part in (self._advanced(), self._starting) if part]
        assert parts, "a lane without samples makes no step"
        points = torch.cat([part.points for part in parts])
        output = self._look(parts, points)
        self._going = self._observed(parts, points, output)
        return self._settle(self._going, points, output)

    def _seat(self, free: int) -> None:
        """Give free slots to samples that wait."""
        flights = [self.waiting.popleft() for _ in range(min(free, len(self.waiting)))]
        if flights:
            problem = self._problem_of(flights)
            new = Starting(flights, problem, self.stage.algorithm.start(problem))
            old = self._starting
            self._starting = new if old is None else both(old, new)

    def _problem_of(self, flights: Sequence[Flight]) -> Problem:
        images = torch.cat([flight.image for flight in flights])
        device = images.device
        numbers = [flight.progress.runs[0].number for flight in flights]
        targets = torch.tensor([flight.label for flight in flights], device=device)
        if self.stage.targets:
            ranks = [self.stage.rank(number) for number in numbers]
            classes = [f.classes[rank] for f, rank in zip(flights, ranks, strict=True)]
            targets = with_classes(targets, torch.stack(classes))
        noise = Noise(torch.cat([flight.noise.keys for flight in flights]))
        return Problem(
            self.model,
            images,
            targets,
            self._strengths(flights, images),
            run_noise(noise, self.stage, torch.tensor(numbers, device=device)),
            self.stage.loss,
            self.norm,
        )

    def _strengths(self, flights: Sequence[Flight], images: Tensor) -> Tensor:
        eps = [self.grid[flight.progress.level] for flight in flights]
        return torch.tensor(eps, device=images.device, dtype=images.dtype)

    def _advanced(self) -> Starting | None:
        """The runs under way with the points that they look at next."""
        going = self._going
        if going is None:
            return None
        return Starting(going.flights, going.problem, going.state.advance(going.problem))

    def _look(self, parts: Sequence[Starting], points: Tensor) -> Output:
        """Ask the model, and write the passes on the samples in equal shares."""
        problem = (
            parts[0].problem if len(parts) == 1 else joined(parts[0].problem, parts[1].problem)
        )
        before = self.model.passes
        # Also at the last look of a run, where nothing needs the gradient: other rows do, and what
        # a sample costs is not to depend on them.
        output = self.stage.algorithm.query(problem, points)
        forwards, backwards = (
            (now - then) // len(points) for now, then in zip(self.model.passes, before, strict=True)
        )
        for part in parts:
            for flight in part.flights:
                flight.forwards += forwards
                flight.backwards += backwards
        return output

    def _observed(self, parts: Sequence[Starting], points: Tensor, output: Output) -> Going:
        """Runs under way remember what was seen; those that start begin to."""
        done, row = [], 0
        for part in parts:
            rows = slice(row, row + len(part.flights))
            row = rows.stop
            done.append(self._remember(part, points[rows], rows_of(output, rows)))
        self._starting = None
        return done[0] if len(done) == 1 else together(*done)

    def _remember(self, part: Starting, points: Tensor, output: Output) -> Going:
        gap = gaps(output.logits, part.problem.targets)
        going = self._going
        if going is not None and part.flights is going.flights:
            state: AlgorithmState = going.state.observe(part.problem, points, output)
            return Going(part.flights, part.problem, state, going.watch.observe(gap, output.logits))
        state = self.stage.algorithm.begin(part.problem, points, output)
        clean = torch.cat([flight.clean for flight in part.flights])
        watch = Watch(gaps(clean, part.problem.targets), gap, output.logits)
        return Going(part.flights, part.problem, state, watch)

    def _settle(self, going: Going, points: Tensor, output: Output) -> list[Flight]:
        """Let runs that broke their sample slide, and samples leave whose run is over."""
        reach = distance(points, going.problem.images, self.norm)
        hit = output.is_adv & within(reach, going.problem.eps)
        over = going.state.age >= self.stage.algorithm.steps
        ratio = self._projected(going)
        tired = self._hopeless(going, ratio)
        if not bool((hit | over | tired).any()):
            return []
        left: list[Flight] = []
        stay: list[int] = []
        slide: list[int] = []
        columns = (hit.tolist(), over.tolist(), tired.tolist(), reach.tolist())
        for row, (is_hit, is_over, is_tired, length) in enumerate(zip(*columns, strict=True)):
            flight = going.flights[row]
            slides = is_hit and self._descend(going, row, points[row : row + 1], length)
            if flight.progress.level == 0:
                left.append(flight)
            elif slides and not self.stage.algorithm.minimum_norm:
                slide.append(row)
            elif is_over or is_tired:
                ended = flight.progress
                flight.progress = ended.failed() if is_over else ended.hopeless()
                self._note(flight, going.watch.guide[row : row + 1])
                self._tighten(flight, going, row)
                left.append(flight)
            else:
                stay.append(row)
        self._keep(going, stay, slide, points)
        return left

    def _projected(self, going: Going) -> Tensor:
        """The strength at which each run would break its sample, in units of its strength."""
        if self.stage.algorithm.minimum_norm:
            # The best value is minus the distance of the nearest adversarial image. As long as
            # there is none, nothing says that there will not be.
            ratio = -going.state.best_value / going.problem.eps
            return ratio.masked_fill(ratio.isinf(), 0.0)
        return projected(going.watch.clean_gap, going.watch.gap)

    def _hopeless(self, going: Going, ratio: Tensor) -> Tensor:
        if self.limits is None:
            return torch.zeros_like(going.state.age, dtype=torch.bool)
        return self.limits.exceeded(going.state.age, ratio)

    def _descend(self, going: Going, row: int, point: Tensor, length: float) -> bool:
        """Write a misclassified point down; return whether the sample goes to a smaller strength.

        A point that a minimum-norm method found is moved into its strength's ball.
        """
        flight = going.flights[row]
        critical = max(bisect_left(self.grid, least_eps(length)), 1)
        if self.stage.algorithm.minimum_norm and critical <= flight.progress.level:
            inside = self._inside(going, row, point, critical)
            if inside is None:
                # As it is, it breaks the next strength.
                critical += 1
            else:
                point, length = inside, float(distance(inside, flight.image, self.norm))
        if critical > flight.progress.level:
            return False
        flight.witness, flight.reach = point.clone(), length
        flight.stage, flight.run = self.number, flight.progress.runs[0].number
        flight.progress = flight.progress.is_adv(critical - 1)
        return True

    def _inside(self, going: Going, row: int, point: Tensor, level: int) -> Tensor | None:
        """The point moved into the ball of a strength; None where it breaks nothing there.

        The model is asked once more if the move changes it.
        """
        ball = going.problem.select(torch.tensor([row], device=point.device))
        ball = replace(ball, eps=torch.full_like(ball.eps, self.grid[level]))
        inside = ball.project(point)
        if torch.equal(inside, point):
            return point
        going.flights[row].forwards += 1
        return inside if bool(ball.query(inside, gradient=False).is_adv) else None

    def _tighten(self, flight: Flight, going: Going, row: int) -> None:
        """Keep the nearest adversarial image that a minimum-norm run found, if none is nearer."""
        nearest = -float(going.state.best_value[row])
        if self.stage.algorithm.minimum_norm and nearest < flight.reach:
            flight.witness, flight.reach = going.state.best[row : row + 1].clone(), nearest

    def _note(self, flight: Flight, guide: Tensor) -> None:
        """Keep the logits at the weakest point, from which targets are put in order."""
        if self.stage.algorithm.gradient and not self.stage.targets:
            flight.guide = guide.clone()

    def _keep(self, going: Going, stay: list[int], slide: list[int], points: Tensor) -> None:
        """Drop the rows that left; rows that slide start anew from the clipped point."""
        self._going = self._starting = None
        if stay:
            index = torch.tensor(stay, device=points.device)
            flights = [going.flights[row] for row in stay]
            problem = going.problem.select(index)
            problem = replace(problem, eps=self._strengths(flights, points))
            state, watch = rows_of(going.state, index), rows_of(going.watch, index)
            self._going = Going(flights, problem, state, watch)
        if slide:
            flights = [going.flights[row] for row in slide]
            problem = self._problem_of(flights)
            levels = torch.tensor([flight.progress.level for flight in flights])
            problem = replace(problem, noise=problem.noise.at(levels.to(points.device)))
            self._starting = Starting(flights, problem, problem.project(points[slide]))
