"""Studies: read from a file, carried out once, chosen on validation."""

import csv
import json
import re
from pathlib import Path

import pytest
import yaml

from rampart.errors import RampartError, RunError
from rampart.experiments.study import load_study, run_study
from rampart.experiments.tables import write_study
from rampart.records.storage import load_record
from rampart.runs.run_folder import RunFolder


@pytest.fixture(scope="module")
def tree(photo_folder):
    """A study of two arms and a choice, whose runs take a second each."""
    return {
        "base": {
            "model": {
                "name": "rampart_glyphnet",
                "pretrained": False,
                "options": {"norm": "batch", "in_chans": 3},
            },
            "data": {"image_size": 16},
            "attack": {"steps": 1},
            "optimiser": {"backbone_lr": 1e-3},
            "training": {"epochs": 1, "batch_size": 8},
            # More than the 9 validation images, which choices are made on.
            "evaluation": {"trust": False, "attack": {"steps": 1}, "limit": 12},
        },
        "seeds": [0, 1],
        "tasks": {"photos at 2/255": [f"data.name={photo_folder}", "threat.eps=2/255"]},
        "arms": {"fix": ["schedule=fix"], "standard": ["schedule=standard"]},
        "choices": {
            # A name that no file can have.
            "tuned fix/2": {
                "arm": "fix",
                "seeds": [7],
                "among": {
                    "idle": ["optimiser.backbone_lr=1e-9", "optimiser.head_lr=1e-9"],
                    "awake": ["optimiser.backbone_lr=3e-3", "optimiser.head_lr=3e-2"],
                },
            }
        },
        "references": ["fix"],
    }


def written(tree, folder):
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def finished(tree, out):
    study, told = load_study(written(tree, out)), []
    figures = run_study(study, out, on_done=lambda cell, _, done, of: told.append((done, of)))
    return study, figures, told


def test_every_run_is_made_once(finished, out):
    study, figures, told = finished
    assert {(one.arm, one.seed) for one in figures} == {
        (arm, seed) for arm in ("fix", "standard", "tuned fix/2") for seed in (0, 1)
    }
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4), (1, 2), (2, 2), (1, 2), (2, 2)]
    again = []
    assert run_study(study, out, on_done=lambda *_: again.append(1)) == figures
    assert not again


def test_the_choice_is_made_on_validation(finished, out):
    told = json.loads((out / "choices.json").read_text())
    (task,) = told.values()
    values = task["tuned fix/2"]["validation expected"]
    assert task["tuned fix/2"]["chosen"] == max(values, key=values.get)
    for option in ("idle", "awake"):
        (folder,) = (out / "choices").glob(f"*/*/{option}/seed-7")
        (record,) = (load_record(one) for one in (folder / "evaluations").iterdir())
        assert record.metadata["split"] == "validation"
        assert values[option] == pytest.approx(_expected(record))


def _expected(record):
    return (record.curve[1:] + record.curve[:-1]).mean() / 2


def test_figures_are_those_of_the_runs(finished, out):
    _, figures, _ = finished
    one = next(f for f in figures if (f.arm, f.seed) == ("fix", 1))
    folder = RunFolder(out / "runs" / "photos_at_2_255" / "fix" / "seed-1")
    (record,) = (load_record(path) for path in folder.evaluations.iterdir())
    assert record.metadata["split"] == "test"
    assert (one.clean, one.adversarial) == (record.curve[0], record.curve[-1])
    assert one.expected == pytest.approx(_expected(record))
    # 24 images: APGD of one step looks twice and the training once; gradients of all but one.
    assert one.passes in (24 * 5, 24 * 6)
    assert one.full_from == 0
    assert next(f for f in figures if f.arm == "standard").full_from == 1


def test_an_interrupted_study_goes_on(finished, out):
    study, figures, _ = finished
    folder = out / "runs" / "photos_at_2_255" / "fix" / "seed-0"
    for record in folder.glob("evaluations/*/record.json"):
        record.unlink()
    again = []
    assert run_study(study, out, on_done=lambda cell, *_: again.append(cell.folder)) == figures
    assert again == [folder]


