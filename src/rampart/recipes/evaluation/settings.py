"""What an evaluation may change of a configuration."""

from collections.abc import Sequence

from rampart.errors import RunError
from rampart.recipes.config.differences import concerns, differences
from rampart.recipes.config.loading import parse_config
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.run import FREE_KEYS

#: Keys that an evaluation may change: no other one makes sense for a model that is finished.
EVALUATION_KEYS = ("threat", "evaluation", "data", "training.device", *FREE_KEYS)


def require_evaluation_keys(own: RunConfig, wanted: RunConfig, *more: str) -> None:
    """Refuse changes of settings that an evaluation cannot change.

    Args:
        own: the configuration of the model.
        wanted: that of the evaluation.
        more: keys that may change besides `EVALUATION_KEYS`.

    Raises:
        RunError: one of the others is changed.
    """
    keys = (*EVALUATION_KEYS, *more)
    lines = [line for line in differences(own, wanted) if not concerns(line, keys)]
    refused = [line.partition(":")[0] for line in lines]
    if refused:
        raise RunError(
            f"an evaluation cannot change {', '.join(refused)}, only threat.*, data.* and "
            "evaluation.*, such as evaluation.attack.steps."
        )


def usual_config(config: RunConfig) -> RunConfig:
    """The configuration that has only this model and these data."""
    return parse_config({"model": {"name": config.model.name}, "data": {"name": config.data.name}})


def data_moved(overrides: Sequence[str]) -> tuple[str, ...]:
    """`data=FOLDER` says where the data are by now; how they are read stays the same."""
    start = "data="
    return tuple(
        f"data.name={text.removeprefix(start)}"
        if text.startswith(start) and "{" not in text
        else text
        for text in overrides
    )
