"""A study writes into a folder of its own only."""

import pytest

from rampart.errors import RunError
from rampart.experiments.running import run_study
from rampart.experiments.study import Study
from rampart.experiments.study_folder import keep_file, places_of, require_own_folder


@pytest.fixture
def study():
    options = {"a": ("optimizer.head_lr=1e-2",), "b": ("optimizer.head_lr=1e-3",)}
    return Study(
        base={"model": "none", "data": "none"},
        seeds=(0, 1),
        axes={"task": {"my photos": ()}},
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
    assert len(places_of(study, tmp_path)) == 3 + 2
    for number, place in enumerate(sorted(places_of(study, tmp_path))):
        run = run_at(place / f"seed-{number}-0123abcd")
        evaluation_at(run / "evaluations" / f"test-{number}")
        (run.with_name(f"{run.name}-error.txt")).write_text("")
    for name in ("study.yaml", "log.txt", "study.md", "choices.json", ".hidden"):
        (tmp_path / name).write_text("")
    (tmp_path / "logs").mkdir()
    require_own_folder(study, tmp_path)
    require_own_folder(study, tmp_path / "new")


@pytest.mark.parametrize(
    "place", ["trades/seed-0-0123abcd", "fix/seed-7-0123abcd", "../flowers/fix/seed-0-0123abcd"]
)
def test_runs_of_an_earlier_version_of_the_study_may_lie_there(study, tmp_path, place):
    run_at(sorted(places_of(study, tmp_path))[-1] / "seed-0-0123abcd")
    run_at(tmp_path / "runs" / "my_photos" / place)
    require_own_folder(study, tmp_path)


@pytest.mark.parametrize(
    "place", ["first", "runs/first", "runs/my_photos/fix/seed-2", "other/my_photos/fix/seed-0-0abc"]
)
def test_runs_of_others_are_named_before_any_training(study, tmp_path, place):
    run_at(sorted(places_of(study, tmp_path))[0] / "seed-7-0123abcd")
    other = run_at(tmp_path / place)
    with pytest.raises(RunError, match="not of a study") as caught:
        run_study(study, tmp_path)
    assert str(other) in str(caught.value)
    assert "--output" in str(caught.value)


@pytest.mark.parametrize("place", ["runs/flowers/fix", "runs/my_photos/trades", "choices/t/a/b"])
def test_the_folder_of_another_study_is_refused_and_keeps_its_file(study, tmp_path, place):
    run_at(tmp_path / place / "seed-0-0123abcd")
    (tmp_path / "study.yaml").write_text("its own")
    with pytest.raises(RunError, match="another study"):
        keep_file(study, tmp_path / "new.yaml", tmp_path)
    assert (tmp_path / "study.yaml").read_text() == "its own"


def test_a_run_an_evaluation_and_a_folder_with_other_folders_are_refused(study, tmp_path):
    photos = tmp_path / "photos"
    (photos / "rose").mkdir(parents=True)
    with pytest.raises(RunError, match="other folders.*rose"):
        require_own_folder(study, photos)
    for folder in (run_at(tmp_path / "run"), evaluation_at(tmp_path / "evaluation")):
        with pytest.raises(RunError, match="a run or an evaluation"):
            require_own_folder(study, folder)
