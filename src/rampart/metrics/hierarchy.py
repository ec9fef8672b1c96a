"""Intervals over both seeds and samples, for several seeds of one method on the same samples.

The value Y_si of sample i under seed s follows a model of two-way random effects:

    Y_si = mu + a_s + b_i + e_si,  Var(mean) = var_a / S + var_b / N + var_e / (S N).

Student's interval over the means of the seeds covers a and e, but not the choice of the samples: b
is the same in every seed. An interval over the means of the samples covers b and e, but not a. The
two margins m are added in quadrature, on each side apart (MOVER; Zou and Donner 2008, Statistics in
Medicine 27):

    m = sqrt(m_seeds^2 + m_samples^2).

So the interval is never narrower than one of the two. With normal effects and Student's margins it
covers at least as often as each of them: m^2 is a mean of t^2 s^2 / (true variance), weighted by
the parts of the variance, and the probability that a normal mean lies within m is concave in m^2
(Banerjee 1960, Sankhya 22). It counts var_e / (S N) twice, which errs to the wide side.

For two methods the differences take the place of the values: the effects of common samples and
common seeds then cancel.
"""

from math import hypot

import numpy as np
from numpy.typing import ArrayLike

from rampart.errors import InvalidArgument
from rampart.metrics.curve import Floats
from rampart.metrics.intervals import (
    CONFIDENCE,
    LEAST_SEEDS,
    Interval,
    mean_interval,
    seeds_interval,
)
from rampart.metrics.pairs import paired_interval


def hierarchical_interval(table: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Return an interval for the mean over all seeds and all samples.

    It combines Student's interval over the means of the seeds with the `mean_interval` over the
    means of the samples, and is cut to [0, 1].

    In simulations of zeros and ones at a confidence of 95 % it covered 95 to 100 % with 3, 5 and 10
    seeds and 50 samples or more.

    Args:
        table: (S, N) values in [0, 1], such as contributions to expected robustness, S >= 3; the
            columns are the same samples in every row.
        confidence: confidence of the interval, such as 0.95.

    Raises:
        InvalidArgument: another shape, fewer than `LEAST_SEEDS` seeds, or values outside [0, 1].
    """
    values = _table(table, "table")
    samples = mean_interval(_sample_means(values), confidence)
    return _combined(values.mean(axis=1), samples, 0.0)


def hierarchical_difference(
    first: ArrayLike, second: ArrayLike, confidence: float = CONFIDENCE
) -> Interval:
    """Return an interval for the mean of first - second over all seeds and all samples.

    Args:
        first: (S, N) values in [0, 1] of one method, as in `hierarchical_interval`.
        second: (S, N) values of the other, for the same seeds and the same samples.
        confidence: confidence of the interval, such as 0.95.

    Returns:
        An interval in [-1, 1].

    Raises:
        InvalidArgument: as `hierarchical_interval`, or different shapes.
    """
    ours, theirs = _table(first, "first"), _table(second, "second")
    if ours.shape != theirs.shape:
        raise InvalidArgument("second", f"shape {theirs.shape}", f"{ours.shape}, as of first")
    samples = paired_interval(_sample_means(ours), _sample_means(theirs), confidence)
    return _combined((ours - theirs).mean(axis=1), samples, -1.0)


def _combined(seed_means: Floats, samples: Interval, least: float) -> Interval:
    """Add the margins over seeds and over samples in quadrature; cut the ends to [least, 1]."""
    mean, seeds = float(seed_means.mean()), seeds_interval(seed_means, samples.confidence)
    low = mean - hypot(mean - seeds.low, mean - samples.low)
    high = mean + hypot(seeds.high - mean, samples.high - mean)
    return Interval(max(least, low), min(1.0, high), samples.confidence, "seeds and samples")


def _sample_means(values: Floats) -> Floats:
    """(N,) means over the seeds; rounding must not put them outside [0, 1]."""
    means: Floats = np.clip(values.mean(axis=0), 0.0, 1.0)
    return means


def _table(table: ArrayLike, name: str) -> Floats:
    values = np.asarray(table, dtype=np.float64)
    if values.ndim != 2 or len(values) < LEAST_SEEDS or not values.shape[1]:
        expected = f"(S, N): {LEAST_SEEDS} or more seeds, and samples"
        raise InvalidArgument(name, f"shape {values.shape}", expected)
    # Also refuses NaN.
    if not ((values >= 0) & (values <= 1)).all():
        raise InvalidArgument(name, "others", "fractions in [0, 1]")
    return values
