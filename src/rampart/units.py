"""Units: strengths as fractions of the pixel range, and the length of a run; never guessed."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

from rampart.errors import InvalidArgument

Norm = Literal["linf", "l2", "l1"]
NORMS: tuple[Norm, ...] = get_args(Norm)
#: The kinds of common corruptions, in the order of ImageNet-C (arXiv 1903.12261).
Corruption = Literal[
    "gaussian-noise",
    "shot-noise",
    "impulse-noise",
    "defocus-blur",
    "glass-blur",
    "motion-blur",
    "zoom-blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic-transform",
    "pixelate",
    "jpeg-compression",
]
CORRUPTIONS: tuple[Corruption, ...] = get_args(Corruption)
#: The strengths of a corruption; 0 is the image itself.
SEVERITIES = (1, 2, 3, 4, 5)
#: How an image is perturbed: by an attack in the ball of a norm, or by a common corruption.
Perturbation = Norm | Corruption

#: Largest strength accepted per norm. 1024 pixels changed from black to white are 32 away in L2 and
#: 1024 in L1, almost any change of a small image; a larger number is nearly always a strength in
#: gray levels.
MAX_EPS: dict[Norm, float] = {"linf": 1.0, "l2": 32.0, "l1": 1024.0}

#: Largest half-width of an interval that is accepted as a precision.
MAX_PRECISION = 0.2


def parse_norm(norm: str) -> Norm:
    """Return `norm` if it is known; raise `InvalidArgument` otherwise."""
    for known in NORMS:
        if norm == known:
            return known
    raise InvalidArgument("norm", norm, f"{', '.join(NORMS[:-1])} or {NORMS[-1]}")


def parse_perturbation(name: str) -> Perturbation:
    """Return the name of a norm or of a corruption if it is known.

    Raises:
        InvalidArgument: an unknown name.
    """
    for known in (*NORMS, *CORRUPTIONS):
        if name == known:
            return known
    raise InvalidArgument("norm", name, f"{', '.join(NORMS)} or a corruption such as fog")


def is_corruption(perturbation: Perturbation) -> bool:
    """Return whether a perturbation is a common corruption, with severities in place of eps."""
    return perturbation in CORRUPTIONS


def require_norm(perturbation: Perturbation, name: str, do: str = "") -> Norm:
    """Return a norm; refuse a corruption, whose severities are no distances.

    Args:
        perturbation: of a record.
        name: the name of the value in an error.
        do: what to do instead.

    Raises:
        InvalidArgument: a corruption.
    """
    for norm in NORMS:
        if perturbation == norm:
            return norm
    raise InvalidArgument(
        name, f"the corruption {perturbation}", f"{', '.join(NORMS[:-1])} or {NORMS[-1]}", do
    )


def parse_eps(eps: str | float, norm: Norm = "linf", name: str = "eps") -> float:
    """Return a strength as a float: `"4/255"` becomes exactly `4 / 255`.

    Args:
        eps: fraction of the pixel range, such as "4/255", "0.5/255", "0.5" or 0.0157.
        norm: the norm whose range applies: [0, 1] for Linf, [0, 32] for L2, [0, 1024]
            for L1.
        name: the name of the value in an error.

    Raises:
        InvalidArgument: not a number, negative, on another scale than pixels in [0, 1], or a
            fraction of 256, which is nearly always meant as one of 255.
    """
    try:
        value = _parse_fraction(eps) if isinstance(eps, str) else float(eps)
    except (ValueError, ZeroDivisionError, OverflowError, TypeError):
        value = math.nan
    if math.isnan(value) or isinstance(eps, bool):
        raise InvalidArgument(name, eps, "a fraction of the pixel range such as 4/255")
    if isinstance(eps, str) and eps.replace(" ", "").endswith("/256"):
        levels = eps.partition("/")[0].strip()
        expected = "a fraction of 255, the largest value of a pixel"
        raise InvalidArgument(name, eps, expected, f"perhaps you mean {levels}/255")
    limit = MAX_EPS[norm]
    if 0 <= value <= limit:
        return value
    is_fraction = isinstance(eps, str) and eps.endswith("/255")
    in_levels = limit < value <= 255 * limit and not is_fraction
    advice = f"write {value:g}/255 for {value:g} gray levels" if in_levels else ""
    raise InvalidArgument(name, eps, f"a fraction of the pixel range in [0, {limit:g}]", advice)


def parse_precision(precision: str | float, name: str = "until") -> float:
    """Return the half-width of an interval as a fraction: "1%" and 0.01 are one point.

    Args:
        precision: with a percent sign, or a fraction.
        name: the name of the value in an error.

    Raises:
        InvalidArgument: not a number, not above 0, or above 20 points. Numbers such as 1 and 0.5
            are nearly always meant in percent.

    Example:
        >>> parse_precision("0.5%"), parse_precision(0.02)
        (0.005, 0.02)
    """
    text = str(precision).replace(" ", "")
    in_percent = text.endswith("%")
    try:
        value = float(Fraction(text.removesuffix("%")) / (100 if in_percent else 1))
    except (ValueError, ZeroDivisionError, OverflowError):
        value = math.nan
    if 0 < value <= MAX_PRECISION and not isinstance(precision, bool):
        return value
    meant = value > MAX_PRECISION and not in_percent
    raise InvalidArgument(
        name,
        precision,
        "half the width of an interval, above 0 and up to 20%",
        f"write {text}% if you mean percent" if meant else "write 1% for one point up and down",
    )


def _parse_fraction(text: str) -> float:
    """Return "4/255" or "0.5/255" as the nearest float: only the quotient is rounded."""
    parts = [Fraction(part) for part in text.replace(" ", "").split("/")]
    if len(parts) > 2:
        raise ValueError(text)
    return float(parts[0] / parts[1] if len(parts) == 2 else parts[0])


def format_eps(eps: float, like: float | None = None, *, exact: bool = False) -> str:
    """Return the usual spelling: "4/255" for 1 to 254 whole gray levels, a decimal otherwise.

    Args:
        eps: fraction of the pixel range.
        like: a strength in whose unit `eps` is spelled, to three digits: beside 4/255 a strength
            of 0.01 is "2.55/255".
        exact: give every digit, so that `parse_eps` returns the same number.
    """
    levels = _gray_levels(eps)
    if exact:
        return f"{levels}/255" if levels and levels / 255 == eps else repr(eps)
    if like is None:
        return f"{levels}/255" if levels else f"{eps:.6g}"
    return f"{eps * 255:.3g}/255" if eps and _gray_levels(like) else f"{eps:.3g}"


def _gray_levels(eps: float) -> int:
    """Return the whole gray levels, 1 to 254, that a strength equals up to rounding; else 0."""
    levels = round(eps * 255)
    return levels if 0 < levels < 255 and abs(eps * 255 - levels) < 1e-6 else 0


@dataclass(frozen=True)
class Horizon:
    """The length of a run: `epochs`, each of `steps_per_epoch` optimizer steps."""

    epochs: int
    steps_per_epoch: int

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise InvalidArgument("epochs", self.epochs, "at least 1")
        if self.steps_per_epoch < 1:
            raise InvalidArgument("steps_per_epoch", self.steps_per_epoch, "at least 1")

    @property
    def steps(self) -> int:
        """Number of optimizer steps in the whole run."""
        return self.epochs * self.steps_per_epoch
