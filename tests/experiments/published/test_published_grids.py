"""The studies of `configs/published` cover the rows of the published tables."""

from pathlib import Path

import pytest

from rampart.experiments.loading import load_study
from rampart.experiments.published.counterparts import counterparts
from rampart.experiments.published.recognizing import condition_of
from rampart.published import published_results

CONFIGS = Path(__file__).parents[3] / "configs" / "published"
#: Tables by the file of the study that repeats them.
TABLES = {"study": {1, 2, 4, 8}, "robust": {3}, "sensitivity": {7}, "imagenette": {12}}


@pytest.mark.parametrize("name", TABLES)
def test_every_run_has_its_row_and_every_row_its_run(name):
    study = load_study(CONFIGS / f"{name}.yaml")
    found = []
    for task, method, seed in study.runs():
        condition = condition_of(study.config(task, method, seed), method, task.coordinates)
        rows = [row for row in counterparts(condition) if row.table in TABLES[name]]
        assert len(rows) == 1, condition
        assert condition.changes == ()
        found += rows
    assert len(found) == len(set(found))
    assert set(found) == {row for row in published_results() if row.table in TABLES[name]}
