import csv
import io
import json

import pytest
from made_up import FIX, STANDARD, TWO_HINGE, history, record, run
from rich.console import Console

from rampart.records.summary import summary
from rampart.reports.csv_rows import csv_text
from rampart.reports.method_names import RunResult
from rampart.reports.tables import (
    aggregate,
    aggregate_table,
    comparison_rows,
    comparison_table,
    markdown,
)
from rampart.schema.effects import fields_that_affect
from rampart.schema.learning import TrainingConfig
from rampart.schema.measuring import EvaluationConfig
from rampart.schema.model_and_data import DataConfig


def show_progress(table, width=200) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_rows_have_the_documented_keys(three):
    rows = comparison_rows(three)
    row = rows[2]
    assert (row["run"], row["schedule"], row["seed"]) == ("two-hinge-0", "two-hinge", 0)
    assert (row["objective"], row["evaluation_seed"]) == ("adversarial", 7)
    facts = summary(record(TWO_HINGE))
    keys = ("n", "eps", "norm", "clean", "adversarial", "expected", "expected_low", "curve")
    assert {key: row[key] for key in keys} == {key: facts[key] for key in keys}
    assert [r["delay"] for r in rows] == [1, 3, 1]
    assert json.loads(json.dumps(rows)) == rows


def test_plain_tuples_without_history_are_accepted(three):
    row = comparison_rows([tuple(three[0])[:3]])[0]
    assert (row["delay"], row["adapted"]) == (None, None)
    never = comparison_rows([("a", three[0].config, three[0].summary, history([0.01]))])[0]
    assert (never["delay"], never["adapted"]) == (None, False)


def test_methods_are_runs_that_differ_in_their_seed_only(three):
    runs = [*three, run("fix", FIX, seed=1), run("two-hinge", TWO_HINGE, 1, start=0.25, end=0.75)]
    methods = [row["method"] for row in comparison_rows(runs)]
    assert methods == ["standard", "fix", "two-hinge", "fix", "two-hinge"]


def with_setting(result, section, name, value):
    changed = {**result.config.get(section, {}), name: value}
    return result._replace(config={**result.config, section: changed})


FREE = {
    "training": fields_that_affect(TrainingConfig, "nothing"),
    "data": fields_that_affect(DataConfig, "nothing"),
    "evaluation": fields_that_affect(EvaluationConfig, "nothing"),
}


@pytest.mark.parametrize("key", [(section, name) for section in FREE for name in FREE[section]])
def test_keys_that_change_no_result_do_not_split_a_method(key):
    runs = [with_setting(run("fix", FIX, seed), *key, seed) for seed in (0, 1)]
    assert [row["method"] for row in comparison_rows(runs)] == ["fix", "fix"]


def test_epochs_distinguish_methods_and_monitors_do_not():
    assert "monitors" in FREE["training"]
    runs = [with_setting(run("fix", FIX, seed), "training", "epochs", seed) for seed in (0, 1)]
    assert len({row["method"] for row in comparison_rows(runs)}) == 2


@pytest.mark.parametrize(
    ("first", "second", "methods"),
    [
        ({"end": 0.5}, {"end": 0.75}, ["two-hinge (end=0.5)", "two-hinge (end=0.75)"]),
        (
            {"objective": "trades"},
            {},
            ["two-hinge (objective=trades)", "two-hinge (objective=adversarial)"],
        ),
        # The same run twice is not an independent draw.
        ({"name": "a"}, {"name": "b"}, ["two-hinge [a]", "two-hinge [b]"]),
    ],
)
def test_methods_of_one_schedule_have_different_names(first, second, methods):
    runs = [run("two-hinge", TWO_HINGE, **options) for options in (first, second)]
    assert [row["method"] for row in comparison_rows(runs)] == methods


def test_settings_of_one_short_name_are_written_in_full():
    runs = [run("fix", FIX, attack={"steps": steps}, steps=steps) for steps in (7, 10)]
    assert comparison_rows(runs)[0]["method"] == "fix (schedule.attack.steps=7, schedule.steps=7)"


def test_another_threat_is_another_method():
    other = summary(record(TWO_HINGE, norm="l2", unit=0.5))
    first = run("two-hinge", TWO_HINGE)
    rows = comparison_rows([first, RunResult("b", first.config, other)])
    assert len({row["method"] for row in rows}) == 2
    text = show_progress(comparison_table(rows))
    assert "linf 4/255" in text
    assert "l2 2" in text


