"""`rampart compare`: the files that it names, and the methods of refined runs."""

import dataclasses
import json
from dataclasses import asdict

import pytest
import yaml
from tests.records.made_up_records import make as made_up

from rampart.recipes.refining.settings import Refinement
from rampart.records.storage import save_record
from rampart.runs.run_folder import RunFolder

CONFIG = {
    "schedule": {"name": "fix"},
    "data": {"name": "photos"},
    "threat": {"norm": "linf", "eps": "4/255"},
    "objective": {"name": "adversarial"},
    "training": {"epochs": 1},
    "evaluation": {"attack": {"name": "apgd", "steps": 10}, "split": "test"},
}
ROW = {"epoch": 1, "eps": 4 / 255, "alpha": 1.0, "val_clean": 0.5, "val_robust": 0.4}
ROW |= {"forwards": 1, "backwards": 1, "seconds": 1.0}


@pytest.fixture
def make(tmp_path):
    """Leave the folder of an evaluated run, which was refined if settings are given."""

    def make(name, seed, refinement=None):
        folder, config = RunFolder(tmp_path / name), {**CONFIG, "seed": seed}
        folder.path.mkdir()
        folder.config.write_text(yaml.safe_dump(config))
        facts = {"of": "run", "settings": asdict(refinement)} if refinement else {}
        folder.set_status("complete", **({"refinement": facts} if facts else {}))
        epochs = refinement.epochs if refinement else 1
        rows = [{**ROW, "epoch": epoch} for epoch in range(1, epochs + 1)]
        folder.history.write_text("".join(json.dumps(row) + "\n" for row in rows))
        made = made_up()
        metadata = {**made.metadata, "settings": config, "run": config}
        metadata["run_folder"] = str(folder.path)
        save_record(dataclasses.replace(made, metadata=metadata), folder.evaluations / "own")
        return folder.path

    return make


def named(result):
    """Return the files that the last line names."""
    return set(result.out.splitlines()[-1].partition(": ")[2].split(", "))


def test_it_names_the_files_that_it_wrote(rampart, make, tmp_path):
    trained, refined = make("a", 0), make("b", 1, Refinement())
    out = tmp_path / "out"
    for runs, histories in (([trained, refined], True), ([refined], False)):
        result = rampart("compare", *runs, "-o", out, "--overwrite")
        assert result.status == 0, result.err
        assert named(result) == {file.name for file in out.iterdir()}
        assert ("histories.png" in named(result)) is histories, "none of an earlier comparison"


def test_differently_refined_runs_are_no_seeds_of_one_method(rampart, make, tmp_path):
    settings = [Refinement(), Refinement(), Refinement(lr=0.1), Refinement(lr=0.1)]
    runs = [make(f"run-{seed}", seed, one) for seed, one in enumerate(settings)]
    result = rampart("compare", *runs, "-o", tmp_path / "out", "--json")
    methods = json.loads(result.out)["methods"]
    assert [(one["method"], one["seeds"]) for one in methods] == [
        ("fix (refined.lr=0.001)", [0, 1]),
        ("fix (refined.lr=0.1)", [2, 3]),
    ]
    for folders in (runs, [run / "evaluations" / "own" for run in runs]):
        reported = json.loads(rampart("report", *folders, "--json").out)["methods"]
        assert [len(one["records"]) for one in reported] == [2, 2]
