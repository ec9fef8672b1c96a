"""Tables as Markdown, CSV and LaTeX."""

import csv
import io

from rampart.reports.sheets import Sheet, csv_text, latex, markdown

SHEET = Sheet(
    "table-1",
    "Table 1",
    1,
    (("", 1), ("clean", 2)),
    ("method_name", "ours", "published"),
    (("a|b & 50 %", "12.5 ± 1.0", ""), ("<c>\nd", "1.0", "2.0")),
    (("method", "clean"), ("a, b", 0.125), ("c", "")),
)


def test_markdown():
    lines = markdown(SHEET).splitlines()
    assert lines[0] == "## Table 1"
    assert lines[2] == "| method_name | clean: ours | clean: published |"
    assert lines[3] == "| :-- | --: | --: |"
    assert lines[4] == "| a\\|b & 50 % | 12.5 ± 1.0 |  |"
    assert lines[5] == "| <c> d | 1.0 | 2.0 |"


def test_csv_is_read_back():
    assert list(csv.reader(io.StringIO(csv_text(SHEET)))) == [
        ["method", "clean"],
        ["a, b", "0.125"],
        ["c", ""],
    ]


def test_latex_escapes_and_groups():
    text = latex(SHEET)
    assert "\\begin{tabular}{lrr}" in text
    assert "\\multicolumn{2}{c}{clean} \\\\" in text
    assert "\\cmidrule(lr){2-3}" in text
    assert "method\\_name & ours & published \\\\" in text
    assert "a|b \\& 50 \\% & 12.5 $\\pm$ 1.0 &  \\\\" in text
    assert "\\textless{}c\\textgreater{}" in text
    # Every line of the table has one cell per column.
    rows = [line for line in text.splitlines() if line.endswith("\\\\")]
    assert {line.replace("\\&", "").count("&") for line in rows} == {2, 1}