def test_aggregate_takes_means_over_seeds():
    shifted = [0.46, 0.45, 0.3, 0.2, 0.1]
    rows = comparison_rows([run("fix", FIX), run("standard", STANDARD), run("fix", shifted, 1)])
    fix, standard = aggregate(rows)
    values = [rows[0]["expected"], rows[2]["expected"]]
    assert (fix["method"], fix["runs"], fix["seeds"], fix["interval"]) == (
        "fix",
        2,
        [0, 1],
        "values",
    )
    assert fix["expected"] == pytest.approx(sum(values) / 2)
    assert fix["expected_values"] == values
    assert (fix["expected_low"], fix["expected_high"]) == (min(values), max(values))
    assert (standard["runs"], standard["interval"]) == (1, "samples")
    assert standard["expected_high"] == rows[1]["expected_high"]


def test_table_shows_percent_intervals_and_delay(three):
    text = show_progress(comparison_table(comparison_rows(three)))
    for part in ("at 4/255", "95.0 [91, 97]", "two-hinge", "delay", "95 % intervals"):
        assert part in text


def test_best_values_are_bold(three):
    table = comparison_table(comparison_rows(three))
    columns = {column.header: list(column.cells) for column in table.columns}
    assert [cell.style for cell in columns["expected"]] == ["", "", "bold"]


def test_a_value_that_may_be_highest_between_the_strengths_is_bold_too():
    rows = comparison_rows([run("two-hinge", (0.9, 0.1)), run("fix", (0.7, 0.1))])
    table = comparison_table(rows)
    columns = {column.header: list(column.cells) for column in table.columns}
    assert [cell.style for cell in columns["expected"]] == ["bold", "bold"]
    assert [cell.style for cell in columns["clean"]] == ["bold", ""]


def test_bounds_stand_in_a_column_where_they_reach_beyond_the_interval():
    coarse, fine = run("two-hinge", (0.9, 0.1)), run("fix", [0.5] * 9)
    assert "bounds" not in markdown(comparison_rows([fine]))
    head, _, first, second = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in markdown(comparison_rows([coarse, fine._replace(name="b")])).splitlines()
    )
    at = head.index("bounds")
    assert (first[at], second[at]) == ("10.0 to 90.0", "")
    seeds = [run("two-hinge", (0.9, 0.1 + s / 100), s) for s in range(3)]
    assert "| 11.0 to 90.0 |" in markdown(aggregate(comparison_rows(seeds)))


def test_the_widest_usual_columns_fit_80_characters():
    runs = [run("two-hinge", (0.9, 0.1)), run("fix", (0.7, 0.1))]
    runs = [one._replace(name="two-hinge-seed0") for one in runs]
    text = show_progress(comparison_table(comparison_rows(runs)), 80)
    assert text.count("two-hinge-seed0") == 2
    assert "bounds" in text
    assert len(text.strip().splitlines()) == 5


def test_columns_without_content_are_left_out(three):
    rows = comparison_rows([tuple(result)[:3] for result in three])
    assert "delay" not in show_progress(comparison_table(rows))


def test_aggregate_table_shows_the_margin_over_seeds(three):
    rows = comparison_rows([*three, *(run("fix", FIX, seed, clean=(0.01,)) for seed in (1, 2))])
    text = show_progress(aggregate_table(aggregate(rows)))
    assert "30.0 ± 0.0" in text
    assert "3, never" in text
    assert "samples or seeds" in text


def test_two_seeds_show_their_values_and_no_interval():
    rows = comparison_rows([run("fix", FIX), run("fix", (0.9, 0.9, 0.9, 0.9, 0.9), 1)])
    text = show_progress(aggregate_table(aggregate(rows)))
    assert "30.0, 90.0" in text
    assert "±" not in text
    assert "values of all seeds" in text


def test_markdown(three):
    lines = markdown(comparison_rows(three)).splitlines()
    columns = "run | method | seed | objective | clean | at 4/255 | expected | bounds | delay"
    assert lines[0] == f"| {columns} |"
    assert lines[1] == "| :-- | :-- | --: | :-- | --: | --: | --: | --: | --: |"
    assert len(lines) == 5
    assert "10.0 [6.6, 14.9]" in lines[3]
    assert "runs" in markdown(aggregate(comparison_rows(three))).splitlines()[0]


def test_markdown_escapes_a_bar(three):
    row = {**comparison_rows(three)[0], "run": "a|b"}
    assert r"| a\|b |" in markdown([row])


def test_csv_has_all_digits_and_no_curves(three):
    rows = comparison_rows(three)
    read = list(csv.DictReader(io.StringIO(csv_text(rows))))
    assert [float(row["expected"]) for row in read] == [row["expected"] for row in rows]
    assert list(read[0])[:4] == ["run", "method", "schedule", "seed"]
    assert "curve" not in read[0]


def test_nothing_to_compare_gives_empty_tables():
    assert comparison_rows([]) == aggregate([]) == []
    assert comparison_table([]).row_count == 0
    assert csv_text([]).strip() == ""
