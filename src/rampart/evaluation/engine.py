"""The engine: every sample through every stage, each at its own strength, in full batches.

One lane per stage. Samples come in as they are read, move from lane to lane as their policy says
(`rampart.evaluation.policy`), and go out as soon as they are finished; only those in flight are in
memory. Which lane moves next decides how full the batches are and nothing else.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from rampart.attacks.stages import Stage, with_classes
from rampart.data.batches import Batch
from rampart.evaluation.flights import Flight
from rampart.evaluation.goal import Goal
from rampart.evaluation.inference import Asked, logits_of
from rampart.evaluation.lanes import Lane
from rampart.evaluation.policy import Run, first
from rampart.evaluation.pruning import Limits, gaps, projected
from rampart.evaluation.results import Results
from rampart.runtime import Noise
from rampart.units import Norm


@dataclass(frozen=True)
class Task:
    """What an evaluation is to do.

    Attributes:
        stages: the tier, in order.
        norm: norm of the balls.
        grid: (n + 1,) strengths from 0 up, with n >= 1.
        seed: noise is keyed by (seed, sample, stage, run).
        prune: whether hopeless runs are given up.
        audit: share of the samples that repeat in full what they gave up.
        goal: when a stage has won; the stages' losses are to be its own.
    """

    stages: tuple[Stage, ...]
    norm: Norm
    grid: tuple[float, ...]
    seed: int
    prune: bool = False
    audit: float = 0.0
    goal: Goal = field(default_factory=Goal)


class Engine:
    """Carries out a task on one device.

    Args:
        model: to be asked.
        task: what to do.
        slots: rows of a batch.
        lane: what holds the slots of a stage; a subclass may watch.
    """

    def __init__(
        self,
        model: Asked,
        task: Task,
        slots: int,
        device: torch.device,
        lane: type[Lane] = Lane,
    ) -> None:
        self._model, self._task, self._device, self._kind = model, task, device, lane
        self._slots = slots
        self._lanes = [self._lane(number, prune=task.prune) for number in range(len(task.stages))]
        # Audited samples repeat their runs in lanes that do not prune.
        self._full = [self._lane(number, prune=False) for number in range(len(task.stages))]

    def run(self, batches: Iterable[Batch]) -> Iterator[list[Flight]]:
        """Yield samples as they are finished, in no particular order."""
        source = iter(batches)
        exhausted, flying = False, 0
        capacity = self._slots * (1 + len(self._task.stages))
        while True:
            lane = self._next_lane()
            full = lane is not None and len(lane) >= self._slots
            if not full and not exhausted and flying < capacity:
                batch = next(source, None)
                exhausted = batch is None
                if batch is None:
                    continue
                flying += len(batch)
                done = self._admit(batch.to(self._device))
            elif lane is None:
                return
            else:
                done = [flight for flight in lane.step(self._slots) if self._route(flight)]
            flying -= len(done)
            if done:
                yield done

    def _lane(self, number: int, prune: bool) -> Lane:
        stage, task = self._task.stages[number], self._task
        limits = Limits.of(stage, task.norm, self._device) if prune else None
        return self._kind(number, stage, self._model, task.norm, task.grid, limits)

    def _next_lane(self) -> Lane | None:
        """The last lane of the tier whose batch is full; if none is, the first that holds any.

        Samples then gather in front of the later stages, which take most of the steps.
        """
        lanes = [lane for lane in (*self._lanes, *self._full) if len(lane)]
        full = [lane for lane in lanes if len(lane) >= self._slots]
        return full[-1] if full else next(iter(lanes), None)

    def _admit(self, batch: Batch) -> list[Flight]:
        """Classify the clean images; return those that are finished by that, as they are wrong."""
        images, labels = batch.pixels(), batch.labels
        logits = logits_of(self._model, images)
        done = []
        for flight in self._flights(images, labels, batch.samples, logits):
            if not flight.right:
                done.append(flight)
            else:
                self._lanes[flight.progress.runs[0].stage].waiting.append(flight)
        return done

    def _flights(
        self, images: Tensor, labels: Tensor, samples: Tensor, logits: Tensor
    ) -> Iterator[Flight]:
        task, classes = self._task, self._task.goal.classes(logits, labels)
        right = task.goal.right(logits, labels).tolist()
        noise = Noise.of(task.seed, samples, "critical")
        start = first(len(task.grid) - 1, [stage.runs(logits.shape[1]) for stage in task.stages])
        audited = (noise.child("audit").uniform(1)[:, 0] < task.audit).tolist()
        predictions = logits.argmax(1).tolist()
        for row, (sample, label) in enumerate(zip(samples.tolist(), labels.tolist(), strict=True)):
            one = slice(row, row + 1)
            yield Flight(
                sample=sample,
                label=label,
                prediction=predictions[row],
                right=right[row],
                image=images[one],
                clean=logits[one],
                classes=classes[row],
                noise=Noise(noise.keys[one]),
                progress=start,
                audited=audited[row] and task.prune,
            )

    def _route(self, flight: Flight) -> bool:
        """Send a sample to its next lane; return whether it is finished instead."""
        progress = flight.progress
        if progress.finished and flight.audited and progress.level and progress.given_up:
            flight.unaudited = progress.critical
            flight.progress = progress = progress.again()
            self._full[progress.runs[0].stage].waiting.append(flight)
            return False
        if progress.finished:
            return True
        if flight.guide is not None and self._task.stages[progress.runs[0].stage].targets:
            flight.progress = progress.ordered(self._turns(flight))
        lanes = self._full if flight.unaudited else self._lanes
        lanes[flight.progress.runs[0].stage].waiting.append(flight)
        return False

    def _turns(self, flight: Flight) -> dict[Run, int]:
        """The classes that the weakest point came nearest to take their turn first.

        The first one then makes nearly all breaks; which classes are tried stays the same.
        """
        guide, flight.guide = flight.guide, None
        assert guide is not None
        turns: dict[Run, int] = {}
        for number, stage in enumerate(self._task.stages):
            classes = flight.classes[: stage.targets]
            pairs = with_classes(torch.full_like(classes, flight.label), classes)
            margins = [gaps(at.expand(len(classes), -1), pairs) for at in (flight.clean, guide)]
            order = projected(*margins).argsort(stable=True).tolist()
            for turn, rank in enumerate(order):
                for restart in range(stage.restarts):
                    run = Run(number, rank * stage.restarts + restart)
                    turns[run] = turn * stage.restarts + restart
        return turns


def table(flights: Sequence[Flight], witnesses: bool) -> Results:
    """Return what was found on finished samples; witnesses are (M, C, H, W) where asked for."""

    def column(name: str) -> list[int]:
        return [getattr(flight, name) for flight in flights]

    critical = [f.progress.critical if f.right else 0 for f in flights]
    audited = [bool(flight.unaudited) for flight in flights]
    found = [flight.witness for flight in flights if flight.witness is not None]
    images = torch.cat(found).float().cpu().numpy() if found else np.zeros((0, 1, 1, 1), np.float32)
    return Results(
        samples=np.array(column("sample"), dtype=np.int64),
        labels=np.array(column("label"), dtype=np.int64),
        predictions=np.array(column("prediction"), dtype=np.int64),
        critical=np.array(critical, dtype=np.int64),
        reach=np.array([flight.reach for flight in flights], dtype=np.float64),
        stage=np.array(column("stage"), dtype=np.int64),
        run=np.array(column("run"), dtype=np.int64),
        forwards=np.array(column("forwards"), dtype=np.int64),
        backwards=np.array(column("backwards"), dtype=np.int64),
        pruned=np.array([len(flight.progress.given_up) for flight in flights], dtype=np.int64),
        audited=np.array(audited, dtype=np.bool_),
        unaudited=np.array([f.unaudited or c for f, c in zip(flights, critical, strict=True)]),
        witnesses=images if witnesses and found else None,
    )
