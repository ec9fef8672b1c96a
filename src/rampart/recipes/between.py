"""Models between two sets of weights: their accuracies on the validation split."""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from rampart.data.batches import ordered_batches
from rampart.data.splits import Split
from rampart.evaluation.criterion import Criterion
from rampart.evaluation.critical import critical_strengths
from rampart.metrics.curve import accuracy_curve
from rampart.metrics.expectation import expected_robustness
from rampart.models.interpolation import interpolate
from rampart.models.normalized import NormalizedModel
from rampart.progress.work import working
from rampart.recipes.choosing import Between
from rampart.recipes.computing import decoding_workers
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.measurable import evaluation_grid

State = Mapping[str, Tensor]


def measure_between(
    model: NormalizedModel,
    ends: tuple[State, State],
    fractions: Sequence[float],
    validation: Split,
    config: RunConfig,
    on_found: Callable[[Between], None] = lambda found: None,
    known: Sequence[Between] = (),
) -> list[Between]:
    """Return the accuracies of the models between two ends, by the evaluation attack of a run.

    Args:
        model: of the architecture of both, in eval mode on its device; it gets other weights.
        ends: the backbone's weights at the fractions 0 and 1.
        fractions: of the second end, in [0, 1].
        validation: the images that are attacked.
        config: of the evaluation.
        on_found: called with the accuracies at each fraction that is measured, at once.
        known: what is known already, as before an interruption; it is not measured again.
    """
    found = {one.fraction: one for one in known}
    left = [fraction for fraction in fractions if fraction not in found]
    done = len(fractions) - len(left)
    with working("interpolating", len(fractions), "model", done=done) as update:
        for number, fraction in enumerate(left, start=done + 1):
            model.backbone.load_state_dict(interpolate(*ends, fraction))
            found[fraction] = _measure(model, fraction, validation, config)
            on_found(found[fraction])
            update(number)
    return [found[fraction] for fraction in fractions]


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
