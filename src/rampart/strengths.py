"""The usual strengths of each norm, and strengths that are probably slips.

A usual strength is a statement about published threat models, not a limit:

| norm | usual strength for C x H x W pixels | range | published |
|---|---|---|---|
| Linf | 4/255 | 0.5/255 to 32/255; to 0.3 in gray | 4/255, 8/255 (RobustBench); 0.3 (MNIST) |
| L2 | 0.5 s | 0.0625 s to 4 s | 0.5 at 32 pixels (RobustBench), 2 and 3 at 224 |
| L1 | 12 s | 1.5 s to 96 s | 12 at 32 pixels (arXiv 2103.01208), 75 and 255 at 224 |

with s = sqrt(C H W / (3 * 32 * 32)), so 7 for three channels of 224 pixels: L2 3.5, L1 84. The
figures at 224 pixels are those of arXiv 2508.14079, 2007.08489 and 2105.12508; those of RobustBench
(arXiv 2010.09670) and of MNIST (arXiv 1706.06083) are for 32 and 28 pixels. The range goes from
an eighth of the usual strength to eight times it.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from rampart.errors import InvalidArgument, RampartWarning
from rampart.units import Norm, format_eps, parse_eps

#: Usual strengths of images of 3 x 32 x 32.
_USUAL: dict[Norm, float] = {"linf": 4 / 255, "l2": 0.5, "l1": 12.0}
_REFERENCE = 3 * 32 * 32
#: The range goes from the usual strength divided by this to the usual strength times it.
_SPREAD = 8
#: Largest published strength in Linf, on gray digits (MNIST, Madry et al. 2018).
_LARGEST_LINF = 0.3
#: Decimals in Linf above it are probably meant in gray levels; nothing published comes near.
_SLIP_LINF = 1 / 3


@dataclass(frozen=True)
class UsualStrengths:
    """The usual strengths of a norm for images of one size.

    Attributes:
        low: the smallest strength of the range, a fraction of the pixel range.
        usual: the most usual one.
        high: the largest one.
    """

    low: float
    usual: float
    high: float


def usual_strengths(norm: Norm, shape: Sequence[int]) -> UsualStrengths:
    """Return the usual strengths of a norm for images (C, H, W); see the module for the sources.

    Example:
        >>> usual_strengths("l2", (3, 32, 32))
        UsualStrengths(low=0.0625, usual=0.5, high=4.0)
    """
    scale = 1.0 if norm == "linf" else math.sqrt(math.prod(shape) / _REFERENCE)
    usual = _USUAL[norm] * scale
    gray = norm == "linf" and shape[0] == 1
    return UsualStrengths(usual / _SPREAD, usual, _LARGEST_LINF if gray else usual * _SPREAD)


def describe_usual(norm: Norm, shape: Sequence[int]) -> str:
    """Return the usual strengths as a clause: "usual in l2 for 3 x 32 x 32 pixels: 0.0625 to 4"."""
    found = usual_strengths(norm, shape)
    low, usual, high = (
        _spell_linf(value) if norm == "linf" else f"{value:.3g}"
        for value in (found.low, found.usual, found.high)
    )
    size = " x ".join(map(str, shape))
    return f"usual in {norm} for {size} pixels: {low} to {high}, most often {usual}"


def require_own_eps(
    eps: str | float | None, norm: Norm, usual: str, name: str = "eps"
) -> str | float:
    """Return a strength, or the usual one under Linf if none is given.

    A strength belongs to its norm: 4/255 in Linf and 4/255 in L2 are different adversaries. So
    another norm has no default strength.

    Args:
        eps: the given strength, or None.
        norm: of the ball.
        usual: the default under Linf, such as "4/255".
        name: the name of the strength in an error.

    Raises:
        InvalidArgument: no strength for another norm than Linf.
    """
    if eps is not None:
        return eps
    if norm == "linf":
        return usual
    small, large = (usual_strengths(norm, (3, side, side)).usual for side in (32, 224))
    raise InvalidArgument(
        name,
        None,
        f"a strength of its own for norm={norm}, because one for another norm does not apply",
        f"usual are {small:g} for 3 x 32 x 32 pixels and {large:g} for 3 x 224 x 224",
    )


def find_slip(
    eps: str | float, norm: Norm, shape: Sequence[int] | None = None, scheduled: bool = False
) -> str:
    """Return why a strength is probably a slip, with a question; empty if it is not.

    Args:
        eps: fraction of the pixel range.
        norm: of the ball.
        shape: (C, H, W) of the images; without it, too weak strengths in L2 and L1 go unnoticed.
        scheduled: whether it may be a strength of a ramp, which passes through small ones.
    """
    value = parse_eps(eps, norm)
    if norm == "linf" and not scheduled and _is_divided_twice(value):
        levels = f"{255 * value:.2g} gray levels"
        return f"it is only {levels}; did you mean {format_eps(255 * value)}, divided by 255 once?"
    if norm == "linf":
        # A slip is a short decimal such as 0.4; who writes 128/255 knows the unit.
        if value <= _SLIP_LINF or value != round(value, 3):
            return ""
        change = f"it may change every pixel by {100 * value:.3g} % of its range"
        return f"{change}; did you mean {value:g}/255?"
    if shape is None or value == 0 or value >= usual_strengths(norm, shape).low:
        return ""
    return f"it is too weak to matter ({describe_usual(norm, shape)}); is it a strength in linf?"


def _is_divided_twice(value: float) -> bool:
    """Whether a strength is that of 1 to 64 whole gray levels, divided by 255 once more."""
    levels = value * 255 * 255
    return 1 <= round(levels) <= 64 and abs(levels - round(levels)) < 1e-9 * levels


def warn_of_slip(
    eps: str | float,
    norm: Norm,
    shape: Sequence[int] | None = None,
    name: str = "eps",
    stacklevel: int = 3,
    scheduled: bool = False,
) -> None:
    """Show a `RampartWarning` if a strength is probably a slip; arguments as `find_slip`."""
    if slip := find_slip(eps, norm, shape, scheduled):
        got = eps if isinstance(eps, str) else format_eps(eps)
        warnings.warn(f"{name}={got} in {norm}: {slip}", RampartWarning, stacklevel=stacklevel)


def _spell_linf(value: float) -> str:
    return f"{255 * value:.3g}/255"
