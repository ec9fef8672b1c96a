"""The results of a study from its folder."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from rampart.errors import RunError
from rampart.experiments.cells import evaluation_of
from rampart.experiments.loading import load_study
from rampart.experiments.published import reading
from rampart.experiments.published.reading import planned_cells, read_study
from rampart.experiments.published.write_pictures import write_published_figures
from rampart.experiments.published.write_tables import write_published_tables
from rampart.experiments.running import run_study
from rampart.experiments.tuning.outcome import Spent
from rampart.metrics.expectation import published_robustness
from rampart.records.storage import load_record

GUIDE = Path(__file__).parents[3] / "docs" / "reproduce" / "published.md"


@pytest.fixture(scope="module")
def finished(tmp_path_factory, photo_folder):
    """The folder of a study of two methods with two seeds and a choice."""
    folder = tmp_path_factory.mktemp("study")
    tree = {
        "base": {
            "model": {
                "name": "rampart_glyphnet",
                "pretrained": False,
                "options": {"norm": "batch", "in_chans": 3},
            },
            "data": {"name": str(photo_folder), "image_size": 16},
            "attack": {"steps": 1},
            "training": {"epochs": 1, "batch_size": 8},
            "evaluation": {"checks": False, "limit": 12},
        },
        "seeds": [0, 1],
        "axes": {"eps": ["2/255"], "dataset": {"cars": ["data.test_fraction=0.3"]}},
        "methods": ["fix", "two-hinge"],
        "choices": {
            "tuned": {
                "method": "fix",
                "among": {
                    "low": ["optimizer.head_lr=1e-4"],
                    "high": ["optimizer.head_lr=1e-2"],
                },
            }
        },
        "references": ["fix"],
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(tree))
    run_study(load_study(folder / "study.yaml"), folder)
    return folder


@pytest.fixture
def study(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "moved")


def by_method(results):
    return {one.condition.method: one for one in results}


def test_reads_every_method_and_choice(study):
    found = read_study(study)
    assert found.references == ("fix",)
    assert found.unreadable == ()
    results = by_method(found.results)
    assert list(results) == ["fix", "two-hinge", "tuned"]
    for one in results.values():
        assert (len(one.runs), one.planned, one.missing) == (2, 2, 0)
        assert (one.condition.dataset, one.condition.eps) == ("cars", 2 / 255)
    assert results["tuned"].condition.schedule == "fix"
    assert results["two-hinge"].condition.start == 12.5


def test_a_condition_has_the_budget_of_its_search_once(study, monkeypatch):
    spent = Spent(6, 44_000, 3.0)
    task = load_study(study / "study.yaml").tasks[0].name
    budgets = {(task, "fix", 0): spent, (task, "fix", 1): spent}
    monkeypatch.setattr(reading, "search_budgets", lambda study: budgets)
    found = by_method(read_study(study).results)
    assert {name: one.searches for name, one in found.items()} == {
        "fix": (spent,),
        "two-hinge": (),
        "tuned": (),
    }


def test_expected_robustness_follows_the_publications_rule(study):
    run = by_method(read_study(study).results)["fix"].runs[0]
    record = load_record(run.record)
    # The grid is finer than whole gray levels.
    assert len(record.grid) > 3
    published = published_robustness(record.critical, record.grid)
    assert run.figures.expected == pytest.approx(published)


def test_missing_and_damaged_runs_are_missing_and_the_damage_is_named(study):
    first, second, *_ = planned_cells(load_study(study / "study.yaml"), study)
    shutil.rmtree(first.folder)
    (evaluation_of(second) / "samples.parquet").write_bytes(b"nothing")
    found = read_study(study)
    results = by_method(found.results)
    assert (first.method, second.method) == ("fix", "two-hinge")
    assert results["fix"].missing == results["two-hinge"].missing == 1
    assert results["tuned"].missing == 0
    assert [str(second.folder) in reason for reason in found.unreadable] == [True]


def test_an_open_choice_counts_its_runs(study):
    shutil.rmtree(study / "choices")
    shutil.rmtree(study / "runs" / "cars" / "2_255" / "tuned")
    tuned = by_method(read_study(study).results)["tuned"]
    assert (tuned.missing, tuned.planned) == (2, 2)


def test_values_of_other_axes_tell_conditions_apart_where_they_must(study):
    tree = yaml.safe_load((study / "study.yaml").read_text())
    tree["axes"]["size"] = {"small": ["data.image_size=12"]}
    (study / "study.yaml").write_text(yaml.safe_dump(tree))
    assert "fix" in by_method(read_study(study).results)
    tree["axes"]["size"]["usual"] = ["data.image_size=16"]
    (study / "study.yaml").write_text(yaml.safe_dump(tree))
    assert {"fix, small", "fix, usual"} <= set(by_method(read_study(study).results))


def test_tables_and_pictures_from_a_folder(study, tmp_path):
    found = read_study(study)
    write_published_tables(found.results, tmp_path / "tables", found.references)
    page = (tmp_path / "tables" / "published.md").read_text("utf-8")
    assert "## Without a published counterpart" in page
    assert "| rampart_glyphnet | cars | 2/255 | two-hinge |" in page
    assert "- training.epochs=1 (published: 50)" in page
    pictures = write_published_figures(found.results, tmp_path / "pictures")
    assert {"curves-2_255.png", "epochs-2_255-cars.png"} <= {one.name for one in pictures.files}


def test_a_folder_without_a_study_is_refused(tmp_path):
    with pytest.raises(RunError, match="study.yaml"):
        read_study(tmp_path)


def test_the_python_of_the_guide_runs(study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "photos").symlink_to(study)
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    names = {}
    for block in blocks:
        exec(block, names)
    assert len(list((tmp_path / "pictures").iterdir())) >= 3
    assert (tmp_path / "tables" / "others.csv").exists()
    # Fixed strength and two-hinge at two strengths, AutoAttack, and T1 and T2.
    assert len(names["swin"]) == 4 + 2 + 4 + 30
    assert (len(names["aircraft"]), len(names["rates"])) == (240, 2)
