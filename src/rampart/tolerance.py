"""Compare distances with strengths, up to rounding.

x + eps - x may differ from eps by an ulp per pixel, and distances are summed in single precision,
so a point of a ball may seem to lie slightly outside it. Each function takes numbers, NumPy arrays
or tensors.
"""

from typing import Any

#: Allowed rounding error of a distance: relative to the strength, and absolute.
RELATIVE, ABSOLUTE = 1e-5, 1e-6


def within(distance: Any, eps: Any) -> Any:
    """Return whether a distance is at most `eps`; False for nan."""
    return distance <= eps * (1 + RELATIVE) + ABSOLUTE


def below(distance: Any, eps: Any) -> Any:
    """Return whether a distance is less than `eps` by more than rounding; False for nan."""
    return distance < eps * (1 - RELATIVE) - ABSOLUTE


def same(distance: Any, expected: Any) -> Any:
    """Return whether two distances are equal up to rounding; False for nan."""
    return abs(distance - expected) <= expected * RELATIVE + ABSOLUTE


def least_eps(distance: Any) -> Any:
    """Return the least strength that a distance is `within`; negative for distances near 0."""
    return (distance - ABSOLUTE) / (1 + RELATIVE)
