"""The files with the tables of a study."""

import csv
import re
from dataclasses import replace

import pytest
from made_up_study import figures, published_as_ours, results

from rampart.experiments.published.conditions import Condition
from rampart.experiments.published.write_tables import write_published_tables
from rampart.experiments.tuning.outcome import Spent

CONDITION = Condition("swin", "cars", 4 / 255, "two-hinge", "two-hinge", 12.0, 37.0)


def read(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_writes_every_table_in_every_format(tmp_path):
    written = write_published_tables(published_as_ours([1, 2, 3, 4, 7, 8]), tmp_path)
    names = [f"table-{number}" for number in (1, 2, 3, 4, 7, 8, 9, 10, 11)] + ["cost", "delays"]
    wanted = {f"{name}{ending}" for name in names for ending in (".csv", ".tex")}
    assert {path.name for path in written} == wanted | {"published.md"}
    assert {path.name for path in tmp_path.iterdir()} == wanted | {"published.md"}
    page = (tmp_path / "published.md").read_text("utf-8")
    assert "arXiv 2509.23325" in page
    assert page.count("\n## ") == len(names)
    numbers = list(map(int, re.findall(r"^## Table (\d+)", page, re.MULTILINE)))
    assert numbers == [1, 2, 3, 4, 7, 8, 9, 10, 11]
    tests = read(tmp_path / "table-9.csv")
    assert float(tests[0]["t"]) == pytest.approx(7.8233, abs=1e-4)
    assert tests[0]["pairs"] == tests[0]["published_all_pairs"] == "30"


@pytest.mark.parametrize(("form", "ending"), [("md", ".md"), ("csv", ".csv"), ("latex", ".tex")])
def test_one_format_writes_files_of_this_kind_only(tmp_path, form, ending):
    write_published_tables(published_as_ours([1]), tmp_path, formats=[form])
    assert {path.suffix for path in tmp_path.iterdir()} == {ending}


def test_an_exact_table_has_seeds_intervals_and_differences(tmp_path):
    runs = [figures(value, seed=seed) for seed, value in enumerate((0.80, 0.85, 0.90))]
    write_published_tables([results(CONDITION, runs, planned=5)], tmp_path)
    lines = {(row["backbone"], row["dataset"]): row for row in read(tmp_path / "table-1.csv")
             if row["method"] == "two-hinge"}  # fmt: skip
    row = lines["swin", "cars"]
    assert (row["seeds"], row["missing"], row["clean"]) == ("3", "2", "0.85")
    assert (row["clean_published"], row["clean_difference"]) == ("0.847", "0.003")
    # Student's t with 2 degrees of freedom is 4.303; the deviation 0.05.
    assert float(row["clean_high"]) == pytest.approx(0.85 + 4.3027 * 0.05 / 3**0.5, abs=1e-4)
    other = lines["vit", "cars"]
    assert (other["seeds"], other["clean"], other["clean_difference"]) == ("0", "", "")
    assert "85.0 ± 12.4" in (tmp_path / "published.md").read_text("utf-8")


def test_the_cost_has_the_budgets_of_searches_if_there_are_any(tmp_path):
    fix = replace(CONDITION, method="fix", schedule="fix", start=0.0, end=0.0)
    both = [results(fix, [figures()]), results(CONDITION, [figures()])]
    write_published_tables(both, tmp_path)
    assert "search" not in read(tmp_path / "cost.csv")[0]
    searches = (Spent(6, 44_000, 3.0), Spent(1, 900, 1.0))
    write_published_tables([replace(both[0], searches=searches), both[1]], tmp_path)
    found = [row["search"] for row in read(tmp_path / "cost.csv")]
    assert found == ["6 runs, 44 k passes; 1 run, 900 passes", ""]
    for file in ("published.md", "cost.tex"):
        assert found[0] in (tmp_path / file).read_text("utf-8")


def test_a_study_without_a_finished_run(tmp_path):
    written = write_published_tables([results(CONDITION, [], planned=3)], tmp_path)
    assert "published.md" in {path.name for path in written}
    assert write_published_tables([], tmp_path / "empty", formats=["csv"]) == []


def test_the_page_lists_what_differs_from_the_published_recipe(tmp_path):
    changed = replace(CONDITION, changes=("training.epochs=5 (published: 50)",))
    write_published_tables([results(changed, [figures()])], tmp_path, formats=["md"])
    assert "- training.epochs=5 (published: 50)" in (tmp_path / "published.md").read_text("utf-8")
