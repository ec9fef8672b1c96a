"""A random strength for every epoch."""

import hashlib
import math
from dataclasses import dataclass

from rampart.schedules.base import SCHEDULES, Schedule, State
from rampart.schedules.times import TimeUnit


def draw(seed: int, epoch: int) -> float:
    """Return a uniform number in [0, 1) that depends on (seed, epoch) alone.

    It is a hash, so it is the same on every platform and in every library version.
    """
    digest = hashlib.blake2b(f"uniform schedule/{seed}/{epoch}".encode(), digest_size=8).digest()
    # A float holds 53 bits; with more the result could round to 1.0.
    return (int.from_bytes(digest, "big") >> 11) * 2.0**-53


@SCHEDULES.register("uniform")
@dataclass(frozen=True)
class RandomUniform(Schedule):
    """One random strength per epoch, which estimates the expected robustness by one sample.

        alpha(t) = u_e   for e <= t < e + 1, with u_e ~ U[0, 1) from (seed, e)

    The publication still finds suboptimal transfer with it (arXiv 2509.23325, ablations). A resumed
    run repeats the draws.

        >>> [round(RandomUniform(seed=0).alpha(t, 50), 3) for t in (0, 1, 2)]
        [0.713, 0.943, 0.077]

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
