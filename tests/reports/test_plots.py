import subprocess
import sys

import pytest
from made_up import FIX, STANDARD, TWO_HINGE, history, record, run

from rampart.errors import InvalidArgument, RunError
from rampart.reports.plots import save_comparison, save_curve, save_histories
from rampart.reports.style import COLORS
from rampart.reports.tables import comparison_rows

SIGNATURES = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}


@pytest.mark.parametrize("ending", SIGNATURES)
def test_writes_pictures_of_each_kind_and_nothing_else(tmp_path, three, ending):
    save_curve(record(TWO_HINGE), tmp_path / f"a{ending}")
    save_comparison(comparison_rows(three), tmp_path / f"b{ending}")
    save_histories([(r.name, r.history) for r in three], tmp_path / f"c{ending}")
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == [f"{name}{ending}" for name in "abc"]
    assert all(file.read_bytes().startswith(SIGNATURES[ending]) for file in files)


def drawn(tmp_path, save, *args, **options) -> str:
    save(*args, tmp_path / "picture.svg", **options)
    return (tmp_path / "picture.svg").read_text("utf-8")


def test_curve_has_its_figures(tmp_path):
    svg = drawn(tmp_path, save_curve, record(TWO_HINGE), title="digit pairs")
    for text in ("digit pairs", "clean 96.0 %", "at 4/255 50.0 %", "expected 77.", "n = 200"):
        assert text in svg
    assert "in 1/255 of the pixel range" in svg


def test_curve_of_l2_and_of_clean_accuracy_alone(tmp_path):
    assert "L2 strength eps" in drawn(tmp_path, save_curve, record(FIX, "l2", 0.25))
    assert "clean 50.0 %" in drawn(tmp_path, save_curve, record([0.5]))


def test_comparison_lists_methods_by_expected_robustness_in_their_colors(tmp_path, three):
    svg = drawn(tmp_path, save_comparison, comparison_rows(three), title="side by side")
    labels = ["two-hinge: 77.", "standard: 4", "fix: 20."]
    places = [svg.index(label) for label in labels]
    assert places == sorted(places)
    assert "side by side" in svg
    for schedule in ("two-hinge", "standard", "fix"):
        assert COLORS[schedule].lower() in svg.lower()
    assert COLORS["auto"].lower() not in svg.lower()


def test_methods_that_differ_in_many_settings_still_have_room(tmp_path):
    """Warnings are errors: a legend wider than the picture made matplotlib warn."""
    many = [{f"option{k}": f"value{k}{n}" for k in range(12)} for n in range(8)]
    runs = [run("two-hinge", TWO_HINGE, name=str(n), **options) for n, options in enumerate(many)]
    rows = comparison_rows(runs)
    assert min(len(row["method"]) for row in rows) > 200
    svg = drawn(tmp_path, save_comparison, rows)
    assert "option0=value07" in svg
    drawn(tmp_path, save_histories, [(row["method"], history([0.5, 0.6])) for row in rows])


def test_comparison_of_seeds_has_their_number(tmp_path):
    lower = [value - 0.05 for value in FIX]
    runs = [run(s, a, k) for s in ("fix", "two-hinge") for k, a in enumerate((FIX, lower))]
    svg = drawn(tmp_path, save_comparison, comparison_rows(runs))
    assert "mean of 2 seeds" in svg


def test_unknown_schedules_get_colors_of_their_own(tmp_path):
    runs = [run("mine", FIX), run("yours", STANDARD), run("fix", TWO_HINGE)]
    svg = drawn(tmp_path, save_comparison, comparison_rows(runs)).lower()
    assert "#999933" in svg
    assert "#332288" in svg


def test_histories_with_one_name_are_in_one_panel(tmp_path, three):
    runs = [("fix", history((0.1, 0.2))), ("two-hinge", history((0.1,))), ("fix", history((0.2,)))]
    svg = drawn(tmp_path, save_histories, runs, title="training")
    assert svg.count(">fix<") == 1
    for text in (">two-hinge<", "clean accuracy", "under attack", "of its target", ">training<"):
        assert text in svg


def test_histories_without_robust_accuracy(tmp_path):
    rows = [{**row, "val_robust": None} for row in history((0.1, 0.2, 0.3))]
    assert ">fix<" in drawn(tmp_path, save_histories, [("fix", rows)])


def test_equal_records_give_equal_files(tmp_path):
    assert drawn(tmp_path, save_curve, record(FIX)) == drawn(tmp_path, save_curve, record(FIX))


def test_refuses_invalid_arguments(tmp_path, three):
    with pytest.raises(InvalidArgument, match=r"path=.*\.png, \.svg, \.pdf"):
        save_curve(record(FIX), tmp_path / "picture.bmp")
    with pytest.raises(InvalidArgument, match="histories="):
        save_histories([("fix", [])], tmp_path / "picture.png")
    with pytest.raises(InvalidArgument, match="rows=no rows"):
        save_comparison([], tmp_path / "picture.png")
    other = comparison_rows([three[0]])[0] | {"norm": "l2"}
    with pytest.raises(InvalidArgument, match="rows=l2, linf"):
        save_comparison([*comparison_rows(three), other], tmp_path / "picture.png")


def test_a_picture_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot write"):
        save_curve(record(FIX), tmp_path / "file" / "picture.png")


def test_loads_without_matplotlib_and_draws_without_pyplot(tmp_path):
    code = (
        "import sys, numpy as np\n"
        "from rampart.reports import findings, plots, tables\n"
        "from rampart.records.record import EvaluationRecord\n"
        "assert not {'torch', 'matplotlib'} & set(sys.modules)\n"
        "one = np.array([1])\n"
        "plots.save_curve(EvaluationRecord('linf', np.zeros(1), ('a',), one, one, one), "
        f"r'{tmp_path / 'a.png'}')\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
