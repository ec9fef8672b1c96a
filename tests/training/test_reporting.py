from io import StringIO

import pytest

from rampart.progress import pace
from rampart.progress.display import display_on
from rampart.progress.lines import Lines
from rampart.progress.work import Work, showing
from rampart.terminal import Terminal
from rampart.training.reporting import (
    ConsoleReporter,
    LineReporter,
    Silent,
    epoch_line,
    show_progress,
)
from rampart.units import Horizon, parse_eps

ROW = {
    "epoch": 2,
    "eps": 4 / 255,
    "train_loss": 1.25,
    "val_clean": 0.5,
    "val_robust": 0.25,
    "seconds": 3.0,
}


def test_a_long_warning_with_markup_stays_on_one_line():
    out = StringIO()
    text = "odd [red]markup[/red] " + "and many words " * 20
    ConsoleReporter(Terminal(file=out, width=40)).warn(text.strip())
    assert out.getvalue() == f"warning: {text.strip()}\n"


def test_a_warning_is_yellow():
    out = StringIO()
    ConsoleReporter(Terminal(file=out, force_terminal=True, color_system="standard")).warn("x")
    assert out.getvalue() == "\x1b[33mwarning: x\x1b[0m\n"


def test_silence(capsys):
    Silent().warn("x")
    assert capsys.readouterr().out == ""


def test_a_line_begins_the_run_and_one_ends_every_epoch():
    lines = []
    reporter = LineReporter(lines.append)
    with show_progress(reporter, "fix, seed 0", Horizon(2, 5), 5):
        reporter.step(1, 4 / 255)
        reporter.epoch(ROW)
        reporter.warn("something")
    assert lines[0] == "fix, seed 0, from step 5 of 10"
    assert lines[1] == epoch_line(ROW, 2)
    assert lines[2:] == ["warning: something"]


def test_long_work_reports_its_progress_once_a_minute(monkeypatch):
    """Long work: after eight minutes a line comes each minute, and later less often."""
    now, lines = [0.0], []
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    with Lines(lines.append).begin(Work("decoding", 100)) as update:
        now[0] = 480.0
        update(48)
        for done in range(49, 57):
            now[0] += 20
            update(done)
    counts = [line.partition(" images")[0] for line in lines]
    assert counts == ["decoding: 48 of 100", "decoding: 52 of 100", "decoding: 56 of 100"]


def test_long_epochs_have_lines_without_a_terminal(monkeypatch):
    now, out, lines = [0.0], StringIO(), []
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    console = Terminal(file=out)
    for reporter, display in (
        (ConsoleReporter(console), display_on(console)),
        (LineReporter(lines.append), Lines(lines.append)),
    ):
        with showing(display), show_progress(reporter, "fix", Horizon(1, 9), 0):
            now[0] += 100
            reporter.step(0, 0.1)
            reporter.step(0, 0.1)
    said = "fix: 1 of 9 steps, eps 25.5/255, 36.0 steps/h, about 13 minutes left"
    assert out.getvalue() == f"fix\n{said}\n"
    assert lines == ["fix", said]


def test_a_run_that_fails_shows_no_more_steps():
    reporter = LineReporter([].append)
    with pytest.raises(ValueError, match="planted"), show_progress(reporter, "a", Horizon(1, 9), 0):
        raise ValueError("planted")
    reporter.step(0, 0.1)


@pytest.mark.parametrize(
    ("eps", "text"),
    [
        (0.0, "0"),
        (0.341 / 255, "0.341/255"),
        (20 / 255, "20/255"),
        (0.5, "0.5"),
        (0.125, "31.9/255"),
    ],
)
def test_an_epoch_spells_small_strengths_in_gray_levels(eps, text):
    """Strengths under L2 are too large for that: 0.5 is not 128/255."""
    shown = epoch_line({**ROW, "eps": eps}, 2).partition("eps")[2].split()[0]
    assert shown == text
    assert parse_eps(shown, "l2") == pytest.approx(eps, rel=0.01)
