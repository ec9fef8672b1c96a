"""Intervals over both seeds and samples, for several seeds of one method on the same samples.

The value Y_si of sample i under seed s follows a model of two-way random effects without
interaction beyond the residual (Searle, Casella and McCulloch 1992, chapter 4):

    Y_si = mu + a_s + b_i + e_si,  Var(mean) = var_a / S + var_b / N + var_e / (S N).

An interval over seeds alone ignores the choice of test samples; one over samples alone ignores
the seed. For two methods pass the difference of their tables: the effects of common samples and
common seeds then cancel.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from rampart.errors import InvalidArgument
from rampart.metrics.curve import Floats
from rampart.metrics.intervals import CONFIDENCE, Interval, check_confidence


def hierarchical_interval(table: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Return an interval for the mean over all seeds and all samples, in closed form.

    The estimated variance of the mean is (A + B) / (S N), with A = max(MS_seed - MS_rest, 0), the
    part of the seeds, and B = max(MS_sample, MS_rest). The quantile is Cochran's (1964) mean of
    Student's quantiles with S - 1 and with N - 1 degrees of freedom, weighted by A and B: if seeds
    matter it is close to that of S seeds, otherwise to that of N samples.

    In simulations at a confidence of 95 % it covered 93 to 97 % with 4 seeds or more, down to 91 %
    with 3 seeds, and down to 87 % with 2.

    Args:
        table: (S, N) values, such as contributions to expected robustness, S and N at least 2;
            columns are the same samples in every row. For two methods, the difference of their
            tables.
        confidence: confidence of the interval, such as 0.95.

    Raises:
        InvalidArgument: another shape, NaN or infinity.
    """
    values = _table(table)
    seeds, samples = values.shape
    between_seeds, between_samples, rest = _mean_squares(values)
    added, base = max(between_seeds - rest, 0.0), max(between_samples, rest)
    mean, tail = float(values.mean()), (1 + check_confidence(confidence)) / 2
    if added + base == 0:
        return Interval(mean, mean, confidence, "two-way")
    few, many = (float(stats.t.ppf(tail, n - 1)) for n in (seeds, samples))
    quantile = (added * few + base * many) / (added + base)
    margin = quantile * float(np.sqrt((added + base) / values.size))
    return Interval(mean - margin, mean + margin, confidence, "two-way")


def _mean_squares(values: Floats) -> tuple[float, float, float]:
    """The mean squares of seeds, samples and the rest."""
    seeds, samples = values.shape
    mean, rows, columns = values.mean(), values.mean(axis=1), values.mean(axis=0)
    rest = values - rows[:, None] - columns + mean
    return (
        float(samples * rows.var(ddof=1)),
        float(seeds * columns.var(ddof=1)),
        float((rest**2).sum() / ((seeds - 1) * (samples - 1))),
    )


def _table(table: ArrayLike) -> Floats:
    values = np.asarray(table, dtype=np.float64)
    if values.ndim != 2 or min(values.shape) < 2:
        raise InvalidArgument("table", f"shape {values.shape}", "(S, N): 2 or more seeds, samples")
    if not np.isfinite(values).all():
        raise InvalidArgument("table", "NaN or infinity", "finite numbers")
    return values
