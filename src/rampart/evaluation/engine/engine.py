"""The engine: continuous batching of samples, each at its own stage, step and strength.

Samples need very different numbers of steps: some are misclassified at once, robust ones take every
step of every stage. In a plain batch, finished rows idle until the last row ends. Continuous
batching, known from the serving of language models, fills each free row with the next waiting
sample, so that the model always sees full batches. Here the batches are filled in this way:

    while samples are unread or unfinished:
        group = the last full stage batch, else the first that is not empty, with those that can
                share its passes
        if none is full, and the memory holds further samples:
            read images; the misclassified ones are finished, the others wait for their first run
            continue
        fill the free rows of the group with waiting runs
        if rows are left: begin later runs ahead of their turn, or ask a random search's next points
        query the model at one point per row             # one pass, each row at its own strength
        for each row:
            adversarial within eps:  descend: restart at a smaller strength from this point
            last step, or pruned:    the sample leaves; its next run is the next in the suite
            otherwise:               the run continues
        a run ahead of its turn waits at its first event, for its turn
        a sample that left without a further run is finished; the others wait for their next run

A sample's path depends on that sample alone (`rampart.evaluation.engine.policy`), so the order in
which stage batches are chosen changes how full they are, but no result. Nor do runs ahead of their
turn: `rampart.evaluation.engine.sample_state` says why.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from rampart.attacks.stages import Stage, with_classes
from rampart.data.batches import Batch
from rampart.evaluation.criterion import Criterion
from rampart.evaluation.engine.passes import step
from rampart.evaluation.engine.policy import AttackRun, first_progress
from rampart.evaluation.engine.pruning import Limits, gaps, project_strength
from rampart.evaluation.engine.sample_state import RunState, SampleState
from rampart.evaluation.engine.stage_batch import StageBatch
from rampart.evaluation.inference import ROWS, QueriedModel, logits_of
from rampart.evaluation.results import Results
from rampart.images_and_labels import fit_labels
from rampart.logits import all_finite, predict
from rampart.runtime import Noise
from rampart.units import Norm


@dataclass(frozen=True)
class Task:
    """The settings of an evaluation.

    Attributes:
        stages: the attack suite, in order.
        norm: norm of the balls.
        grid: (n + 1,) ascending strengths from 0, with n >= 1.
        seed: noise is keyed by (seed, sample, stage, run).
        prune: whether to prune runs that are unlikely to succeed.
        criterion: what counts as success; the losses of the stages have to match it.
    """

    stages: tuple[Stage, ...]
    norm: Norm
    grid: tuple[float, ...]
    seed: int
    prune: bool = False
    criterion: Criterion = field(default_factory=Criterion)


class Engine:
    """Runs a task on one device.

    Args:
        model: the model to attack.
        task: the settings.
        batch_size: rows of a batch.
        device: where images and results of the steps are.
        stage_batch: class of the stage batches; a subclass may observe the steps.
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
        # A batch of the model has a multiple of these rows.
        self._rows = max(batch_size // ROWS * ROWS, ROWS)
        self._stage_batches = [self._stage_batch(number) for number in range(len(task.stages))]

    def run(self, batches: Iterable[Batch]) -> Iterator[list[SampleState]]:
        """Yield finished samples, in no particular order."""
        source = iter(batches)
        exhausted, in_progress = False, 0
        capacity = self._batch_size * (1 + len(self._task.stages))
        while True:
            group = self._next_group()
            full = any(len(stage_batch) >= self._rows for stage_batch in group)
            if not full and not exhausted and in_progress < capacity:
                batch = next(source, None)
                exhausted = batch is None
                if batch is None:
                    continue
                in_progress += len(batch)
                done = self._admit(batch.to(self._device))
            elif not group:
                return
            else:
                done = [sample for sample in self._step(group) if self._route(sample)]
            in_progress -= len(done)
            if done:
                yield done

    def _stage_batch(self, number: int) -> StageBatch:
        stage, task = self._task.stages[number], self._task
        limits = Limits.of(stage, task.norm, self._device) if task.prune else None
        return self._kind(number, stage, self._model, task.norm, task.grid, limits)

    def _next_group(self) -> list[StageBatch]:
        """Return the stage batches that share the next pass.

        That is the last full one of the suite. If none is full, it is the first with runs, with
        those that can share its passes, the last ones first, as long as their rows fit. Samples
        then accumulate at the later stages, which take most of the steps.
        """
        nonempty = [one for one in self._stage_batches if len(one)]
        full = [one for one in nonempty if len(one) >= self._rows]
        if full or not nonempty:
            return full[-1:]
        group: list[StageBatch] = []
        for one in reversed([one for one in nonempty if _share_passes(one, nonempty[0])]):
            if not group or sum(other.active for other in (*group, one)) <= self._rows:
                group.append(one)
        return group

    def _step(self, group: list[StageBatch]) -> list[SampleState]:
        """Fill the rows of a pass and make it; return the samples whose turn has ended."""
        free = self._rows - sum(one.active for one in group)
        for one in group:
            before = one.active
            one.admit(max(free, 0))
            free -= one.active - before
        group = [one for one in group if one.active]
        group = self._begin_ahead(group, -sum(one.active for one in group) % ROWS)
        return step(group, self._model, -sum(one.active for one in group) % ROWS)

    def _begin_ahead(self, group: list[StageBatch], spare: int) -> list[StageBatch]:
        """Begin runs ahead of their turn in rows that would only fill the batch, the next first."""
        later: list[tuple[int, SampleState, AttackRun, StageBatch]] = []
        for one in group if spare else ():
            for sample in [run.sample for run in one.runs if not run.ahead]:
                later += self._later_runs(one, sample)
        later = [entry for entry in later if entry[-1] in group or not entry[-1].active]
        later.sort(key=lambda entry: entry[0])
        for _, sample, run, place in later[:spare]:
            sample.ahead[run] = RunState(sample, run, ahead=True)
            place.begin([sample.ahead[run]])
            group = group if place in group else [*group, place]
        return group

    def _later_runs(
        self, current: StageBatch, sample: SampleState
    ) -> Iterator[tuple[int, SampleState, AttackRun, StageBatch]]:
        """Yield the runs that a sample may begin ahead: (turn, sample, run, place)."""
        # Most samples still descend in their first stage.
        if not current.number:
            return
        for turn, run in enumerate(sample.progress.runs[1:]):
            place = self._stage_batches[run.stage]
            if run not in sample.ahead and _share_passes(place, current):
                yield turn, sample, run, place

    def _admit(self, batch: Batch) -> list[SampleState]:
        """Classify clean images; return the misclassified samples, which are finished."""
        images = batch.pixels()
        logits = logits_of(self._model, images)
        labels = fit_labels(batch.labels, logits)
        done = []
        for sample in self._sample_states(images, labels, batch.indices, logits):
            if not sample.right:
                done.append(sample)
            else:
                self._send(sample)
        return done

    def _sample_states(
        self, images: Tensor, labels: Tensor, indices: Tensor, logits: Tensor
    ) -> Iterator[SampleState]:
        task, classes = self._task, self._task.criterion.classes(logits, labels)
        right = task.criterion.right(logits, labels).tolist()
        noise = Noise.of(task.seed, indices, "critical")
        start = first_progress(
            len(task.grid) - 1, [stage.runs(logits.shape[1]) for stage in task.stages]
        )
        predictions, finite = predict(logits).tolist(), all_finite(logits).tolist()
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
                attacked_prediction=predictions[row],
                finite=finite[row],
            )

    def _route(self, sample: SampleState) -> bool:
        """Send a sample to its next run; return True if it is finished instead."""
        while True:
            progress = sample.progress
            if progress.finished:
                return True
            if sample.guide is not None and self._task.stages[progress.runs[0].stage].targets:
                sample.progress = progress.order_runs(self._order_targets(sample))
            if not self._send(sample):
                return False

    def _send(self, sample: SampleState) -> bool:
        """Let a sample's next run wait for a row, or take its turn; return whether it has ended."""
        run = sample.progress.runs[0]
        begun = sample.ahead.pop(run, None)
        if begun:
            return self._stage_batches[run.stage].take_turn(begun)
        self._stage_batches[run.stage].waiting.append(RunState(sample, run))
        return False

    def _order_targets(self, sample: SampleState) -> dict[AttackRun, int]:
        """Return the turn of each targeted run: classes nearest to the weakest point come first.

        The first class then gives nearly all successes. The set of classes does not change.
        """
        guide, sample.guide = sample.guide, None
        assert guide is not None
        turns: dict[AttackRun, int] = {}
        for number, stage in enumerate(self._task.stages):
            classes = sample.classes[: stage.targets]
            pairs = with_classes(torch.full_like(classes, sample.label), classes)
            margins = [gaps(at.expand(len(classes), -1), pairs) for at in (sample.clean, guide)]
            order = project_strength(*margins).argsort(stable=True).tolist()
            for turn, rank in enumerate(order):
                for restart in range(stage.restarts):
                    run = AttackRun(number, rank * stage.restarts + restart)
                    turns[run] = turn * stage.restarts + restart
        return turns


