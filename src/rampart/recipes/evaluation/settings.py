"""What an evaluation may change of a configuration."""

from collections.abc import Sequence

from rampart.errors import RunError
from rampart.recipes.config.differences import differences
from rampart.recipes.config.loading import parse_config
from rampart.recipes.config.run_config import RunConfig
from rampart.schema.effects import fields_that_affect
from rampart.schema.fields import EvaluationConfig

#: Keys that an evaluation may change although training depends on them.
EVALUATION_KEYS = ("threat", "data", "training.device")


def require_evaluation_keys(own: RunConfig, wanted: RunConfig, *more: str) -> None:
    """Refuse changes of settings that an evaluation cannot change.

    Args:
        own: the configuration of the model.
        wanted: that of the evaluation.
        more: keys that may change besides `EVALUATION_KEYS` and those that no training depends on.

    Raises:
        RunError: one of the others is changed.
    """
    keys = (*EVALUATION_KEYS, *more)
    changed = [one for one in differences(own, wanted) if one.affects == "training"]
    refused = [one.key for one in changed if not one.is_in(*keys)]
    if refused:
        raise RunError(
            f"an evaluation cannot change {', '.join(refused)}, only threat.*, data.* and "
            "evaluation.*, such as evaluation.attack.steps."
        )


def record_keys() -> list[str]:
    """Return the keys of the evaluation's section that a record depends on.

    Adversarial examples change no figure, but a record is kept with them or without.
    """
    return [*fields_that_affect(EvaluationConfig, "evaluation"), "adversarial_examples"]


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
