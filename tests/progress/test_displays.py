"""Lines for files, bars for terminals, and which of them a place gets."""

import io

import pytest

from rampart.progress import pace
from rampart.progress.bars import Bars
from rampart.progress.display import display_on
from rampart.progress.lines import Lines
from rampart.progress.work import Work, showing, working
from rampart.terminal import Terminal


class Screen(io.StringIO):
    """A file that says that it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def now(monkeypatch):
    time = [0.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: time[0])
    return time


def test_lines_become_rarer(now):
    lines, hours = [], 10
    with Lines(lambda text: lines.append(now[0])).begin(Work("attacking", hours * 3600)) as update:
        for done in range(hours * 3600):
            now[0] = done + 1.0
            update(done + 1)
    gaps = [after - before for before, after in zip([0.0, *lines], lines, strict=False)]
    assert gaps[0] == 15
    assert gaps == sorted(gaps)
    assert gaps[-1] == 600
    assert len(lines) < 100


def test_a_line_is_plain(now):
    out = io.StringIO()
    with showing(display_on(Terminal(file=out))), working("photos \x1b[31m", 10) as update:
        now[0] += 20
        update(1, "eps 4/255")
    text = "photos \\x1b[31m: 1 of 10 images, eps 4/255, 3.0 images/min, about 3 minutes left\n"
    assert out.getvalue() == text


def test_short_work_has_no_line(now):
    out = io.StringIO()
    with showing(display_on(Terminal(file=out))), working("decoding", 3) as update:
        for done in range(3):
            now[0] += 4
            update(done + 1)
    assert out.getvalue() == ""


@pytest.mark.parametrize("variables", [{}, {"FORCE_COLOR": "1"}, {"TTY_COMPATIBLE": "1"}])
def test_a_file_never_gets_bars(variables, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    out = io.StringIO()
    console = Terminal(file=out)
    assert isinstance(display_on(console), Lines)
    with console.busy("loading"):
        pass
    assert out.getvalue() == ""


@pytest.mark.parametrize(("term", "kind"), [("xterm", Bars), ("dumb", Lines)])
def test_a_terminal_gets_bars_unless_it_is_dumb(term, kind, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", term)
    assert isinstance(display_on(Terminal(file=Screen())), kind)


def test_bars_fit_80_columns_and_go_away(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen()
    display = Bars(Terminal(file=screen, width=80))
    with showing(display), working("a name that is longer than it may be", 123456) as outer:
        outer(12345, "eps 31/2550")
        with working("validation", 4000) as inner:
            inner(3999)
            table = display._progress.make_tasks_table(display._progress.tasks)
            plain = Terminal(file=io.StringIO(), width=80, color_system=None)
            lines = [line.rstrip() for line in _rendered(plain, table)]
    assert len(lines) == 2, "one line each"
    assert all(len(line) <= 80 for line in lines)
    assert "12345/123456" in lines[0]
    assert "3999/4000" in lines[1]
    assert screen.getvalue().endswith("\x1b[2K\x1b[?25h\r"), "erased, and the cursor is back"
    with showing(display), working("once more", 2) as update:
        update(1)


def _rendered(console, table):
    with console.capture() as captured:
        console.print(table)
    return captured.get().splitlines()


def test_no_color_means_no_style(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    out = io.StringIO()
    Terminal(file=out, force_terminal=True).say("warning", style="bold yellow")
    assert out.getvalue() == "warning\n"


def test_forced_color_reaches_a_file(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    out = io.StringIO()
    Terminal(file=out).say("warning", style="yellow")
    assert out.getvalue() == "\x1b[33mwarning\x1b[0m\n"
