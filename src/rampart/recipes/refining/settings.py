"""The settings of a refinement, by default the published ones."""

import math
from dataclasses import dataclass

from rampart.errors import InvalidArgument, UnknownName
from rampart.recipes.choosing import RULES, Rule


@dataclass(frozen=True)
class Refinement:
    """How a run is refined: RiFT, Zhu et al. 2023 (arXiv 2308.02533).

    Momentum and weight decay are those of its code. The authors take all test images; here
    validation images take their place.

    Attributes:
        images: validation images on which criticality is measured, at most; 1 or more.
        steps: of the ascent for each layer, 1 or more.
        radius: largest change of a layer's weight, as a fraction of its norm, above 0.
        epochs: of the fine-tuning, 1 or more; the learning rate falls to a tenth half way.
        lr: learning rate of SGD, above 0.
        momentum: of SGD, in [0, 1).
        weight_decay: of SGD, 0 or more.
        choose: "clean" for the most clean accuracy at a loss of less than 0.1 point of adversarial
            accuracy, as published; "expected" for the most expected robustness.
    """

    images: int = 500
    steps: int = 10
    radius: float = 0.1
    epochs: int = 10
    lr: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 5e-4
    choose: Rule = "clean"

    def __post_init__(self) -> None:
        for name in ("images", "steps", "epochs"):
            count = getattr(self, name)
            if type(count) is not int or count < 1:
                raise InvalidArgument(name, count, "a whole number of at least 1")
        for name in ("radius", "lr"):
            if not (_is_finite(getattr(self, name)) and getattr(self, name) > 0):
                raise InvalidArgument(name, getattr(self, name), "a finite number above 0")
        if not (_is_finite(self.momentum) and 0 <= self.momentum < 1):
            raise InvalidArgument("momentum", self.momentum, "a number in [0, 1)")
        if not (_is_finite(self.weight_decay) and self.weight_decay >= 0):
            expected = "a finite number of at least 0"
            raise InvalidArgument("weight_decay", self.weight_decay, expected)
        if self.choose not in RULES:
            raise UnknownName("rule", self.choose, RULES)


def _is_finite(value: object) -> bool:
    """Whether a value is a finite number; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -math.inf < value < math.inf
