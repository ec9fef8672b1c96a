import subprocess
import sys
from pathlib import Path

import pytest

from rampart.errors import InvalidArgument, RunError
from rampart.reports import schedules as module
from rampart.reports.schedules import ascii_only, chart, picture, table, ticks, title
from rampart.schedules.catalogue import SCHEDULES
from rampart.schedules.hinge import Fix, Linear, PiecewiseLinear, Standard, Switch, TwoHinge
from rampart.schedules.preview import ASSUMED, preview
from rampart.units import Horizon

HORIZON = Horizon(10, 4)


def plot_lines(schedule, eps=4 / 255, width=60, height=4, horizon=HORIZON):
    return chart(preview(schedule, eps, horizon), eps, horizon.epochs, width, height).splitlines()


def test_a_title_names_every_option():
    assert title(TwoHinge.at_epochs(12, 37)) == "two-hinge  start=12 end=37 unit=epoch"
    assert title(Standard()) == "standard"
    assert (
        title(PiecewiseLinear(((0, 0), (0.5, 1))))
        == "piecewise  points=[[0, 0], [0.5, 1]] unit=fraction"
    )


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        (1, [0, 1]),
        (6, [0, 1, 2, 3, 4, 5, 6]),
        (15, [0, 5, 10, 15]),
        (50, [0, 10, 20, 30, 40, 50]),
        (1000, [0, 200, 400, 600, 800, 1000]),
    ],
)
def test_ticks_are_round(epochs, expected):
    assert ticks(epochs) == expected


def test_the_chart_of_a_switch():
    # 35 columns: 6 for the labels, 20 of plot, the rest for the last label and its unit.
    rows = preview(Switch(at=5, unit="epoch"), 4 / 255, HORIZON)
    assert chart(rows, 4 / 255, 10, width=35, height=2).splitlines() == [
        "4/255 ┤          ██████████",
        "2/255 ┤          ██████████",
        "    0 └───┴───┴───┴───┴───┴",
        "      0   2   4   6   8   10 epochs",
    ]


def test_the_chart_has_the_given_width():
    for width in (40, 60, 80, 100):
        for horizon in (Horizon(1, 3), HORIZON, Horizon(1000, 1)):
            lines = plot_lines(Linear(), width=width, horizon=horizon)
            assert max(map(len, lines)) <= width
            assert max(map(len, lines)) >= width - 1


def test_the_height_of_a_column_is_the_strength():
    full, none, half = (plot_lines(s)[:4] for s in (Fix(), Standard(), Fix(0.5)))
    assert all(line.endswith("█") for line in full)
    assert not any("█" in line for line in none)
    assert ["█" in line for line in half] == [False, False, True, True]


def test_a_strength_above_0_is_always_visible():
    assert "▁" in plot_lines(Fix(0.001))[3]


def test_the_chart_of_a_run_without_strength_is_empty():
    assert not any(set("▁▂▃▄▅▆▇█") & set(line) for line in plot_lines(Fix(), eps=0)[:-2])


def test_a_chart_can_be_ascii():
    text = ascii_only("\n".join(plot_lines(TwoHinge())))
    assert text.isascii()
    assert "#" in text


def test_the_table_has_a_line_per_epoch():
    rows = preview(Linear(), 4 / 255, HORIZON)
    lines = table(rows, 4 / 255).splitlines()
    assert len(lines) == 11
    assert lines[6].split() == ["5", "0.5000", "2/255"]


MAGIC = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


@pytest.mark.parametrize("ending", MAGIC)
def test_a_picture_is_reproducible(tmp_path, ending):
    curves = {title(s): preview(s, 4 / 255, HORIZON) for s in (TwoHinge(), Linear(), Fix())}
    paths = [tmp_path / f"{k}.{ending}" for k in range(2)]
    for path in paths:
        picture(curves, path, 4 / 255, HORIZON, note="a note")
    first, second = (path.read_bytes() for path in paths)
    assert first.startswith(MAGIC[ending])
    assert first == second


def test_a_picture_has_labels(tmp_path):
    import matplotlib as mpl

    path = tmp_path / "schedule.svg"
    with mpl.rc_context({"svg.fonttype": "none"}):
        rows = preview(TwoHinge(), 4 / 255, HORIZON)
        picture({title(TwoHinge()): rows}, path, 4 / 255, HORIZON, "a note")
    text = path.read_text()
    for words in ("two-hinge", "start=0.25", "strength eps", "4/255", "epochs of 4", "a note"):
        assert words in text


@pytest.mark.parametrize("names", [*([name] for name in SCHEDULES.names()), SCHEDULES.names()])
def test_no_text_of_a_picture_is_cut_off(monkeypatch, names):
    drawn = []
    monkeypatch.setattr(module, "save_picture", lambda figure, *_, **__: drawn.append(figure))
    schedules = [SCHEDULES.build(name) for name in names]
    curves = {title(one): preview(one, 4 / 255, HORIZON) for one in schedules}
    picture(
        curves, Path("a.png"), 4 / 255, HORIZON, f"schedules that depend on accuracy: {ASSUMED}"
    )
    (figure,) = drawn
    figure.canvas.draw()
    texts = [figure._supxlabel, figure._supylabel, *(axes.title for axes in figure.axes)]
    for text in texts:
        box = text.get_window_extent()
        assert box.x0 >= 0, text.get_text()
        assert box.x1 <= figure.bbox.x1, text.get_text()
        assert box.y0 >= 0, text.get_text()


def test_a_picture_without_attack_can_be_drawn(tmp_path):
    picture({"fix": preview(Fix(), 0, HORIZON)}, tmp_path / "a.png", 0.0, HORIZON)


def test_an_unknown_file_ending_is_refused(tmp_path):
    with pytest.raises(InvalidArgument, match=r"\.png, \.svg, \.pdf"):
        picture({"fix": preview(Fix(), 1, HORIZON)}, tmp_path / "a.docx", 1, HORIZON)


def test_a_picture_that_cannot_be_written_is_a_clear_error(tmp_path):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "a.png"
    with pytest.raises(RunError, match=r"cannot write .*a\.png"):
        picture({"fix": preview(Fix(), 1, HORIZON)}, path, 1, HORIZON)


def test_drawing_loads_no_torch_and_opens_no_window(tmp_path):
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from rampart.reports.schedules import picture\n"
        "from rampart.schedules.preview import preview\n"
        "from rampart.schedules.hinge import Fix\n"
        "from rampart.units import Horizon\n"
        "assert 'matplotlib' not in sys.modules\n"
        "h = Horizon(2, 2)\n"
        f"picture({{'fix': preview(Fix(), 1, h)}}, Path({str(tmp_path / 'a.png')!r}), 1, h)\n"
        "assert not {'torch', 'matplotlib.pyplot'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
