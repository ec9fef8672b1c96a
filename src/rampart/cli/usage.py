"""Errors about options, in one sentence that says what to write."""

from collections.abc import Sequence
from typing import Any

import typer

from rampart.errors import InvalidArgument, UnknownName

#: The parser's error for a command line that does not fit; typer does not export its name.
UsageError: Any = typer.BadParameter.__base__
#: Verbs that take settings, `key=value`.
_WITH_SETTINGS = ("train", "evaluate", "verify", "linear-probe")


def explain_usage(error: Any, words: Sequence[str]) -> str:
    """Return an error of the parser as one sentence.

    Args:
        error: a `UsageError`.
        words: the command line, without the name of the program.
    """
    context = error.ctx
    names = _verbs_of(context)
    verb = " ".join(names)
    see = f"see `rampart {verb} --help`." if verb else "see `rampart --help`."
    unknown = getattr(error, "option_name", None)
    if type(error).__name__ == "NoSuchOption" and unknown:
        return _explain_option(unknown, verb, context, words)
    message = " ".join(error.format_message().split()).rstrip(".")
    if message.startswith("No such command") and context is not None:
        given = [one for one in words if not one.startswith("-")]
        word = given[len(names)] if len(given) > len(names) else ""
        kind = f"verb of `rampart {verb}`" if verb else "verb"
        return str(UnknownName(kind, word, context.command.commands))
    return f"{message[:1].lower()}{message[1:]}: {see}"


def require_once(command: Any, words: Sequence[str]) -> None:
    """Refuse an option that is given twice; the parser would drop the first one silently.

    Args:
        command: the parser of all verbs.
        words: the command line, without the name of the program.

    Raises:
        InvalidArgument: the option and its values.
    """
    for part in _command(command, words).params:
        given = [one for one in words if one.partition("=")[0] in part.opts and one[:1] == "-"]
        if len(given) > 1 and not part.multiple and not part.is_flag:
            raise InvalidArgument("options", " ".join(given), "each option once")


def is_help(error: Any) -> bool:
    """Return whether the parser's error is the help of a command without its verb."""
    return type(error).__name__ == "NoArgsIsHelpError"


def _verbs_of(context: Any) -> list[str]:
    """Return the verbs up to the one that was read last: ["study", "run"]."""
    if context is None or context.parent is None:
        return []
    return [*_verbs_of(context.parent), str(context.info_name)]


def _command(command: Any, words: Sequence[str]) -> Any:
    """Return the innermost command that the words name."""
    for word in words:
        if word in getattr(command, "commands", ()):
            command = command.commands[word]
    return command


def _explain_option(name: str, verb: str, context: Any, words: Sequence[str]) -> str:
    # The parser reads `-model` as `-m`.
    given = next((one for one in words if one.startswith(name)), name)
    option, _, value = given.partition("=")
    if verb in _WITH_SETTINGS and (meant := _keys(option, verb)):
        value = value or _following(given, words)
        return (
            f"{verb} has no option {option}: write {' or '.join(f'{key}={value}' for key in meant)}"
            ", without dashes."
        )
    if verb == "preview" and _is_option_of_a_schedule(option):
        value = value or _following(given, words)
        return (
            f"preview has no option {option}: write {option.lstrip('-')}={value}, without dashes."
        )
    known = [one for part in context.command.params for one in part.opts if one.startswith("--")]
    if not verb and (others := _verbs_with(option, context)):
        verb = next((one for one in words if one in others), others[0])
        return f"{option} belongs behind the verb: write `rampart {verb} ... {option}`."
    return str(UnknownName("option", option, [*known, "--help"]))


def _keys(option: str, verb: str) -> list[str]:
    """Return the full keys that an option may mean."""
    from rampart.recipes.config.suggesting import OF_EVALUATION, full_keys

    word = option.lstrip("-").replace("-", "_")
    meant = full_keys(word.rpartition(".")[2])
    if verb in ("evaluate", "verify"):
        meant = [key for key in meant if key.partition(".")[0] in OF_EVALUATION] or meant
    return [word] if word in meant else meant


def _is_option_of_a_schedule(option: str) -> bool:
    from rampart.schedules.catalogue import SCHEDULES

    return any(SCHEDULES.takes(name, option.lstrip("-")) for name in SCHEDULES.names())


def _following(word: str, words: Sequence[str]) -> str:
    place = list(words).index(word) + 1
    has_value = place < len(words) and not words[place].startswith("-") and "=" not in words[place]
    return words[place] if has_value else "VALUE"


def _verbs_with(option: str, context: Any) -> list[str]:
    verbs = context.command.commands.items()
    return [name for name, one in verbs if any(option in part.opts for part in one.params)]
