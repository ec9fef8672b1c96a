"""Checks of the arguments of `RobustLoss`, and its warning."""

import warnings

from torch import Tensor

from rampart.attacks.base import Attack
from rampart.errors import InvalidArgument, RampartWarning
from rampart.images_and_labels import is_whole, type_of
from rampart.objectives.base import Objective
from rampart.schedules.base import Schedule


def require_kind(name: str, value: object, kind: type, *others: object) -> None:
    """Refuse an argument that is neither of a type nor one of the other values."""
    if not isinstance(value, kind) and value not in others:
        article = "an" if kind.__name__[0] in "AEIO" else "a"
        named = isinstance(value, str) and issubclass(kind, Schedule | Objective | Attack)
        do = f"make one with rampart.{name.upper()}S.build('{value}')" if named else ""
        raise InvalidArgument(name, value, f"{article} {kind.__name__} of {kind.__module__}", do)


def chance_for(schedule: Schedule, num_classes: int | None, chance: float | None) -> float | None:
    """Return chance as given, else that of classes of the same size."""
    if chance is not None or not schedule.needs_accuracy:
        return chance
    if num_classes is None or num_classes < 2:
        expected = f"the number of classes, 2 or more, for the schedule {type(schedule).__name__}"
        raise InvalidArgument("num_classes", num_classes, expected, "or give chance")
    return 1 / num_classes


def require_whole(name: str, numbers: object, count: int) -> None:
    """Refuse anything but a tensor of `count` integers."""
    if not isinstance(numbers, Tensor):
        raise InvalidArgument(name, type(numbers).__name__, "a tensor of whole numbers")
    if numbers.shape != (count,) or not is_whole(numbers):
        got = f"{type_of(numbers)} {tuple(numbers.shape)}"
        raise InvalidArgument(name, got, f"whole numbers (N,) with N = {count}")


def warn_of_divergence(loss: float) -> None:
    """Warn that training goes on with a broken model; a scaler may skip single steps, so go on."""
    warnings.warn(
        f"the loss of the last batch is {loss}: the weights or logits are no longer finite. Return "
        "to an earlier checkpoint, and lower the learning rate or clip the gradients; in the model "
        "keep sqrt, log and norms away from 0, as in sqrt(x + 1e-6), because their gradients are "
        "infinite there.",
        RampartWarning,
        # The line that calls the loss.
        stacklevel=5,
    )
