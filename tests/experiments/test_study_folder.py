"""A study writes into a folder of its own only."""

import pytest

from rampart.errors import RunError
from rampart.experiments.running import run_study
from rampart.experiments.study import Study
from rampart.experiments.study_folder import require_own_folder, run_places


@pytest.fixture
def study():
    options = {"a": ("optimizer.head_lr=1e-2",), "b": ("optimizer.head_lr=1e-3",)}
    return Study(
        base={"model": "none", "data": "none"},
        seeds=(0, 1),
        tasks={"my photos": ()},
        methods={"fix": (), "linear": ("schedule=linear",)},
        choices={"tuned": {"method": "fix", "seeds": (7,), "among": options}},
    )


def run_at(folder):
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("model: {name: none}\n")
    (folder / "run.json").write_text('{"status": "complete", "rampart": "1"}\n')
    return folder


def evaluation_at(folder):
    folder.mkdir(parents=True)
    for name in ("record.json", "samples.parquet", "summary.json", "curve.csv"):
        (folder / name).write_text("{}")
    return folder


def test_every_run_of_the_study_may_lie_there(study, tmp_path):
    assert len(run_places(study, tmp_path)) == 2 * 3 + 2
    for number, place in enumerate(sorted(run_places(study, tmp_path))):
        run_at(place)
        evaluation_at(place / "evaluations" / f"test-{number}")
        (place.with_name(f"{place.name}-error.txt")).write_text("")
    for name in ("study.yaml", "log.txt", "study.md", "choices.json", ".hidden"):
        (tmp_path / name).write_text("")
    (tmp_path / "logs").mkdir()
    require_own_folder(study, tmp_path)
    require_own_folder(study, tmp_path / "new")


@pytest.mark.parametrize(
    "place",
    [
        "first",
        "runs/first",
        "runs/my_photos/trades/seed-0",
        "runs/my_photos/fix/seed-2",
        "runs/flowers/fix/seed-0",
        "choices/tuned/my_photos/c/seed-7",
    ],
)
def test_runs_of_others_are_named_before_any_training(study, tmp_path, place):
    run_at(sorted(run_places(study, tmp_path))[0])
    other = run_at(tmp_path / place)
    with pytest.raises(RunError, match="not of this study") as caught:
        run_study(study, tmp_path)
    assert str(other) in str(caught.value)
    assert "--output" in str(caught.value)


def test_a_run_an_evaluation_and_a_folder_with_other_folders_are_refused(study, tmp_path):
    photos = tmp_path / "photos"
    (photos / "rose").mkdir(parents=True)
    with pytest.raises(RunError, match="other folders.*rose"):
        require_own_folder(study, photos)
    for folder in (run_at(tmp_path / "run"), evaluation_at(tmp_path / "evaluation")):
        with pytest.raises(RunError, match="a run or an evaluation"):
            require_own_folder(study, folder)
