"""The arguments `[CONFIG.yaml] [KEY=VALUE]...` of the verbs."""

from collections.abc import Sequence
from pathlib import Path

from rampart.errors import InvalidArgument

HELP = (
    "A configuration file, then single settings: model=NAME data=FOLDER threat.eps=4/255 "
    "schedule=fix training.epochs=30. docs/reference/configuration.md lists all keys."
)


def config_and_overrides(words: list[str]) -> tuple[Path | None, list[str]]:
    """Split the arguments into the configuration file, if any, and the overrides.

    Raises:
        InvalidArgument: an argument is neither, or a key is set twice.
    """
    files = [text for text in words if "=" not in text and text.endswith((".yaml", ".yml"))]
    if len(files) > 1:
        raise InvalidArgument("settings", " ".join(files), "one configuration file")
    rest = [text for text in words if text not in files]
    return (Path(files[0]) if files else None), ordered(rest, "CONFIG.yaml or key=value")


def ordered(words: Sequence[str], expected: str = "key=value") -> list[str]:
    """Return the overrides that name something before those of single keys in the same section.

    Another component drops the options of the previous one, another model or dataset the keys that
    describe the previous one, and another norm its strength. On a command line the order carries no
    meaning: `schedule.start=0.1 schedule=linear` asks for a start of linear.

    Raises:
        InvalidArgument: a word is no override, or a key is set twice.
    """
    _require_overrides(words, expected)
    texts = sorted(words, key=lambda text: _place(text.partition("=")[0]))
    known: dict[str, str] = {}
    for text in texts:
        key = text.partition("=")[0].removesuffix(".name")
        if key in known:
            both = f"{known[key]} {text}"
            raise InvalidArgument("settings", both, f"each key once, and {key} is set twice")
        known[key] = text
    return texts


def _require_overrides(words: Sequence[str], expected: str) -> None:
    for place, word in enumerate(words):
        if word.startswith("=") or (word.endswith("=") and place + 1 < len(words)):
            raise InvalidArgument("settings", " ".join(words), "key=value without spaces")
        if "=" not in word:
            following = [one for one in words[place + 1 : place + 2] if "=" not in one]
            raise InvalidArgument("settings", word, expected, _advise(word, *following))


def _advise(word: str, value: str = "VALUE") -> str:
    """Return what to write in place of a word without "="."""
    from rampart.recipes.config.suggesting import full_keys

    key, colon, after = word.partition(":")
    if colon and full_keys(key.rpartition(".")[2]) and not Path(word).exists():
        word, value = key, after or value
    if word.endswith((".json", ".toml", ".ini", ".cfg")):
        return f"a configuration is a YAML file, .yaml or .yml; or perhaps data={word}"
    meant = full_keys(word.rpartition(".")[2])
    if word in meant:
        meant = [word]
    if meant and not Path(word).exists():
        return f"write {' or '.join(f'{key}={value}' for key in meant)}"
    return f"perhaps data={word} or model={word}"


def _place(key: str) -> tuple[int, bool]:
    """Sections come before their keys, components before their options, the norm before eps."""
    return key.count("."), not key.endswith((".name", "threat.norm"))
