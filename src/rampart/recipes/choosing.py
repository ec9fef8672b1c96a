"""The choice among models between two sets of weights, by their accuracies on validation images."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from rampart.errors import InvalidArgument

#: Fractions of the second model's weights that are tried by default.
FRACTIONS = tuple(step / 10 for step in range(11))
#: How the best model is chosen.
Rule = Literal["clean", "expected"]
RULES: tuple[Rule, ...] = get_args(Rule)
#: Adversarial accuracy that RiFT gives up for clean accuracy: less than 0.1 point.
DROP = 1e-3


@dataclass(frozen=True)
class Between:
    """The accuracies of an interpolated model on the validation split.

    Attributes:
        fraction: of the second model's weights, in [0, 1].
        clean, adversarial, expected: accuracies, in [0, 1].
        passes: forwards and backwards of the measurement.
    """

    fraction: float
    clean: float
    adversarial: float
    expected: float
    passes: int = 0


def require_fractions(fractions: Sequence[float]) -> None:
    """Refuse fractions outside [0, 1].

    Raises:
        InvalidArgument: a fraction outside [0, 1], or none.
    """
    if not fractions or not all(0 <= fraction <= 1 for fraction in fractions):
        raise InvalidArgument("fractions", list(fractions), "numbers in [0, 1], at least one")


def choose(found: Iterable[Between], rule: Rule = "expected") -> Between:
    """Return the best of several models; of equal ones that with the smallest fraction.

    Args:
        found: their accuracies on the validation split.
        rule: "expected" takes the highest expected robustness. "clean" is RiFT's: the highest clean
            accuracy among the models whose adversarial accuracy lies less than 0.1 point below that
            at fraction 0, which has to be among them.
    """
    ordered = sorted(found, key=lambda one: one.fraction)
    if rule == "expected":
        return max(ordered, key=lambda one: one.expected)
    first = ordered[0]
    if first.fraction != 0:
        raise InvalidArgument("fractions", first.fraction, "0 among them, to compare with")
    kept = [one for one in ordered if one is first or first.adversarial - one.adversarial < DROP]
    return max(kept, key=lambda one: (one.clean, one.adversarial))
