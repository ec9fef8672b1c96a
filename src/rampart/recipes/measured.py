"""The strengths and images of an evaluation, and whether its settings fit together."""

from itertools import pairwise

from rampart.data.splits import OneSplit, Split, Splits
from rampart.data.subset import Positions, drawing_order, having, read_ids, subset
from rampart.errors import InvalidArgument
from rampart.evaluation.criterion import Criterion, require_beatable
from rampart.evaluation.critical import default_grid, refine, require_as_used
from rampart.recipes.config.run_config import RunConfig
from rampart.strengths import warn_of_slip
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


def evaluated_part(config: RunConfig, splits: Splits | OneSplit) -> Split:
    """Return the selected images, each with its position in the whole split.

    With `evaluation.until` these are the images that it may draw.

    Raises:
        InvalidArgument: all images of data that include those of a training.
        RampartError: the limit exceeds the split, or the list names images outside it.
    """
    wanted = config.evaluation
    if wanted.split == "all" and isinstance(splits, Splits):
        raise InvalidArgument(
            "evaluation.split",
            "all",
            "test or validation, because the model is trained on the other images",
            "write data=FOLDER too, to evaluate every image of other data",
        )
    if wanted.until is not None:
        return having(splits[wanted.split], order_of_images(config, splits))
    return subset(
        splits[wanted.split],
        limit=wanted.limit,
        ids=wanted.ids,
        stratified=wanted.stratified,
        seed=_seed_of_draw(config),
    )


def order_of_images(config: RunConfig, splits: Splits | OneSplit) -> Positions:
    """Return the numbers of the images in the order in which `evaluation.until` draws them.

    Every class has its share among the first n, for any n. A larger limit only adds images.
    """
    wanted = config.evaluation
    return drawing_order(
        splits[wanted.split],
        limit=wanted.limit,
        ids=wanted.ids,
        stratified=True,
        seed=_seed_of_draw(config),
    )


def _seed_of_draw(config: RunConfig) -> int:
    wanted = config.evaluation
    return config.seed if wanted.limit_seed is None else wanted.limit_seed


def require_measurable(config: RunConfig, splits: Splits | OneSplit | None = None) -> None:
    """Refuse evaluation settings that contradict each other or, if given, the data.

    A strength that is probably a slip for the data is shown as a `RampartWarning`.

    Raises:
        RampartError: strengths, criterion and attack do not fit together; the list of images is
            missing or names unknown images; or `top_k` includes every class.
    """
    wanted, attack = config.evaluation, config.components.evaluation_attack
    evaluation_grid(config)
    require_as_used(attack, "evaluation.attack.mode")
    Criterion(wanted.top_k, wanted.target).stages(attack.stages())
    if wanted.ids is not None:
        read_ids(wanted.ids)
    if splits is not None:
        shape = evaluated_part(config, splits).image_shape
        warn_of_slip(config.threat.eps, config.threat.norm, shape, "threat.eps")
        require_beatable(wanted.top_k, len(splits.class_names), "evaluation.top_k")
