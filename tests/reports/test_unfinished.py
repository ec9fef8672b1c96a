"""A run that is not finished, or whose history is not whole, is marked wherever it is compared."""

import copy
import dataclasses
import json

import pytest
import yaml
from made_up import FIX, STANDARD, TWO_HINGE, history, record

from rampart.errors import RunError
from rampart.experiments.run_figures import read_figures
from rampart.records.storage import save_record
from rampart.reports.comparison import read_run, write_comparison
from rampart.reports.findings import findings
from rampart.reports.measures import report
from rampart.reports.named_records import find_records
from rampart.reports.statements import record_lines
from rampart.reports.tables import aggregate, comparison_table
from rampart.runs.run_folder import RunFolder

CONFIG = {
    "data": {"name": "photos"},
    "threat": {"norm": "linf", "eps": "4/255"},
    "objective": {"name": "adversarial"},
    "training": {"epochs": 3},
    "evaluation": {"attack": {"name": "apgd", "steps": 10}, "split": "test"},
}
EPOCHS = (0.5, 0.6, 0.7)


@pytest.fixture
def make(tmp_path):
    """Leave the folder of an evaluated run, with a status and some epochs of its history."""

    def make(name, alive, schedule="fix", seed=0, status="complete", clean=EPOCHS):
        folder = RunFolder(tmp_path / name)
        folder.path.mkdir()
        folder.set_status(status)
        config = {**copy.deepcopy(CONFIG), "seed": seed, "schedule": {"name": schedule}}
        folder.config.write_text(yaml.safe_dump(config))
        rows = [{**row, "forwards": 1, "backwards": 1} for row in history(clean)]
        folder.history.write_text("".join(json.dumps(row) + "\n" for row in rows))
        made = record(alive)
        metadata = {**made.metadata, "settings": config, "run": config}
        metadata["run_folder"] = str(folder.path)
        save_record(dataclasses.replace(made, metadata=metadata), folder.evaluations / "own")
        return folder.path

    return make


def compare(*paths, output):
    rows = write_comparison([read_run(path) for path in paths], output)
    return rows, json.loads((output / "comparison.json").read_text())


@pytest.mark.parametrize("status", ["failed", "interrupted", "running"])
def test_a_run_that_is_not_finished_is_marked_in_every_output(make, tmp_path, status):
    done = make("done", FIX)
    broken = make("broken", TWO_HINGE, seed=1, status=status, clean=EPOCHS[:1])
    other = make("other", STANDARD, "standard")
    rows, saved = compare(done, broken, other, output=tmp_path / "comparison")
    says = f"{status}, 1 of 3 epochs"
    assert [row.get("unfinished") for row in saved] == [None, says, None]
    assert says in (tmp_path / "comparison" / "comparison.md").read_text().splitlines()[3]
    # Not a seed of the finished runs, and not the best.
    assert [method["runs"] for method in aggregate(rows)] == [1, 1, 1]
    assert "not finished" in saved[1]["method"]
    columns = {column.header: list(column.cells) for column in comparison_table(rows).columns}
    assert says in str(columns["note"][1])
    bold = [cell.style for cell in columns["expected"]]
    assert bold[1] == ""
    assert "bold" in bold
    assert f"broken ({says})" in findings(rows)
    assert "RFT-fix has the highest expected" not in findings(rows)


@pytest.mark.parametrize(
    ("kept", "says"), [(0, "history missing"), (2, "history of 2 of 3 epochs")]
)
def test_a_cut_history_is_marked_and_gives_no_delay(make, tmp_path, kept, says):
    whole, cut = make("whole", FIX), make("cut", TWO_HINGE, "two-hinge", clean=EPOCHS[:kept])
    rows, saved = compare(whole, cut, output=tmp_path / "comparison")
    assert [row.get("history") for row in saved] == [None, says]
    assert [row["adapted"] for row in saved] == [True, None]
    assert f"cut ({says})" in findings(rows)
    assert "Two-hinge has the highest expected" in findings(rows)


def test_whole_runs_are_not_marked(make, tmp_path):
    rows, saved = compare(make("a", FIX), make("b", FIX, seed=1), output=tmp_path / "comparison")
    assert not any({"unfinished", "history"} & row.keys() for row in saved)
    assert "note" not in (tmp_path / "comparison" / "comparison.md").read_text()
    assert "finished" not in findings(rows)


def test_only_unfinished_runs_are_not_ranked(make, tmp_path):
    paths = [make("a", FIX, status="failed"), make("b", STANDARD, "standard", status="failed")]
    rows, _ = compare(*paths, output=tmp_path / "comparison")
    assert findings(rows).startswith("Not finished")


@pytest.mark.parametrize("inside", ["", "evaluations/own"])
def test_a_report_names_a_run_that_is_not_finished(make, inside):
    paths = [make("done", FIX), make("broken", TWO_HINGE, seed=1, status="failed")]
    facts = report(find_records([path / inside for path in paths]))
    assert [one.get("unfinished") for one in facts["records"]] == [None, "failed, 3 of 3 epochs"]
    assert any("failed, 3 of 3 epochs" in line for line in record_lines(facts["records"][1]))
    assert facts["methods"] == []


@pytest.mark.parametrize(
    ("status", "kept", "says"),
    [("failed", 3, "failed, 3 of 3"), ("complete", 0, "missing"), ("complete", 2, "2 of 3")],
)
def test_a_study_does_not_read_such_runs(make, status, kept, says):
    path = make("run", FIX, status=status, clean=EPOCHS[:kept])
    with pytest.raises(RunError, match=says):
        read_figures({"task": "photos"}, "fix", 0, "identity", path, path / "evaluations" / "own")
