"""The images of an evaluation, and whether its settings fit them."""

from rampart.data.splits import OneSplit, Split, Splits
from rampart.data.subset import Positions, drawing_order, having, subset
from rampart.errors import InvalidArgument
from rampart.evaluation.criterion import require_beatable
from rampart.recipes.config.run_config import RunConfig
from rampart.strengths import warn_of_slip


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


def require_measurable_on(config: RunConfig, splits: Splits | OneSplit) -> None:
    """Refuse evaluation settings that contradict the data.

    A strength that is probably a slip for the data is shown as a `RampartWarning`.

    Raises:
        RampartError: the list of images names unknown images, the limit exceeds the split, or
            `top_k` includes every class.
    """
    shape = evaluated_part(config, splits).image_shape
    warn_of_slip(config.threat.eps, config.threat.norm, shape, "threat.eps")
    require_beatable(config.evaluation.top_k, len(splits.class_names), "evaluation.top_k")
