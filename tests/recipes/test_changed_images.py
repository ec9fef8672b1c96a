"""Images that change under the same names and labels are noticed, wherever they are read again."""

import shutil

import pytest
from PIL import Image, ImageOps
from tests.checked_files import replace_text

from rampart.data.datasets import load_splits
from rampart.errors import RunError
from rampart.recipes.config.loading import load_config
from rampart.recipes.evaluation.evaluate_named import evaluate_run
from rampart.recipes.evaluation.verify import verify
from rampart.recipes.train import train_run
from rampart.reports.evaluations import own_evaluation

QUICK = ["training.epochs=1", "evaluation.checks=false", "evaluation.rerun=0", "attack.steps=1"]


@pytest.fixture
def photos(photo_folder, tmp_path):
    shutil.copytree(photo_folder, tmp_path / "photos")
    return tmp_path / "photos"


@pytest.fixture
def run(tiny_settings, photos, tmp_path):
    settings = [*tiny_settings, f"data.name={photos}", *QUICK]
    return train_run(load_config(None, settings), tmp_path / "run")


def change(photos, split):
    """Change one picture, under its name."""
    file = photos / split / "red" / "0.png"
    with Image.open(file) as picture:
        ImageOps.invert(picture).save(file)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_resume_and_evaluate_refuse_changed_images_and_name_the_split(run, photos, split):
    assert set(run.facts()["content"]) == {"train", "validation", "test"}
    change(photos, split)
    with pytest.raises(RunError, match=rf"images .* have changed .*split: {split}\)"):
        evaluate_run(run.path)
    run.set_status("interrupted")
    with pytest.raises(RunError, match=rf"images .* have changed .*split: {split}\)"):
        train_run(load_config(run), run.path, resume=True)


def test_a_changed_copy_of_the_data_is_other_data(run, photos, tmp_path):
    other = tmp_path / "noisy"
    shutil.copytree(photos, other)
    moved, _ = evaluate_run(run.path, (f"data={other}",))
    shutil.rmtree(moved)
    change(other, "test")
    folder, record = evaluate_run(run.path, (f"data={other}",))
    assert "-data_noisy_" in folder.name
    assert moved.name in folder.name
    assert any("not the data of the run" in note for note in record.metadata["data"]["notes"])
    assert own_evaluation(run.path) is None
    own, _ = evaluate_run(run.path)
    assert own_evaluation(run.path) == own


def test_verify_refuses_images_that_changed_since_the_evaluation(run, photos):
    folder, _ = evaluate_run(run.path, ("evaluation.adversarial_examples=true",))
    assert verify(folder).ok
    change(photos, "test")
    replace_text(run.status_file, '"content"', '"before"')
    with pytest.raises(RunError, match=r"changed since the evaluation.*split: test\)"):
        verify(folder)


def test_a_run_without_digests_of_its_images_is_used_as_before(run, photos):
    replace_text(run.status_file, '"content"', '"before"')
    change(photos, "test")
    evaluate_run(run.path)


def test_the_content_is_that_of_the_files_whatever_the_size_and_the_cache(photos):
    first = load_splits(str(photos), image_size=16).contents()
    assert load_splits(str(photos), image_size=8, cache=False).contents() == first
    change(photos, "train")
    changed = load_splits(str(photos), image_size=16).contents()
    assert [name for name in first if first[name] != changed[name]] == ["train"]
