"""A strength drawn anew for every epoch."""

import hashlib
import math
from dataclasses import dataclass

from rampart.schedules.base import SCHEDULES, Schedule, State
from rampart.schedules.times import TimeUnit


def draw(seed: int, epoch: int) -> float:
    """Return a number, uniform in [0, 1), that depends on (seed, epoch) alone.

    A hash rather than a generator: the same on every platform and in every library version.
    """
    digest = hashlib.blake2b(f"uniform schedule/{seed}/{epoch}".encode(), digest_size=8).digest()
    # 53 bits are what a float holds, so that 1.0 cannot come out by rounding.
    return (int.from_bytes(digest, "big") >> 11) * 2.0**-53


@SCHEDULES.register("uniform")
@dataclass(frozen=True)
class RandomUniform(Schedule):
    """One draw alpha ~ U[0, 1) per epoch, a single-sample estimate of the expected robustness.

    Published as still suffering suboptimal transfer (arXiv 2509.23325, ablations). A draw depends
    on (seed, epoch) alone, so a resumed run repeats it; it stays the same within an epoch.

    Attributes:
        seed: of the draws.
    """

    seed: int = 0

    @property
    def unit(self) -> TimeUnit:
        """Epochs: t and T are passed in epochs."""
        return "epoch"

    def _alpha(self, t: float, T: float, _state: State | None, /) -> float:
        return draw(self.seed, min(math.floor(t), math.ceil(T) - 1))
