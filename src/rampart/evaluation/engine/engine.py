"""The engine: every sample through every stage, each at its own strength, in full batches.

One stage batch per stage. Samples come in as they are read, move from stage batch to stage batch as
their policy says (`rampart.evaluation.engine.policy`), and go out as soon as they are finished;
only those in progress are in memory. Which stage batch moves next decides how full the batches are
and nothing else.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from rampart.attacks.stages import Stage, with_classes
from rampart.data.batches import Batch
from rampart.evaluation.criterion import Criterion
from rampart.evaluation.engine.policy import AttackRun, first
from rampart.evaluation.engine.pruning import Limits, gaps, projected
from rampart.evaluation.engine.sample_state import SampleState
from rampart.evaluation.engine.stage_batch import StageBatch
from rampart.evaluation.inference import QueriedModel, logits_of
from rampart.evaluation.results import Results
from rampart.runtime import Noise
from rampart.units import Norm


@dataclass(frozen=True)
class Task:
    """What an evaluation is to do.

    Attributes:
        stages: the attack suite, in order.
        norm: norm of the balls.
        grid: (n + 1,) strengths from 0 up, with n >= 1.
        seed: noise is keyed by (seed, sample, stage, run).
        prune: whether hopeless runs are given up.
        recheck: fraction of the samples that repeat in full what they gave up.
        criterion: when a stage has won; the stages' losses are to be its own.
    """

    stages: tuple[Stage, ...]
    norm: Norm
    grid: tuple[float, ...]
    seed: int
    prune: bool = False
    recheck: float = 0.0
    criterion: Criterion = field(default_factory=Criterion)


class Engine:
    """Carries out a task on one device.

    Args:
        model: to be asked.
        task: what to do.
        batch_size: rows of a batch.
        stage_batch: what holds the rows of a stage; a subclass may watch.
    """

    def __init__(
        self,
        model: QueriedModel,
        task: Task,
        batch_size: int,
        device: torch.device,
        stage_batch: type[StageBatch] = StageBatch,
    ) -> None:
        self._model, self._task, self._device, self._kind = model, task, device, stage_batch
        self._batch_size = batch_size
        self._stage_batches = [
            self._stage_batch(number, prune=task.prune) for number in range(len(task.stages))
        ]
        # Audited samples repeat their runs in stage batches that do not prune.
        self._full = [self._stage_batch(number, prune=False) for number in range(len(task.stages))]

    def run(self, batches: Iterable[Batch]) -> Iterator[list[SampleState]]:
        """Yield samples as they are finished, in no particular order."""
        source = iter(batches)
        exhausted, in_progress = False, 0
        capacity = self._batch_size * (1 + len(self._task.stages))
        while True:
            stage_batch = self._next_stage_batch()
            full = stage_batch is not None and len(stage_batch) >= self._batch_size
            if not full and not exhausted and in_progress < capacity:
                batch = next(source, None)
                exhausted = batch is None
                if batch is None:
                    continue
                in_progress += len(batch)
                done = self._admit(batch.to(self._device))
            elif stage_batch is None:
                return
            else:
                done = [
                    sample for sample in stage_batch.step(self._batch_size) if self._route(sample)
                ]
            in_progress -= len(done)
            if done:
                yield done

    def _stage_batch(self, number: int, prune: bool) -> StageBatch:
        stage, task = self._task.stages[number], self._task
        limits = Limits.of(stage, task.norm, self._device) if prune else None
        return self._kind(number, stage, self._model, task.norm, task.grid, limits)

    def _next_stage_batch(self) -> StageBatch | None:
        """The last stage batch of the attack suite whose batch is full; if none is, the first that
        holds
        any.

        Samples then gather in front of the later stages, which take most of the steps.
        """
        stage_batches = [
            stage_batch for stage_batch in (*self._stage_batches, *self._full) if len(stage_batch)
        ]
        full = [
            stage_batch for stage_batch in stage_batches if len(stage_batch) >= self._batch_size
        ]
        return full[-1] if full else next(iter(stage_batches), None)

    def _admit(self, batch: Batch) -> list[SampleState]:
        """Classify the clean images; return those that are finished by that, as they are wrong."""
        images, labels = batch.pixels(), batch.labels
        logits = logits_of(self._model, images)
        done = []
        for sample in self._sample_states(images, labels, batch.indices, logits):
            if not sample.right:
                done.append(sample)
            else:
                self._stage_batches[sample.progress.runs[0].stage].waiting.append(sample)
        return done

    def _sample_states(
        self, images: Tensor, labels: Tensor, indices: Tensor, logits: Tensor
    ) -> Iterator[SampleState]:
        task, classes = self._task, self._task.criterion.classes(logits, labels)
        right = task.criterion.right(logits, labels).tolist()
        noise = Noise.of(task.seed, indices, "critical")
        start = first(len(task.grid) - 1, [stage.runs(logits.shape[1]) for stage in task.stages])
        rechecked = (noise.child("audit").uniform(1)[:, 0] < task.recheck).tolist()
        predictions = logits.argmax(1).tolist()
        for row, (index, label) in enumerate(zip(indices.tolist(), labels.tolist(), strict=True)):
            one = slice(row, row + 1)
            yield SampleState(
                index=index,
                label=label,
                prediction=predictions[row],
                right=right[row],
                image=images[one],
                clean=logits[one],
                classes=classes[row],
                noise=Noise(noise.keys[one]),
                progress=start,
                rechecked=rechecked[row] and task.prune,
            )

    def _route(self, sample: SampleState) -> bool:
        """Send a sample to its next stage batch; return whether it is finished instead."""
        progress = sample.progress
        if progress.finished and sample.rechecked and progress.grid_index and progress.given_up:
            sample.before_recheck = progress.critical
            sample.progress = progress = progress.again()
            self._full[progress.runs[0].stage].waiting.append(sample)
            return False
        if progress.finished:
            return True
        if sample.guide is not None and self._task.stages[progress.runs[0].stage].targets:
            sample.progress = progress.ordered(self._turns(sample))
        stage_batches = self._full if sample.before_recheck else self._stage_batches
        stage_batches[sample.progress.runs[0].stage].waiting.append(sample)
        return False

    def _turns(self, sample: SampleState) -> dict[AttackRun, int]:
        """The classes that the weakest point came nearest to take their turn first.

        The first one then makes nearly all breaks; which classes are tried stays the same.
        """
        guide, sample.guide = sample.guide, None
        assert guide is not None
        turns: dict[AttackRun, int] = {}
        for number, stage in enumerate(self._task.stages):
            classes = sample.classes[: stage.targets]
            pairs = with_classes(torch.full_like(classes, sample.label), classes)
            margins = [gaps(at.expand(len(classes), -1), pairs) for at in (sample.clean, guide)]
            order = projected(*margins).argsort(stable=True).tolist()
            for turn, rank in enumerate(order):
                for restart in range(stage.restarts):
                    run = AttackRun(number, rank * stage.restarts + restart)
                    turns[run] = turn * stage.restarts + restart
        return turns


def table(samples: Sequence[SampleState], adversarial_examples: bool) -> Results:
    """Return what was found on finished samples; adversarial examples are (M, C, H, W) where asked
    for.
    """

    def column(name: str) -> list[int]:
        return [getattr(sample, name) for sample in samples]

    critical = [f.progress.critical if f.right else 0 for f in samples]
    rechecked = [bool(sample.before_recheck) for sample in samples]
    found = [
        sample.adversarial_example for sample in samples if sample.adversarial_example is not None
    ]
    images = torch.cat(found).float().cpu().numpy() if found else np.zeros((0, 1, 1, 1), np.float32)
    return Results(
        indices=np.array(column("index"), dtype=np.int64),
        labels=np.array(column("label"), dtype=np.int64),
        predictions=np.array(column("prediction"), dtype=np.int64),
        critical=np.array(critical, dtype=np.int64),
        distance=np.array([sample.distance for sample in samples], dtype=np.float64),
        stage=np.array(column("stage"), dtype=np.int64),
        run=np.array(column("run"), dtype=np.int64),
        forwards=np.array(column("forwards"), dtype=np.int64),
        backwards=np.array(column("backwards"), dtype=np.int64),
        pruned=np.array([len(sample.progress.given_up) for sample in samples], dtype=np.int64),
        rechecked=np.array(rechecked, dtype=np.bool_),
        before_recheck=np.array(
            [f.before_recheck or c for f, c in zip(samples, critical, strict=True)]
        ),
        adversarial_examples=images if adversarial_examples and found else None,
    )
