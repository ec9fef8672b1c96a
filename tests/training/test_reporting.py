from io import StringIO

from rampart.terminal import Terminal
from rampart.training import reporting
from rampart.training.reporting import (
    ConsoleReporter,
    LineReporter,
    Silent,
    epoch_line,
    show_progress,
    sparse_progress,
)
from rampart.units import Horizon

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
    now, lines = [0.0], []
    monkeypatch.setattr(reporting.time, "monotonic", lambda: now[0])
    report = sparse_progress(lines.append, every=60)
    for done in range(1, 11):
        now[0] += 25
        report(done, 10)
    assert lines == ["3 of 10", "6 of 10", "9 of 10"]


def test_long_epochs_have_lines_without_a_terminal(monkeypatch):
    now, out, lines = [0.0], StringIO(), []
    monkeypatch.setattr(reporting.time, "monotonic", lambda: now[0])
    for reporter in (ConsoleReporter(Terminal(file=out)), LineReporter(lines.append)):
        with show_progress(reporter, "fix", Horizon(1, 9), 0):
            now[0] += 100
            reporter.step(0, 0.1)
            reporter.step(0, 0.1)
    assert out.getvalue() == "fix\n  step 1 of 9\n"
    assert lines == ["fix", "step 1 of 9"]
