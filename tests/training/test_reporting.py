from io import StringIO

from rich.console import Console

from rampart.training.reporting import ConsoleReporter, Silent


def test_a_warning_is_one_line_whatever_it_holds():
    out = StringIO()
    text = "odd [red]markup[/red] " + "and many words " * 20
    ConsoleReporter(Console(file=out, width=40)).warn(text.strip())
    assert out.getvalue() == f"warning: {text.strip()}\n"


def test_a_warning_is_yellow():
    out = StringIO()
    ConsoleReporter(Console(file=out, force_terminal=True, color_system="standard")).warn("x")
    assert out.getvalue() == "\x1b[33mwarning: x\x1b[0m\n"


def test_silence(capsys):
    Silent().warn("x")
    assert capsys.readouterr().out == ""
