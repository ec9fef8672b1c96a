"""The strengths of an evaluation, and whether its settings fit together."""

from itertools import pairwise

from rampart.attacks.base import require_eval_mode
from rampart.data.id_list import read_ids
from rampart.errors import InvalidArgument
from rampart.evaluation.criterion import Criterion
from rampart.evaluation.default_grid import default_grid, refine
from rampart.recipes.config.run_config import RunConfig
from rampart.units import format_eps, parse_eps


def evaluation_grid(config: RunConfig) -> tuple[float, ...]:
    """Return the strengths, from 0 up, at which a model is evaluated.

    Raises:
        InvalidArgument: strengths that do not increase, or whose last is not eps_g.
    """
    wanted, eps = config.evaluation, config.threat.eps
    if not wanted.strengths:
        return default_grid(eps, config.threat.norm, wanted.resolution)
    # The schema does not know the norm, under which alone a number of gray levels is too large.
    for strength in wanted.strengths:
        parse_eps(strength, config.threat.norm, "evaluation.strengths")
    grid = (0.0, *wanted.strengths)
    if any(after <= before for before, after in pairwise(grid)):
        raise InvalidArgument(
            "evaluation.strengths",
            ", ".join(map(format_eps, wanted.strengths)),
            "strengths above 0, each larger than the one before",
        )
    if wanted.strengths[-1] != eps:
        raise InvalidArgument(
            "evaluation.strengths",
            format_eps(wanted.strengths[-1]),
            f"threat.eps, {format_eps(eps)}, as the last strength",
            "add it, or set threat.eps to the last strength of the list",
        )
    return refine(grid, wanted.resolution or 1)


def require_measurable(config: RunConfig) -> None:
    """Refuse evaluation settings that contradict each other.

    Raises:
        RampartError: strengths, criterion and attack do not fit together, or the list of images is
            missing.
    """
    wanted, attack = config.evaluation, config.components.evaluation_attack
    evaluation_grid(config)
    require_eval_mode(attack, "evaluation.attack.mode")
    Criterion(wanted.top_k, wanted.target).stages(attack.stages())
    if wanted.ids is not None:
        read_ids(wanted.ids)
