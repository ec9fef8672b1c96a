"""The display that suits where a command prints."""

from rampart.progress.lines import Lines
from rampart.progress.work import Display
from rampart.terminal import Terminal


def display_on(console: Terminal) -> Display:
    """Return bars on a terminal, and lines elsewhere: no carriage return reaches a file."""
    if not console.draws:
        return Lines(console.say)
    from rampart.progress.bars import Bars

    return Bars(console)
