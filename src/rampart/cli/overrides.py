"""The arguments `[CONFIG.yaml] [KEY=VALUE]...` of the verbs."""

from collections.abc import Iterable
from pathlib import Path

from rampart.errors import InvalidArgument

#: Keys whose value names a component; its options stand below the key.
COMPONENT_KEYS = {
    key + end
    for key in ("schedule", "objective", "attack", "evaluation.attack")
    for end in ("", ".name")
}

HELP = (
    "A configuration file, then single settings: model=NAME data=FOLDER threat.eps=4/255 "
    "schedule=fix training.epochs=30. docs/configuration.md lists all keys."
)


def config_and_overrides(settings: list[str]) -> tuple[Path | None, list[str]]:
    """Split the arguments into the configuration file, if any, and the overrides.

    Raises:
        InvalidArgument: an argument is neither.
    """
    files = [text for text in settings if "=" not in text]
    overrides = [text for text in settings if "=" in text]
    if "=" in settings:
        raise InvalidArgument("settings", " ".join(settings), "key=value without spaces")
    if len(files) > 1:
        raise InvalidArgument(
            "settings", " ".join(files), "one configuration file", "write the rest as key=value"
        )
    if files and not files[0].endswith((".yaml", ".yml")):
        raise InvalidArgument(
            "settings",
            files[0],
            "CONFIG.yaml or key=value",
            f"perhaps data={files[0]} or model={files[0]}",
        )
    return (Path(files[0]) if files else None), components_first(overrides)


def components_first(overrides: Iterable[str]) -> list[str]:
    """Return the overrides with those that name a component in front.

    A new component drops the options of the previous one. On a command line the order carries no
    meaning: `schedule.start=0.1 schedule=linear` asks for a start of linear.
    """
    return sorted(overrides, key=lambda text: text.partition("=")[0] not in COMPONENT_KEYS)
