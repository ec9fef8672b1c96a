"""The evaluation of a whole split: in several processes, resumable, with recheck and escalation."""

import time
from collections.abc import Callable, Iterable, Sequence
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
from rampart.evaluation.escalation import Pruning, affected, judge, recheck_fraction
from rampart.evaluation.partial_results import Buffer, PartialResults
from rampart.evaluation.results import Results
from rampart.metrics.curve import Integers


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

    Fast mode includes a recheck and, if needed, an escalation (`rampart.evaluation.escalation`).
    The results do not depend on the batch size or the number of processes.

    Args:
        model: pixels in [0, 1], (N, C, H, W), to logits.
        split: the samples.
        attack: see `rampart.evaluation.critical.stream`.
        grid: (n + 1,) ascending strengths from 0.
        seed: seed of all noise.
        mode: "fast" or "exact".
        batch_size: rows of a batch.
        adversarial_examples: whether to return the adversarial examples. With partial results they
            are in a file and returned by the first process only; otherwise they are in memory.
        criterion: what counts as success; misclassification by default.
        partial_results: where finished samples are written, and from where an interrupted
            evaluation resumes.
        phase: phase in the partial results; an escalation uses the next one too.
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

    def find_missing(todo: Integers, fraction: float, phase: int, done: int) -> Results:
        mine, parts = np.sort(todo)[processes.rank :: processes.count], [Results.empty()]
        with ExitStack() as stack:
            buffer = stack.enter_context(Buffer(partial_results)) if partial_results else None
            batches = _batches(split, mine, batch_size, workers)
            options: dict[str, Any] = {"mode": mode, "batch_size": batch_size, "recheck": fraction}
            options |= {"adversarial_examples": adversarial_examples, "criterion": criterion}
            for part in stream(model, batches, attack, grid, seed, **options):
                # Partial results are on disk, so the images need not stay in memory.
                parts.append(part.without_adversarial_examples() if buffer else part)
                if buffer:
                    buffer.add(part, phase)
                if on_progress:
                    done += len(part) * processes.count
                    on_progress(min(done, len(split)))
        return Results.concatenate(processes.gather(Results.concatenate(parts)))

    first = _read(partial_results, phase, numbers)
    second = _read(partial_results, phase + 1, numbers)
    # All processes must read before any of them writes.
    processes.wait()
    rest = np.setdiff1d(numbers, first.indices)
    results = Results.concatenate(
        [first, find_missing(rest, recheck_fraction(len(split)), phase, len(first))]
    )
    stages = (criterion or Criterion()).stages(attack.stages())
    pruning = judge(results, stages) if mode == "fast" else None
    if pruning and pruning.escalated:
        rest = np.setdiff1d(results.indices[affected(results)], second.indices)
        again = find_missing(rest, 1.0, phase + 1, len(split) - len(rest))
        results = Results.concatenate([results, second, again])
    results = _merge_phases(results)
    if partial_results and adversarial_examples and processes.rank == 0:
        results = replace(
            results,
            adversarial_examples=partial_results.adversarial_examples(results),
            adversarial_rows=None,
        )
    return Evaluation(results, pruning, time.perf_counter() - start, len(first))


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


def _merge_phases(results: Results) -> Results:
    """Return one row per sample, with the passes of all phases."""
    # An adversarial example stays valid: the row with the smallest critical index counts.
    latest = results.select(np.argsort(-results.critical, kind="stable")).latest()
    place = np.searchsorted(latest.indices, results.indices)

    def total(passes: Integers) -> Integers:
        return np.bincount(place, passes, len(latest)).astype(np.int64)

    return replace(latest, forwards=total(results.forwards), backwards=total(results.backwards))
