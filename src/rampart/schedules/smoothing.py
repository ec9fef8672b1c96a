"""A running mean that forgets: what a schedule reads from noisy batches."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Self

#: Weight of an average that has seen one time constant: 1 - 1/e.
FULL = -math.expm1(-1)


@dataclass(frozen=True)
class Average:
    """An exponential average, not biased towards its beginning.

    Attributes:
        mean: of what was added, what lies a time constant back counting 1/e as much; 0 at first.
        weight: fraction of an endless past that it has seen, from 0 towards 1.
    """

    mean: float = 0.0
    weight: float = 0.0

    @property
    def full(self) -> bool:
        """Whether it has seen one time constant."""
        # A sum of many small steps may miss the mark by rounding.
        return self.weight >= FULL - 1e-9

    def add(self, value: float, elapsed: float) -> Self:
        """Return the average after `value` held for `elapsed` time constants."""
        kept = math.exp(-elapsed)
        weight = 1 - kept * (1 - self.weight)
        if weight <= 0:
            return self
        return type(self)(self.mean + (value - self.mean) * (1 - kept) / weight, weight)

    @classmethod
    def of(cls, state: dict[str, Any]) -> Self:
        """Return the average that `state()` was taken of."""
        return cls(state["mean"], state["weight"])

    def state(self) -> dict[str, float]:
        """Return plain values."""
        return asdict(self)
