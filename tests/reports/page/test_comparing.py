"""Pages of several evaluations: together where that is fair, with a warning where it is not."""

import pytest
from test_page import Outline

from rampart.reports.measures import report as measure
from rampart.reports.named_records import find_records
from rampart.reports.page.comparing import conditions
from rampart.reports.page.write import write_report
from rampart.reports.percent import signed
from report_folders import evaluation, run


def outline_of(tmp_path, *folders):
    page = write_report(folders, tmp_path / "together.html")
    return Outline(page.read_text(encoding="utf-8"))


def charts(outline):
    return [one["data-chart"] for one in outline.named("figure") if "data-chart" in one]


def test_fair_evaluations_have_joint_curves_and_paired_differences(tmp_path):
    folders = [evaluation(tmp_path / name, name=name, seed=k) for k, name in enumerate("ab")]
    outline = outline_of(tmp_path, *folders)
    assert charts(outline) == ["curves"]
    assert "cannot be compared" not in outline.text
    (pair,) = measure(find_records(folders))["pairs"]
    for figure in pair["figures"].values():
        assert f"{signed(figure['difference'])} {signed(figure['low'])} to" in outline.text
    assert pair["figures"]["expected"]["advice"] in outline.text


@pytest.mark.parametrize(
    ("word", "changes"),
    [
        ("attack", {"attack": {"name": "square"}}),
        ("data", {"data": {"name": "other", "fingerprint": "e" * 8}}),
        ("data", {"n": 61}),
        ("top_k", {"top_k": 2}),
    ],
)
def test_unfair_evaluations_have_a_warning_instead(tmp_path, word, changes):
    first = evaluation(tmp_path / "first", name="first")
    second = evaluation(tmp_path / "second", name="second", **changes)
    assert any(one.startswith(word) for one in conditions(find_records([first, second])))
    outline = outline_of(tmp_path, first, second)
    assert "cannot be compared" in outline.text
    assert charts(outline) == ["curve-0", "curve-1"]
    assert "Paired differences" not in outline.text


def test_runs_of_a_comparison_show_their_histories(tmp_path):
    folders = [run(tmp_path / name) for name in ("one", "two")]
    outline = outline_of(tmp_path, *folders)
    assert charts(outline) == ["curves", "history-0", "history-1"]
    assert f"rampart report {folders[0]} {folders[1]} --html" in outline.text
