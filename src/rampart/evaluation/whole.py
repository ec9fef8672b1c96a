"""A whole split through the engine: shared out, written as it goes, rechecked, escalated."""

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
    """Several processes that fraction one evaluation; by default there is one.

    Attributes:
        rank: this process.
        count: how many there are.
        wait: returns when every process has come so far.
        gather: from this process's results to those of all.
    """

    rank: int = 0
    count: int = 1
    wait: Callable[[], None] = lambda: None
    gather: Callable[[Results], Sequence[Results]] = lambda results: [results]


@dataclass(frozen=True)
class Evaluation:
    """What was found on a split.

    Attributes:
        results: of every sample, in their order.
        pruning: what giving runs up did; None in exact mode.
        seconds: wall-clock time of this process, without what an earlier part took.
        resumed: samples that an earlier part had finished.
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
    """Find the critical strength of every sample of a split.

    In fast mode a recheck, and if it asks for it an escalation, are part of it
    (`rampart.evaluation.escalation`). The results depend on neither the rows nor the processes.

    Args:
        model: pixels in [0, 1], (N, C, H, W), to logits.
        split: the samples, each with its number.
        attack: see `rampart.evaluation.critical.stream`.
        grid: (n + 1,) strengths from 0 up.
        seed: of all noise.
        mode: "fast" or "exact".
        batch_size: rows of a batch.
        adversarial_examples: whether the adversarial images are kept: with partial results in a
            file of it, for the first process only, else in memory.
        criterion: when a sample is broken; by default, when it is misclassified.
        partial_results: where results are written as they come, and where those of an interrupted
            evaluation lie.
        phase: of the partial results; this evaluation takes this one and, if it escalates, the
            next.
        processes: several processes that share the work.
        workers: processes that decode images.
        on_progress: called with the number of samples that all processes have done, as far as
            this one knows.

    Raises:
        InvalidArgument: no `Split`; and as `rampart.evaluation.critical.stream`.
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
                # What the partial results keeps need not stay in memory.
                parts.append(part.without_adversarial_examples() if buffer else part)
                if buffer:
                    buffer.add(part, phase)
                if on_progress:
                    done += len(part) * processes.count
                    on_progress(min(done, len(split)))
        return Results.concatenate(processes.gather(Results.concatenate(parts)))

    first = _read(partial_results, phase, numbers)
    second = _read(partial_results, phase + 1, numbers)
    # No process may read what another one has begun to add.
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
            "make one of tensors by Split.of_tensors(images, labels), or of files by "
            "rampart.data.datasets.load_splits",
        )


def _batches(split: Split, numbers: Integers, batch_size: int, workers: int) -> Iterable[Batch]:
    """The images with these numbers; a split cannot be empty, but a fraction of it can."""
    return (
        ordered_batches(having(split, numbers), batch_size, workers=workers) if len(numbers) else ()
    )


def _read(partial_results: PartialResults | None, phase: int, numbers: Integers) -> Results:
    """What an earlier part of the evaluation has found of these samples in a phase."""
    if partial_results is None:
        return Results.empty()
    known = partial_results.read(phase, adversarial_examples=False)
    return known.select(np.isin(known.indices, numbers))


def _merge_phases(results: Results) -> Results:
    """The last word on every sample, with the passes of all phases."""
    # A break that was found stays found: of a sample's rows the smallest critical index counts.
    latest = results.select(np.argsort(-results.critical, kind="stable")).latest()
    place = np.searchsorted(latest.indices, results.indices)

    def total(passes: Integers) -> Integers:
        return np.bincount(place, passes, len(latest)).astype(np.int64)

    return replace(latest, forwards=total(results.forwards), backwards=total(results.backwards))
