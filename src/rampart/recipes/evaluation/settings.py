"""The settings that an evaluation may change."""

from collections.abc import Mapping, Sequence

from rampart.errors import InvalidArgument, RunError
from rampart.plain import read_value
from rampart.recipes.config.differences import Difference, differences
from rampart.recipes.config.loading import load_config, parse_config
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.config.suggesting import OF_EVALUATION, UnknownKey
from rampart.runs.run_folder import RunFolder
from rampart.schema.effects import fields_that_affect
from rampart.schema.measuring import EvaluationConfig

#: Keys that an evaluation may change although training depends on them.
EVALUATION_KEYS = ("threat", "data", "training.device")
#: Published figures beside which a profile stands come from AutoAttack.
ATTACK = "standard"
#: Keys that the threats of a profile set themselves.
_OF_THREATS = ("threat", "evaluation.strengths", "evaluation.resolution")


def require_evaluation_keys(own: RunConfig, wanted: RunConfig, *more: str) -> None:
    """Refuse changes of settings that an evaluation cannot change.

    Args:
        own: the configuration of the model.
        wanted: the configuration of the evaluation.
        more: further keys that may change, like `EVALUATION_KEYS` and keys that do not affect
            training.

    Raises:
        RunError: another key differs.
    """
    keys = (*EVALUATION_KEYS, *more)
    changed = [one for one in differences(own, wanted) if one.affects == "training"]
    refused = [one for one in changed if not one.is_in(*keys)]
    if refused:
        meant = list(dict.fromkeys(filter(None, (_meant(one, refused) for one in refused))))
        do = f"write {' '.join(meant)}" if meant else "leave them out, or train another run"
        raise RunError(
            f"an evaluation cannot change {', '.join(one.key for one in refused)}, only threat.*, "
            f"data.* and evaluation.*: {do}."
        )


def _meant(refused: Difference, others: Sequence[Difference]) -> str:
    """Return the setting of the evaluation that a setting of the training stands for, if any."""
    section, _, option = refused.key.partition(".")
    if section == "attack":
        if option == "name":
            return f"evaluation.attack={refused.new}"
        # Another attack changes the options too.
        renamed = any(one.key == "attack.name" for one in others)
        return "" if renamed else f"evaluation.{refused.key}={refused.new}"
    return f"evaluation.{option}={refused.new}" if option in EvaluationConfig.model_fields else ""


def load_for_evaluation(run: RunFolder | None, overrides: Sequence[str]) -> RunConfig:
    """Read the configuration of an evaluation; errors as `load_config`.

    A key without its section is answered with those that an evaluation may change.
    """
    try:
        # The record of an evaluation notes what other data did not take over.
        return load_config(run, overrides, tell=lambda text: None)
    except UnknownKey as error:
        raise error.within(*OF_EVALUATION) from None


def load_for_model(reference: str, overrides: Sequence[str]) -> RunConfig:
    """Read the configuration of an evaluation of an external model; errors as `load_config`.

    Raises:
        InvalidArgument: a setting names another model.
    """
    return load_for_evaluation(None, _with_model(reference, overrides))


def _with_model(reference: str, overrides: Sequence[str]) -> tuple[str, ...]:
    """Return the overrides and the name of the model; refuse those that name another one."""
    for text in overrides:
        key, _, value = text.partition("=")
        read = read_value(key, value) if key in ("model", "model.name") else {}
        if not isinstance(read, Mapping) or "name" in read:
            expected = f"no other model than '{reference}'"
            raise InvalidArgument(key, value, expected, "name one model, without a key")
    return (*overrides, f"model.name={reference}")


def of_profile(overrides: Sequence[str]) -> tuple[str, ...]:
    """Return the overrides of a profile after its default attack.

    Raises:
        InvalidArgument: a setting that the threats decide.
    """
    for text in overrides:
        key = text.partition("=")[0]
        if any(key == one or key.startswith(f"{one}.") for one in _OF_THREATS):
            raise InvalidArgument(
                key,
                text.partition("=")[2],
                "none, because a profile has a range of strengths for each threat",
                "give the largest strength with --threats, such as --threats linf=8/255,l2=1",
            )
    # The whole section: options of the run's own attack are not taken over.
    return (f"evaluation.attack={{name: {ATTACK}}}", *overrides)


def record_keys() -> list[str]:
    """Return the keys of the evaluation's section that a record depends on.

    Adversarial examples change no figure, but a record either contains them or not.
    """
    return [*fields_that_affect(EvaluationConfig, "evaluation"), "adversarial_examples"]


def default_config(config: RunConfig) -> RunConfig:
    """Return the configuration of this model and these data with defaults for everything else."""
    return parse_config({"model": {"name": config.model.name}, "data": {"name": config.data.name}})