def _share_passes(first: StageBatch, second: StageBatch) -> bool:
    """Return whether two stage batches can share a pass of the model."""
    a, b = first.stage.algorithm, second.stage.algorithm
    return first is second or (a.one_pass and b.one_pass and a.gradient == b.gradient)


def collect_results(samples: Sequence[SampleState], adversarial_examples: bool) -> Results:
    """Return the results of finished samples, with their adversarial examples if requested."""

    def column(name: str) -> list[int]:
        return [getattr(sample, name) for sample in samples]

    critical = [f.progress.critical if f.right else 0 for f in samples]
    found = [
        sample.adversarial_example for sample in samples if sample.adversarial_example is not None
    ]
    images = torch.cat(found).float().cpu().numpy() if found else np.zeros((0, 1, 1, 1), np.float32)
    return Results(
        indices=np.array(column("index"), dtype=np.int64),
        labels=np.array(column("label"), dtype=np.int64),
        predictions=np.array(column("prediction"), dtype=np.int64),
        attacked_predictions=np.array(column("attacked_prediction"), dtype=np.int64),
        finite=np.array(column("finite"), dtype=np.bool_),
        critical=np.array(critical, dtype=np.int64),
        distance=np.array([sample.distance for sample in samples], dtype=np.float64),
        stage=np.array(column("stage"), dtype=np.int64),
        run=np.array(column("run"), dtype=np.int64),
        forwards=np.array(column("forwards"), dtype=np.int64),
        backwards=np.array(column("backwards"), dtype=np.int64),
        pruned=np.array([len(sample.progress.pruned) for sample in samples], dtype=np.int64),
        rechecked=np.zeros(len(samples), dtype=np.bool_),
        before_recheck=np.array(critical, dtype=np.int64),
        adversarial_examples=images if adversarial_examples and found else None,
    )
