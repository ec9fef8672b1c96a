"""The evaluation of a whole split: in several processes, resumable, with recheck and escalation."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rampart.attacks.base import Attack
from rampart.attacks.frozen import Model
from rampart.choices import EvaluationMode
from rampart.data.batches import Batch, ordered_batches
from rampart.data.splits import Split
from rampart.data.subset import having, numbers_of
from rampart.errors import InvalidArgument
from rampart.evaluation.criterion import Criterion
from rampart.evaluation.critical import stream
from rampart.evaluation.escalation import Pruning, recheck
from rampart.evaluation.partial_results import Buffer, PartialResults
from rampart.evaluation.recheck import Plan, default_error
from rampart.evaluation.results import Booleans, Results
from rampart.metrics.curve import Integers
from rampart.progress.work import working


@dataclass(frozen=True)
class Processes:
    """The processes of one evaluation; by default a single one.

    Attributes:
        rank: rank of this process.
        count: number of processes.
        wait: a barrier: returns when every process has called it.
        gather: takes the results of this process and returns those of all.
    """

    rank: int = 0
    count: int = 1
    wait: Callable[[], None] = lambda: None
    gather: Callable[[Results], Sequence[Results]] = lambda results: [results]


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a split.

    Attributes:
        results: results of all samples, in their order.
        pruning: the effect of pruning; None in exact mode.
        seconds: wall-clock time of this process, without earlier, interrupted calls.
        resumed: number of samples read from partial results.
    """

    results: Results
    pruning: Pruning | None
    seconds: float
    resumed: int


def evaluate_split(
    model: Model,
    split: Split,
    attack: Attack,
    grid: Sequence[float],
    seed: int = 0,
    *,
    mode: EvaluationMode = "fast",
    largest_error: float | None = None,
    batch_size: int = 128,
    adversarial_examples: bool = False,
    criterion: Criterion | None = None,
    partial_results: PartialResults | None = None,
    phase: int = 0,
    processes: Processes | None = None,
    workers: int = 0,
    on_progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Return the critical strength of every sample of a split.

    Fast mode includes a recheck (`rampart.evaluation.recheck`) and, if needed, an escalation
    (`rampart.evaluation.escalation`). Where they would cost as much as exact mode, as for few
    images or short attacks, it does not prune. The results do not depend on the batch size or the
    number of processes.

    Args:
        model: pixels in [0, 1], (N, C, H, W), to logits.
        split: the samples.
        attack: see `rampart.evaluation.critical.stream`.
        grid: (n + 1,) ascending strengths from 0.
        seed: seed of all noise.
        mode: "fast" or "exact".
        largest_error: in fast mode, the error that the recheck excludes; by default
            `rampart.evaluation.recheck.default_error`.
        batch_size: rows of a batch.
        adversarial_examples: whether to return the adversarial examples. With partial results they
            are in a file and returned by the first process only; otherwise they are in memory.
        criterion: what counts as success; misclassification by default.
        partial_results: where finished samples are written, and from where an interrupted
            evaluation resumes.
        phase: phase in the partial results; the recheck uses the next one.
        processes: the processes that share the work.
        workers: number of processes that decode images.
        on_progress: called with an estimate of the number of samples that all processes have done.

    Raises:
        InvalidArgument: `split` is not a `Split`; further cases as in
            `rampart.evaluation.critical.stream`.
    """
    _require_split(split)
    processes, start = processes or Processes(), time.perf_counter()
    numbers = numbers_of(split)

    def attacked(batches: Iterable[Batch], mode: EvaluationMode) -> Iterator[Results]:
        options: dict[str, Any] = {"mode": mode, "batch_size": batch_size}
        options |= {"adversarial_examples": adversarial_examples, "criterion": criterion}
        return stream(model, batches, attack, grid, seed, **options)

    work = _Work(split, attacked, processes, partial_results, batch_size, workers, on_progress)
    first, full = (_read(partial_results, one, numbers) for one in (phase, phase + 1))
    # All processes must read before any of them writes.
    processes.wait()
    stages = (criterion or Criterion()).stages(attack.stages())
    size = default_error(len(split)) if largest_error is None else largest_error
    plan, pruning = Plan(len(split), size), None
    first_mode: EvaluationMode = "fast" if mode == "fast" and plan.pays(stages) else "exact"
    results = work.complete(first, numbers, first_mode, phase).sorted()
    if mode == "fast":
        fast = results

        def in_full(drawn: Booleans) -> Results:
            nonlocal full
            full = work.complete(full, fast.indices[drawn], "exact", phase + 1)
            return full.select(np.isin(full.indices, fast.indices[drawn]))

        results, pruning = recheck(fast, plan, grid, seed, stages, in_full)
    if partial_results and adversarial_examples and processes.rank == 0:
        results = replace(
            results,
            adversarial_examples=partial_results.adversarial_examples(results),
            adversarial_rows=None,
        )
    return Evaluation(results, pruning, time.perf_counter() - start, len(first))


@dataclass(frozen=True)
class _Work:
    """Attacks samples of a split, shared among processes; see `evaluate_split`."""

    split: Split
    attacked: Callable[[Iterable[Batch], EvaluationMode], Iterator[Results]]
    processes: Processes
    partial_results: PartialResults | None
    batch_size: int
    workers: int
    on_progress: Callable[[int], None] | None

    def complete(
        self, known: Results, wanted: Integers, mode: EvaluationMode, phase: int
    ) -> Results:
        """Return the known results and those of the wanted samples that they lack.

        Every process calls it with the same arguments and gets the same rows.
        """
        rest = np.setdiff1d(wanted, known.indices)
        mine = rest[self.processes.rank :: self.processes.count]
        parts, done = [Results.empty()], len(self.split) - len(rest)
        name = "attacking" if len(wanted) == len(self.split) else "attacking in full"
        with ExitStack() as stack:
            work = working(name, len(wanted), done=len(wanted) - len(rest))
            update = stack.enter_context(work)
            partial = self.partial_results
            buffer = stack.enter_context(Buffer(partial)) if partial else None
            batches = _batches(self.split, mine, self.batch_size, self.workers)
            for part in self.attacked(batches, mode):
                # Partial results are on disk, so the images need not stay in memory.
                parts.append(part.without_adversarial_examples() if buffer else part)
                if buffer:
                    buffer.add(part, phase)
                done += len(part) * self.processes.count
                update(len(wanted) - len(self.split) + done)
                if self.on_progress:
                    self.on_progress(min(done, len(self.split)))
        return Results.concatenate([known, *self.processes.gather(Results.concatenate(parts))])


def _require_split(split: Split) -> None:
    if not isinstance(split, Split):
        raise InvalidArgument(
            "split",
            type(split).__name__,
            "a rampart.data.splits.Split",
            "use Split.of_tensors(images, labels), or rampart.data.datasets.load_splits for files",
        )


def _batches(split: Split, numbers: Integers, batch_size: int, workers: int) -> Iterable[Batch]:
    """Return the images with these numbers; a split must not be empty, but `numbers` may be."""
    return (
        ordered_batches(having(split, numbers), batch_size, workers=workers) if len(numbers) else ()
    )


def _read(partial_results: PartialResults | None, phase: int, numbers: Integers) -> Results:
    """Return the partial results of these samples in a phase."""
    if partial_results is None:
        return Results.empty()
    known = partial_results.read(phase, adversarial_examples=False)
    return known.select(np.isin(known.indices, numbers))
