"""The recheck of fast mode: which images are attacked in full, and which errors that excludes.

An image that gave runs up may withstand less than it seems to. It then contributes less to expected
robustness, by at most its contribution h_i. The recheck draws each such image by itself, with the
probability

    p_i = 1 - exp(-rate h_i),

and attacks it in full. No image of a set is drawn with the probability exp(-rate H), where H is the
sum of its contributions, whichever images these are. The accuracy at the largest strength is
covered too, because an image that is robust there has h_i = 1.

Look k = 0, 1, 2 accepts fast mode if at most k of the drawn images are wrong. With an error above
`largest_error` on n images, few of the wrong ones are drawn most often if their contributions are
largest: D = floor(n largest_error) images with h_i = 1. So the rate of look k solves
P(Binomial(D, 1 - exp(-rate)) <= k) = `CHANCES[k]`. The draw of a look contains those before it, and
the chances of all looks add up to 1 - `CONFIDENCE`.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats

from rampart.attacks.stages import Stage
from rampart.evaluation.engine.pruning import SHORT
from rampart.evaluation.results import Booleans, Results
from rampart.metrics.curve import Floats, Integers
from rampart.metrics.expectation import contributions
from rampart.runtime import Noise

#: Confidence with which an error above the stated size is excluded.
CONFIDENCE = 0.95
#: The chance that look k accepts an error above the stated size.
CHANCES = (0.04, 0.0075, 0.0025)
#: Fewest images that the first look draws, if so many gave a run up.
FEWEST = 6
#: Largest error that a recheck may be asked to exclude.
LARGEST = 0.2
#: Pruning does not pay where the recheck would draw more than this fraction of the images that
#: withstand every strength.
FRACTION = 0.5


def default_error(n: int) -> float:
    """Return the largest error that may go unnoticed among n images, sqrt(2 / n), at most 0.2.

    The widest 95 % interval of the difference between two models, each measured on n images of its
    own, reaches so far to each side.

    Example:
        >>> default_error(200)
        0.1
    """
    return min(math.sqrt(2 / max(n, 1)), LARGEST)


@dataclass(frozen=True)
class Plan:
    """The recheck of an evaluation.

    Attributes:
        n: number of images of the evaluation.
        largest_error: the error of expected robustness, and of accuracy at the largest strength,
            above which the recheck notices it.
    """

    n: int
    largest_error: float

    @property
    def rates(self) -> list[float]:
        """The rate of each look, ascending; empty if the size asks for every image."""
        fewest_wrong = math.floor(self.n * self.largest_error * (1 + 1e-12))
        chosen = [
            float(stats.beta.ppf(1 - chance, allowed + 1, fewest_wrong - allowed))
            for allowed, chance in enumerate(CHANCES)
            if fewest_wrong > allowed
        ]
        return [-math.log1p(-p) for p in chosen]

    def pays(self, stages: Sequence[Stage]) -> bool:
        """Return whether pruning and this recheck cost less than attacking every image in full.

        In short runs pruning saves about a fifth, less than the recheck costs.
        """
        long = any(stage.algorithm.steps >= SHORT for stage in stages)
        return long and any(1 - math.exp(-rate) <= FRACTION for rate in self.rates[:1])

    def draws(self, fast: Results, grid: Sequence[float], seed: int) -> Iterator[Booleans]:
        """Yield the (N,) rows that each look draws among the images that gave a run up.

        Where a look would draw more than half of them, it draws them all and is the last.

        Args:
            fast: results of a pass with pruning, one row per image.
            grid: ascending strengths from 0.
            seed: of the evaluation.
        """
        gave_up = fast.pruned > 0
        tickets = np.where(gave_up, _tickets(fast, grid, seed), np.inf)
        fewest = np.sort(tickets)[min(FEWEST, len(tickets)) - 1 :][:1].max(initial=0.0)
        for rate in self.rates:
            drawn = gave_up & (tickets <= max(rate, fewest))
            if 2 * drawn.sum() > gave_up.sum():
                yield gave_up
                return
            yield drawn


def _tickets(fast: Results, grid: Sequence[float], seed: int) -> Floats:
    """Return the (N,) rates from which each image is drawn, by its own number alone."""
    indices: Integers = fast.indices
    uniform = Noise.of(seed, torch.from_numpy(indices.copy()), "critical").child("audit").uniform(1)
    size = contributions(fast.critical, grid)
    waiting: Floats = -np.log1p(-uniform[:, 0].double().numpy())
    return np.divide(waiting, size, out=np.full(len(size), np.inf), where=size > 0)
