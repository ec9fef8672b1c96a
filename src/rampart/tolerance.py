"""Distances compared with strengths, but for rounding.

x + eps - x may differ from eps by an ulp per pixel, and distances are summed in single precision:
a point of a ball may seem to lie a little outside it. Each function takes numbers, NumPy arrays or
tensors.
"""

from typing import Any

#: How far rounding may take a distance, relative to the strength and beside it.
RELATIVE, ABSOLUTE = 1e-5, 1e-6


def within(distance: Any, eps: Any) -> Any:
    """Return whether a distance is at most `eps`; False for nan."""
    return distance <= eps * (1 + RELATIVE) + ABSOLUTE


def below(distance: Any, eps: Any) -> Any:
    """Return whether a distance is less than `eps` by more than rounding; False for nan."""
    return distance < eps * (1 - RELATIVE) - ABSOLUTE


def same(distance: Any, expected: Any) -> Any:
    """Return whether two distances are equal; False for nan."""
    return abs(distance - expected) <= expected * RELATIVE + ABSOLUTE


def least_eps(distance: Any) -> Any:
    """Return the least strength that a distance is `within`; negative for distances near 0."""
    return (distance - ABSOLUTE) / (1 + RELATIVE)
