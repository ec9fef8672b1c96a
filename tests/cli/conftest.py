import sys

import pytest

from rampart.cli import main as cli
from settings import changed


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err


@pytest.fixture
def rampart(typed):
    """Call the command in this process: `rampart("train", ...)` returns status and output.

    A test changes a setting of a base command by repeating its key: the last one counts.
    """
    return lambda *arguments: typed(*changed(map(str, arguments)))


@pytest.fixture
def typed(monkeypatch, capsys):
    """Call the command with exactly these arguments."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["rampart", *map(str, arguments)])
        status = 0
        try:
            cli.main()
        except SystemExit as stop:
            status = stop.code or 0
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return call


@pytest.fixture
def refused(rampart):
    """Call the command; expect status 2 and a one-line error that contains `says`."""

    def call(says, *arguments):
        result = rampart(*arguments)
        assert result.status == 2, result.out + result.err
        assert "Traceback" not in result.err
        assert result.err.startswith("rampart: ")
        assert result.err.count("\n") == 1, "one line"
        assert says in result.err
        return result

    return call
