"""The exponential average by which a schedule smooths the accuracy of noisy batches."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Self

#: Weight of an average over one time constant: 1 - 1/e.
FULL = -math.expm1(-1)


@dataclass(frozen=True)
class Average:
    """An exponential average without a bias towards its first values.

    Attributes:
        mean: average of the values; one from a time constant ago counts 1/e as much. 0 at first.
        weight: 1 - exp(-time constants covered), from 0 towards 1.
    """

    mean: float = 0.0
    weight: float = 0.0

    @property
    def full(self) -> bool:
        """Whether it covers one time constant."""
        # A sum of many small steps may miss the limit by rounding.
        return self.weight >= FULL - 1e-9

    def add(self, value: float, elapsed: float) -> Self:
        """Return the average after `value` has lasted for `elapsed` time constants."""
        decay = math.exp(-elapsed)
        weight = 1 - decay * (1 - self.weight)
        if weight <= 0:
            return self
        return type(self)(self.mean + (value - self.mean) * (1 - decay) / weight, weight)

    @classmethod
    def of(cls, state: dict[str, Any]) -> Self:
        """Return the average that `state` describes."""
        return cls(state["mean"], state["weight"])

    def state(self) -> dict[str, float]:
        """Return the average as plain values."""
        return asdict(self)