def test_a_study_that_has_changed_does_not_take_the_old_runs(finished, out):
    study, _, _ = finished
    changed = study.model_copy(update={"arms": {**study.arms, "fix": ("schedule=linear",)}})
    with pytest.raises(RunError, match=r"fix.seed-0 holds a run of another .*schedule.name: fix -"):
        run_study(changed, out)


def test_the_table_has_a_row_for_each_arm_and_the_file_one_for_each_run(finished, out):
    study, figures, _ = finished
    text = write_study(figures, list(study.tasks), out, study.references)
    rows = [line for line in text.splitlines() if re.match(r"\| (fix|standard|tuned fix/2) ", line)]
    assert len(rows) == 3
    assert (out / "study.png").stat().st_size > 0
    with (out / "results.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": []}, "seeds"),
        ({"seeds": [0, 1, 0]}, "seeds: Value error, [0, 1, 0] names a seed twice"),
        ({"seeds": [0, -1]}, "seeds.1"),
        ({"arms": {"fix": [], "lr 1/2": [], "lr 1+2": []}}, "not spelled like 'lr 1"),
        ({"arms": {"fix": ["schedule.unit=epoch", "schedule.end=3"]}}, "unknown option"),
        (
            {"arms": {"fix": ["schedule={name: two-hinge, unit: epoch, end: 3, start: 1}"]}},
            "schedule.end=3 epochs: expected at most the run's 1 epoch",
        ),
        ({"arms": {"fix": ["schedule=fxi"]}, "choices": {}}, "did you mean fix"),
        ({"arms": {"fix": ["evaluation.strengths=[9/255]"]}}, "as the last strength"),
        ({"references": ["nothing"]}, "references"),
        ({"tasks": {}}, "tasks"),
        ({"colour": 1}, "colour"),
        ({"choices": {"t": {"arm": "other", "among": {"a": [], "b": []}}}}, "choices.t.arm"),
        ({"choices": {"fix": {"arm": "fix", "among": {"a": [], "b": []}}}}, "no arm has"),
        ({"choices": {"t": {"arm": "fix", "among": {"a": ["x=1"], "b": []}}}}, "unknown key 'x'"),
    ],
)
def test_a_study_that_cannot_be_is_refused_before_it_starts(tree, tmp_path, change, message):
    with pytest.raises(RampartError, match=re.escape(message)):
        load_study(written(tree | change, tmp_path))


@pytest.mark.parametrize("text", ["", "[1, 2]", "a: [", "base: 3"])
def test_what_is_no_study_is_refused(tmp_path, text):
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(RunError, match="study"):
        load_study(tmp_path / "study.yaml")
    with pytest.raises(RunError, match="does not exist"):
        load_study(tmp_path / "missing.yaml")


@pytest.mark.slow
def test_several_workers_find_what_one_does(finished, tmp_path):
    study, figures, _ = finished
    others = run_study(study, tmp_path / "workers", workers=2)
    assert [one._replace(seconds=0) for one in others] == [
        one._replace(seconds=0) for one in figures
    ]


def test_the_committed_studies_can_be_read():
    folder = Path(__file__).parents[2] / "configs" / "studies"
    studies = {path.stem: load_study(path) for path in folder.glob("*.yaml")}
    assert {name: next(iter(study.references), None) for name, study in studies.items()} == {
        "batch-norm": "BatchNorm, fix",
        "embedded": "default",
        "embedded-seeds": "default",
        "keep-embedded": None,
        "keep-photos": None,
        "parts": "default",
        "parts-photos": "default",
        "photos": "adaptive",
        "photos-frozen": "default",
        "photos-frozen-seeds": "default",
        "photos-reachable": "adaptive",
        "photos-seeds": "adaptive",
    }
