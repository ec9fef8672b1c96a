import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from rampart.cli.preview import preview
from rampart.errors import InvalidArgument, RampartError, UnknownName
from rampart.reports import schedules as drawing
from rampart.schedules.catalogue import SCHEDULES

app = typer.Typer()
app.command()(preview)


@pytest.fixture(autouse=True)
def width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def run(*arguments):
    """Return what is printed; errors pass through, as they do to `rampart`'s own main."""
    result = CliRunner().invoke(app, list(map(str, arguments)))
    if isinstance(result.exception, RampartError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_a_schedule_with_options_is_drawn():
    output = run("two-hinge", "start=12", "end=37", "unit=epoch", "--interval", "epoch")
    assert "two-hinge  start=12 end=37 unit=epoch" in output
    assert "4/255 ┤" in output
    assert output.rstrip().endswith("epochs")


def test_the_table_holds_the_published_values():
    options = ["start=12", "end=37", "unit=epoch", "--interval", "epoch", "--table"]
    lines = run("two-hinge", *options).splitlines()
    table = lines[lines.index("epoch   alpha   eps") + 1 :]
    alphas = [float(line.split()[1]) for line in table if line]
    assert alphas == [0] * 12 + [k / 25 for k in range(25)] + [1] * 13


@pytest.mark.parametrize("arguments", [[], ["all"]])
def test_without_a_name_all_are_drawn(arguments):
    output = run(*arguments)
    for name in SCHEDULES.names():
        assert f"\n{name}" in f"\n{output}"


def test_lists_are_read_as_yaml():
    output = run("piecewise", "points=[[0, 0], [20, 1]]", "unit=epoch")
    assert "points=[[0, 0], [20, 1]]" in output


@pytest.mark.parametrize("name", ["auto", "all"])
def test_auto_shows_the_assumed_accuracy(name):
    assert "assumed accuracy: 0.9 (1 - exp(-e / 4.8))" in run(name)


def test_auto_follows_the_accuracy_it_is_given():
    options = ["patience=1", "--accuracy", "0.5,0.5,0.5,0.5", "--epochs", 4, "--table"]
    output = run("auto", *options)
    assert "assumed" not in output
    assert "    3  0.5000   2/255" in output


def test_a_schedule_without_state_needs_no_assumed_accuracy():
    assert "assumed" not in run("two-hinge")


def test_auto_warns_of_a_run_that_is_too_short():
    assert "auto with patience=5" in run("auto", "--epochs", 5)


def test_a_plot_is_written(tmp_path):
    path = tmp_path / "schedule.svg"
    assert f"plot: {path}" in run("smoothed", "--output", path)
    assert path.read_bytes().startswith(b"<?xml")


def test_an_l2_strength_is_spelled_as_a_decimal():
    assert "  3 ┤" in run("fix", "--eps", "3", "--norm", "l2")


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["two-hing"], UnknownName, "did you mean two-hinge"),
        (["two-hinge", "strat=1"], UnknownName, "option of schedule 'two-hinge' 'strat'"),
        (["two-hinge", "linear"], InvalidArgument, "option=linear: expected name=value"),
        (["two-hinge", "start=0.8", "end=0.2"], InvalidArgument, "at most schedule.end"),
        (["two-hinge", "start=early"], InvalidArgument, "schedule.start=early"),
        (["two-hinge", "start=[1"], InvalidArgument, r"start=\[1: expected a value in YAML"),
        (
            ["two-hinge", "end=37", "unit=epoch", "start=1", "--epochs", 15],
            InvalidArgument,
            "run's",
        ),
        (["all", "start=1"], InvalidArgument, "options=start=1"),
        (["fix", "--eps", "4"], InvalidArgument, "write 4/255"),
        (["fix", "--eps=-1/255"], InvalidArgument, "eps=-1/255"),
        (["fix", "--norm", "l3"], InvalidArgument, "norm=l3"),
        (["fix", "--epochs", 0], InvalidArgument, "epochs=0"),
        (["fix", "--output", "a.docx"], InvalidArgument, "a file ending in .png"),
        (["auto", "--accuracy", "0.1,high"], InvalidArgument, "accuracy=0.1,high"),
        (["auto", "--accuracy", "0.1,0.2"], InvalidArgument, "accuracy=2 values"),
    ],
)
def test_bad_input_raises_a_one_line_error(arguments, error, words):
    with pytest.raises(error, match=words) as caught:
        run(*arguments)
    assert "\n" not in str(caught.value)


def fresh(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", f"from rampart.cli.preview import preview\n{code}"],
        check=True,
        capture_output=True,
        env={"COLUMNS": "80", **environment},
    ).stdout


def test_no_line_is_wider_than_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    lines = run("adaptive").splitlines()
    footer = " ".join(lines[-3:]).strip()
    assert footer.endswith("90 % of its final value at epoch 11")
    assert max(map(len, lines[1:])) <= 60


def test_preview_does_not_import_torch():
    fresh("import sys; preview('all', table=True); assert 'torch' not in sys.modules")


def test_a_terminal_without_block_characters_gets_ascii():
    assert b"####" in fresh("preview('fix')", PYTHONIOENCODING="ascii")
    assert "████".encode() in fresh("preview('fix')", PYTHONIOENCODING="utf-8")


@pytest.mark.parametrize("given", ["20,50,80", "0.2,much,0.5", "-0.1,0,1"])
def test_accuracies_are_fractions(given):
    with pytest.raises(InvalidArgument, match=r"^accuracy=.*fractions in \[0, 1\]"):
        run("adaptive", "--epochs", "3", "--accuracy", given)


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("name", SCHEDULES.names())
def test_no_line_of_any_schedule_is_wider_than_the_terminal(name, columns, monkeypatch):
    """Titles, charts, footers and warnings; and nothing of a title is lost."""
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = run(name, "--eps", "16/255", "--epochs", "1000", "--table").splitlines()
    assert [line for line in lines if len(line) > columns] == []
    words = drawing.title(SCHEDULES.build(name)).split()
    assert " ".join(lines).split()[: len(words)] == words


def test_a_long_warning_is_not_wider_than_the_terminal():
    lines = run("auto", "--epochs", "3").splitlines()
    assert any(line.startswith("warning: ") for line in lines)
    assert max(map(len, lines)) <= 80
