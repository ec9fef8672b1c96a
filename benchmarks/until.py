"""Coverage and cost of `evaluation.until`: how often its interval covers, and for how many images.

    python -m benchmarks.until [RUNS]

Each row is a made-up population of contributions to expected robustness and a precision, the half
width of the interval. The columns are, for each rule, the fraction of the runs whose interval
covers the true mean at the stop, and the mean number of images. That number is divided by the
smallest one for which the interval of a fixed size is as narrow in this population:

- rule: `rampart.metrics.sequential`, used by `evaluation.until`;
- plain: the same looks with the interval of a fixed size;
- spending: at sizes that double, the error of look k is 1 / (k (k + 1)) of the whole, so that the
  intervals hold at all looks together (Lan and DeMets 1983, Biometrika 70; Bonferroni);
- bernstein and betting: the predictable plug-in empirical Bernstein and the hedged capital
  confidence sequences of Waudby-Smith and Ramdas (2024, JRSS B 86, arXiv 2010.09686), at the looks
  of the rule.
"""

import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rampart.metrics.intervals import Interval, score_interval
from rampart.metrics.planning import samples_needed
from rampart.metrics.sequential import Until, sequential_interval

Floats = NDArray[np.float64]
ERROR = 0.05
#: Means that the betting confidence sequence tests.
MEANS = np.linspace(0.0005, 0.9995, 1000)


def curve(clean_wrong: float, robust: float, cells: int = 8) -> tuple[Floats, Floats]:
    """Return values and probabilities: critical strengths uniform over the cells in between."""
    values = np.concatenate([[0], (np.arange(cells) + 0.5) / cells, [1]])
    rest = (1 - clean_wrong - robust) / cells
    return values, np.array([clean_wrong, *[rest] * cells, robust])


def pair(low: float, high: float, share: float) -> tuple[Floats, Floats]:
    """Return values and probabilities of two values, the first with this share."""
    return np.array([low, high]), np.array([share, 1 - share])


POPULATIONS = {
    "curve, clean 90 %, robust 30 %": curve(0.1, 0.3),
    "curve, clean 70 %, robust 10 %": curve(0.3, 0.1),
    "curve, clean 95 %, robust 0 %": curve(0.05, 0.0),
    "curve, clean 10 %, robust 2 %": curve(0.9, 0.02),
    "half robust, half wrong": pair(0, 1, 0.5),
    "5 % robust, others wrong": pair(0, 1, 0.95),
    "2 % wrong, others break at the last strength": pair(0, 0.9375, 0.02),
}


def stop_plain(values: Floats, half_width: float) -> tuple[int, Interval]:
    """Return the size and the interval of a fixed size at the first narrow look."""
    return _first(values, half_width, Until(half_width).sizes(len(values)), lambda look: ERROR)


def stop_spending(values: Floats, half_width: float) -> tuple[int, Interval]:
    """Return the size and the interval with an error that is spent over doubling looks."""
    sizes = [size for k in range(20) if (size := 50 * 2**k) < len(values)]
    return _first(values, half_width, sizes, lambda look: ERROR / (look * (look + 1)))


def _first(
    values: Floats, half_width: float, sizes: list[int], error: Callable[[int], float]
) -> tuple[int, Interval]:
    for look, size in enumerate(sizes, start=1):
        part = values[:size]
        found = score_interval(float(part.mean()), float(part.std()), size, 1 - error(look))
        if found.high - found.low <= 2 * half_width:
            break
    return size, found


def stop_rule(values: Floats, half_width: float) -> tuple[int, Interval]:
    """Return the size and the interval of the rule."""
    size = Until(half_width).stop(values) or len(values)
    return size, sequential_interval(values[:size])


def _bets(values: Floats) -> tuple[Floats, Floats]:
    """Return (bets, means before each value) of the plug-in of Waudby-Smith and Ramdas."""
    steps = np.arange(1, len(values) + 1)
    means = (0.5 + np.cumsum(values)) / (steps + 1)
    variances = (0.25 + np.cumsum((values - means) ** 2)) / (steps + 1)
    before = np.concatenate([[0.25], variances[:-1]])
    bets = np.sqrt(2 * np.log(2 / ERROR) / (before * steps * np.log(1 + steps)))
    return bets, np.concatenate([[0.5], means[:-1]])


def stop_bernstein(values: Floats, half_width: float) -> tuple[int, Interval]:
    """Return the size and the interval of the empirical Bernstein confidence sequence."""
    bets, before = _bets(values)
    bets = np.minimum(bets, 0.5)
    total = np.cumsum(bets)
    spread = np.cumsum((values - before) ** 2 * (-np.log1p(-bets) - bets))
    center, half = np.cumsum(bets * values) / total, (np.log(2 / ERROR) + spread) / total
    sizes = Until(half_width).sizes(len(values))
    size = next((size for size in sizes if half[size - 1] <= half_width), len(values))
    return size, Interval(center[size - 1] - half[size - 1], center[size - 1] + half[size - 1])


def stop_betting(values: Floats, half_width: float) -> tuple[int, Interval]:
    """Return the size and the interval of the hedged capital confidence sequence."""
    bets, _ = _bets(values)
    up, down, done = np.zeros_like(MEANS), np.zeros_like(MEANS), 0
    for size in Until(half_width).sizes(len(values)):
        part, own = values[done:size, None], bets[done:size, None]
        up += np.log1p(np.minimum(own, 0.5 / MEANS) * (part - MEANS)).sum(0)
        down += np.log1p(-np.minimum(own, 0.5 / (1 - MEANS)) * (part - MEANS)).sum(0)
        kept, done = MEANS[np.maximum(up, down) < np.log(2 / ERROR)], size
        if kept[-1] - kept[0] <= 2 * half_width:
            break
    return size, Interval(float(kept[0]), float(kept[-1]))


RULES = {
    "rule": (stop_rule, 1),
    "plain": (stop_plain, 1),
    "spending": (stop_spending, 4),
    "bernstein": (stop_bernstein, 10),
    "betting": (stop_betting, 40),
}


def main(runs: int) -> None:
    """Print a table, one row per population and precision."""
    print("| population | precision | images |", " | ".join(RULES), "|")
    print("|---|---|---|" + "---|" * len(RULES))
    for half_width in (0.05, 0.02):
        for name, (values, shares) in POPULATIONS.items():
            mean = float(values @ shares)
            deviation = float(np.sqrt((values - mean) ** 2 @ shares))
            needed = samples_needed(half_width, mean, deviation)
            cells = []
            for stop, fewer in RULES.values():
                rng, hits, sizes = np.random.default_rng(0), [], []
                for _ in range(max(10, runs // fewer)):
                    drawn = rng.choice(values, size=8 * needed + int(8 / half_width), p=shares)
                    size, found = stop(drawn, half_width)
                    hits.append(found.low - 1e-12 <= mean <= found.high + 1e-12)
                    sizes.append(size)
                cells.append(f"{100 * np.mean(hits):.1f} %, {np.mean(sizes) / needed:.2f}")
            print(
                f"| {name} | {100 * half_width:g} % | {needed} |",
                " | ".join(cells),
                "|",
                flush=True,
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
