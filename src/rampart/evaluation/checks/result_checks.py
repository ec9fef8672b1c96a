"""Checks of an evaluation's results: numpy arrays only, no model.

Two runs of an attack differ by chance on a few samples. A difference of paired counts, b samples
one way and c the other, counts as noise up to z · sqrt(b + c) (McNemar 1947).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from rampart.counting import counted
from rampart.errors import InvalidArgument
from rampart.evaluation.checks.class_order import Predicted
from rampart.evaluation.checks.clean import check_clean
from rampart.evaluation.checks.extra_outputs import check_extra_outputs
from rampart.evaluation.checks.verdict import Verdict, passed, skipped
from rampart.metrics.curve import Integers, check_critical
from rampart.metrics.intervals import CONFIDENCE

#: The checks of `check_results`, in the order of its verdicts.
RESULT_CHECKS = ("finite", "classes", "clean", "black-box", "fab", "pruning", "monotone", "rerun")
#: Largest fractions of the correct samples on which Square, and FAB, may succeed after APGD has
#: failed; above them the check warns, and fails.
SQUARE_LIMITS, FAB_LIMITS = (0.01, 0.05), (0.03, 0.1)
#: Smallest number of lowered samples that these checks report.
LEAST = 2
#: Largest fraction of the rechecked samples whose critical strength pruning may have left too high;
#: above it the check warns, or fails.
PRUNED_WARN, PRUNED_FAIL = 0.02, 0.1
#: Upper bound of that fraction above which rechecked samples without a fault show nothing: with
#: four of them, half of all samples may be wrong.
UNKNOWN = 0.5
#: Standard deviations above which a paired difference is a warning, and a failure; and the
#: difference that is always allowed.
LIKELY, SURE, ALLOWED = 2.0, 3.0, 0.003

Booleans = NDArray[np.bool_]


def check_results(
    critical: ArrayLike,
    stage: ArrayLike,
    before_recheck: ArrayLike,
    rechecked: ArrayLike,
    stage_names: Sequence[str],
    n_strengths: int,
    per_strength: Mapping[int, ArrayLike] | None = None,
    *,
    rows: ArrayLike | None = None,
    chance: float | None = None,
    predicted: Predicted | None = None,
    pruned: ArrayLike | None = None,
    excluded: float | None = None,
    finite: ArrayLike | None = None,
    ids: Sequence[str] | None = None,
) -> list[Verdict]:
    """Return one verdict for each check of `RESULT_CHECKS`.

    Args:
        critical: (N,) critical indices in 0..n + 1.
        stage: (N,) index of the stage that set them; -1 if none did.
        before_recheck: (N,) critical indices before pruned runs were repeated in full.
        rechecked: (N,) bool, whether they were.
        stage_names: the stages of the attack suite; "square" is the black-box attack, "fab-t" and
            "fab" are FAB.
        n_strengths: n, the index of the last strength.
        per_strength: from strength indices k to (M,) bool: whether a sample is robust in an
            independent run at that strength alone.
        rows: (M,) the rows of the samples in those runs; by default all.
        chance: accuracy of the best constant prediction, on all images from which the samples were
            drawn.
        predicted: the predictions without an attack, which show another order of the classes and
            outputs of no class.
        pruned: (N,) number of pruned runs that were not repeated in full.
        excluded: an error of pruning above this is excluded, as a recheck of a stated power found
            (`rampart.evaluation.recheck`); None if there was none.
        finite: (N,) bool, whether the logits are all finite, at the image and at its adversarial
            example.
        ids: (N,) names of the samples, for the messages.

    Raises:
        InvalidArgument: arrays have wrong lengths, or indices are out of range.
    """
    indices = check_critical(critical, n_strengths)
    stages = _column("stage", stage, len(indices)).astype(np.int64)
    before = check_critical(_column("before_recheck", before_recheck, len(indices)), n_strengths)
    chosen = _column("rechecked", rechecked, len(indices)).astype(bool)
    names = _names(stages, stage_names)
    own = indices if rows is None else indices[np.asarray(rows)]
    robust = {
        k: _column(f"per_strength[{k}]", v, len(own)) > 0 for k, v in _sort_strengths(per_strength)
    }
    return [
        _finite(indices, finite, ids),
        check_extra_outputs(predicted),
        check_clean(indices, chance, predicted),
        _black_box(indices, names, stage_names),
        _fab(indices, names, stage_names),
        _pruning(indices, before, chosen, _count_left(pruned), excluded),
        _monotone({0: own > 0, **robust}),
        _rerun({k: (own > k, found) for k, found in robust.items()}),
    ]


def _sort_strengths(per_strength: Mapping[int, ArrayLike] | None) -> list[tuple[int, ArrayLike]]:
    return sorted((per_strength or {}).items())


def _column(name: str, values: ArrayLike, n: int) -> NDArray[Any]:
    column = np.asarray(values)
    if column.shape != (n,):
        raise InvalidArgument(name, f"shape {column.shape}", f"({n},), one for each sample")
    return column


def _names(stages: Integers, stage_names: Sequence[str]) -> NDArray[np.str_]:
    """Return the (N,) names of the stages that set the critical strengths, "" if none did."""
    known = np.array([*stage_names, ""])
    if len(stages) and not -1 <= stages.min() <= stages.max() < len(stage_names):
        raise InvalidArgument("stage", f"{stages.max()}", f"an index into {list(stage_names)}")
    return known[stages]


def _finite(critical: Integers, finite: ArrayLike | None, ids: Sequence[str] | None) -> Verdict:
    """Check whether the logits are finite at every image and at every adversarial example."""
    if finite is None:
        return skipped("finite", "the logits are unknown.")
    missing = ~_column("finite", finite, len(critical)).astype(bool)
    if not missing.any():
        return passed("finite", 0.0, 0.0, "every logit is finite.")
    clean = int((missing & (critical == 0)).sum())
    first = int(missing.argmax())
    name = ids[first] if ids is not None else f"sample {first}"
    return Verdict(
        "finite",
        "fail" if clean else "warn",
        float(missing.mean()),
        0.0,
        f"logits are NaN or infinite for {counted(clean, 'clean image')} and "
        f"{counted(int(missing.sum()) - clean, 'adversarial example')} of "
        f"{counted(len(critical), 'sample')}, the first of them {name}. They count as "
        "misclassified; find the overflow, or the division or root of 0.",
    )


def _black_box(critical: Integers, names: NDArray[np.str_], stages: Sequence[str]) -> Verdict:
    """Check the fraction of samples on which Square succeeded after gradient attacks failed."""
    if not _follows(stages, "square"):
        return skipped("black-box", "no black-box attack followed gradient attacks.")
    good = "the black-box attack adds almost nothing to gradient attacks."
    bad = "after every gradient attack had failed, so gradients are masked"
    count = _count_lowered(names, "square")
    return _judge_late("black-box", "Square", count, critical, SQUARE_LIMITS, good, bad)


def _fab(critical: Integers, names: NDArray[np.str_], stages: Sequence[str]) -> Verdict:
    """Check the fraction of samples on which FAB succeeded after APGD; a few are normal."""
    if not _follows(stages, "fab"):
        return skipped("fab", "FAB did not follow another gradient attack.")
    good = "FAB adds almost nothing to APGD."
    bad = "after APGD had failed, so the gradients of APGD's losses mislead it"
    return _judge_late("fab", "FAB", _count_lowered(names, "fab"), critical, FAB_LIMITS, good, bad)


def _count_lowered(names: NDArray[np.str_], stem: str) -> int:
    """Return the number of samples lowered by these stages."""
    return int(np.char.startswith(names, stem).sum())


def _judge_late(
    check: str,
    attack: str,
    count: int,
    critical: Integers,
    limits: tuple[float, float],
    good: str,
    bad: str,
) -> Verdict:
    """Judge the fraction of the correct samples that an attack lowered after others had failed."""
    value, (warn, fail) = count / max(int((critical > 0).sum()), 1), limits
    if count < LEAST or value <= warn:
        return passed(check, value, warn, good)
    failed = value > fail
    return Verdict(
        check,
        "fail" if failed else "warn",
        value,
        fail if failed else warn,
        f"{attack} succeeded on {100 * value:.1f} % of the correct samples {bad} and robust "
        "accuracy may be lower still; use evaluation.mode=exact, and attack the model without the "
        "part that masks the gradients.",
    )


def _follows(stages: Sequence[str], stem: str) -> bool:
    """Return whether a stage with this name comes after a gradient attack other than FAB."""
    gradient = [k for k, name in enumerate(stages) if not name.startswith(("square", "fab"))]
    last = [k for k, name in enumerate(stages) if name.startswith(stem)]
    return bool(gradient and last and gradient[0] < last[-1])


def _count_left(pruned: ArrayLike | None) -> int | None:
    """Return the number of samples with pruned runs; None if unknown."""
    return None if pruned is None else int((np.asarray(pruned) > 0).sum())


def _pruning(
    critical: Integers,
    before: Integers,
    rechecked: Booleans,
    left: int | None,
    excluded: float | None,
) -> Verdict:
    """Check the fraction of rechecked samples that pruning had left too high.

    `left` is the number of samples whose pruned runs remain in the end; without any, pruning did no
    harm; None if unknown. A recheck of a stated power says what it excludes. Otherwise the message
    gives an upper bound over all samples (Clopper & Pearson 1934, one-sided).
    """
    n = int(rechecked.sum())
    if not n:
        if not left:
            return skipped("pruning", "no run was pruned, or no pruned run was repeated in full.")
        message = (
            "runs were pruned and none was repeated in full, so the effect of pruning is unknown; "
            "use more images, or evaluation.mode=exact."
        )
        return Verdict("pruning", "warn", None, PRUNED_WARN, message)
    lowered = int((critical < before)[rechecked].sum())
    value = lowered / n
    if left == 0:
        message = "every pruned run was repeated in full, so pruning changed nothing."
        return passed("pruning", value, PRUNED_WARN, message)
    if left and excluded is not None:
        message = (
            f"errors above {100 * excluded:.1f} points, in expected robustness and in accuracy at "
            f"the largest strength, are excluded with 95 % confidence: {n} of "
            f"{counted(n + left, 'image')} that gave runs up were attacked in full, and {lowered} "
            "withstand less."
        )
        return passed("pruning", value, None, message)
    bound = float(stats.beta.ppf(CONFIDENCE, lowered + 1, n - lowered)) if lowered < n else 1.0
    seen = f"pruning left the critical strength too high for {lowered} of {n} rechecked samples"
    known = f"and with 95 % confidence for at most {100 * bound:.1f} % of all"
    if not lowered and bound > UNKNOWN:
        few = f"{seen}, {known}, which excludes too little to judge"
        return skipped("pruning", f"{few}; use more images, or evaluation.mode=exact.")
    if value <= PRUNED_WARN:
        return passed("pruning", value, PRUNED_WARN, f"{seen}, {known}.")
    failed = value > PRUNED_FAIL
    return Verdict(
        "pruning",
        "fail" if failed else "warn",
        value,
        PRUNED_FAIL if failed else PRUNED_WARN,
        f"{seen}, {known}, so robust accuracy is overrated; use evaluation.mode=exact.",
    )


def _monotone(robust: Mapping[int, Booleans]) -> Verdict:
    """Check whether accuracy rises between any two strengths in independent runs."""
    if len(robust) < 2:
        return skipped("monotone", "no independent runs at single strengths.")
    grid_indices = list(robust)
    pairs = [(j, k) for place, j in enumerate(grid_indices) for k in grid_indices[place + 1 :]]
    found = [(*_difference(robust[k], robust[j], SURE), j, k) for j, k in pairs]
    value, limit, low, high = max(found, key=_excess)
    if value <= limit:
        message = "accuracy does not rise with strength, beyond noise."
        return passed("monotone", value, limit, message)
    return Verdict(
        "monotone",
        "fail",
        value,
        limit,
        f"accuracy is {100 * value:.1f} points higher at strength {high} of the grid than at "
        f"{low}, which is impossible with a working attack; the attack fails at larger strengths.",
    )


def _rerun(pairs: Mapping[int, tuple[Booleans, Booleans]]) -> Verdict:
    """Check whether independent runs succeed more often than the evaluation, at any strength."""
    if not pairs:
        return skipped("rerun", "no independent runs at single strengths.")
    found = [(*_difference(ours, alone, LIKELY), k) for k, (ours, alone) in pairs.items()]
    value, limit, grid_index = max(found, key=_excess)
    if value <= max(limit, ALLOWED):
        message = "independent runs at single strengths agree with the evaluation, up to noise."
        return passed("rerun", value, max(limit, ALLOWED), message)
    failed = value > SURE / LIKELY * limit
    return Verdict(
        "rerun",
        "fail" if failed else "warn",
        value,
        SURE / LIKELY * limit if failed else limit,
        f"in an independent run at strength {grid_index} of the grid, robust accuracy is "
        f"{100 * value:.1f} points lower, so the evaluation overrates it; use "
        "evaluation.mode=exact.",
    )


def _excess(found: tuple[float, ...]) -> float:
    """Return the excess of a difference, the first entry, over its noise, the second one."""
    return found[0] - found[1]


def _difference(first: Booleans, second: Booleans, deviations: float) -> tuple[float, float]:
    """Return mean(first) - mean(second) over the same samples, and its noise."""
    won, lost = int((first & ~second).sum()), int((~first & second).sum())
    n = max(len(first), 1)
    return (won - lost) / n, deviations * (won + lost) ** 0.5 / n
