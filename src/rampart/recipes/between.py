"""Models between two sets of weights: their accuracies on the validation split, and the choice."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor

from rampart.data.batches import ordered_batches
from rampart.data.splits import Split
from rampart.errors import InvalidArgument
from rampart.evaluation.criterion import Criterion
from rampart.evaluation.critical import critical_strengths
from rampart.metrics.curve import accuracy_curve
from rampart.metrics.expectation import expected_robustness
from rampart.models.interpolation import interpolate
from rampart.models.normalized import NormalizedModel
from rampart.progress.work import watched
from rampart.recipes.computing import decoding_workers
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.measured import evaluation_grid

#: Fractions of the second model's weights that are tried by default.
FRACTIONS = tuple(step / 10 for step in range(11))
#: How the best model is chosen.
Rule = Literal["clean", "expected"]
RULES: tuple[Rule, ...] = get_args(Rule)
#: Adversarial accuracy that RiFT gives up for clean accuracy: less than 0.1 point.
DROP = 1e-3

State = Mapping[str, Tensor]


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


def measure_between(
    model: NormalizedModel,
    ends: tuple[State, State],
    fractions: Sequence[float],
    validation: Split,
    config: RunConfig,
    on_found: Callable[[Between], None] = lambda found: None,
) -> list[Between]:
    """Return the accuracies of the models between two ends, by the evaluation attack of a run.

    Args:
        model: of the architecture of both, in eval mode on its device; it gets other weights.
        ends: the backbone's weights at the fractions 0 and 1.
        fractions: of the second end, in [0, 1].
        validation: the images that are attacked.
        config: of the evaluation.
        on_found: called with the accuracies at each fraction.
    """
    found = []
    for fraction in watched(fractions, "interpolating", len(fractions), "model"):
        model.backbone.load_state_dict(interpolate(*ends, fraction))
        found.append(_measure(model, fraction, validation, config))
        on_found(found[-1])
    return found


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


def _measure(
    model: NormalizedModel, fraction: float, validation: Split, config: RunConfig
) -> Between:
    workers = decoding_workers(config)
    batches = ordered_batches(validation, config.evaluation.batch_size, workers=workers)
    grid = evaluation_grid(config)
    attack = config.components.evaluation_attack
    wanted = Criterion(config.evaluation.top_k, config.evaluation.target)
    found = critical_strengths(model, batches, attack, grid, config.seed, criterion=wanted)
    critical = found.critical
    curve = accuracy_curve(critical, len(grid) - 1)
    expected = expected_robustness(critical, grid)
    passes = found.forwards_total + found.backwards_total
    return Between(fraction, float(curve[0]), float(curve[-1]), expected, passes)
