"""Lines of progress on their way from workers to the study; imports nothing, so it starts fast."""


class Mailbox:
    """Keeps lines until they are taken."""

    def __init__(self) -> None:
        self._lines: list[tuple[str, str]] = []

    def put(self, run: str, line: str) -> None:
        """Keep a line of a run."""
        self._lines.append((run, line))

    def take(self) -> list[tuple[str, str]]:
        """Return the lines that arrived since the last call."""
        lines, self._lines = self._lines, []
        return lines
