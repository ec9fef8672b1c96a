"""Evaluations of a run and of other models on data without training images."""

import shutil

import pytest

import rampart
from rampart.errors import DataError, InvalidArgument, ModelError, RunError
from rampart.recipes.config.loading import load_config
from rampart.recipes.evaluation.evaluate_named import (
    ensure_evaluated,
    evaluate_model,
    evaluate_run,
)
from rampart.recipes.train import train_run
from rampart.reports.evaluations import own_evaluation

FEW = ("evaluation.checks=false", "evaluation.attack.steps=1")


@pytest.mark.parametrize(
    ("splits", "split", "count"),
    [
        (("test",), "test", 9),
        (("test",), "all", 9),
        (("val", "test"), "validation", 9),
        (("val", "test"), "all", 18),
        (("train", "val", "test"), "test", 9),
        (("train", "test"), "test", 9),
        (("train", "val", "test"), "all", 27),
        ((), "test", 6),
        ((), "all", 36),
    ],
)
def test_new_images_need_no_training_images(run, make_photos, splits, split, count):
    data = make_photos(*splits, each=3 if splits else 12)
    settings = (f"data={data}", f"evaluation.split={split}")
    folder, record = evaluate_run(run.path, (*settings, *FEW))
    assert (len(record), record.metadata["split"]) == (count, split)
    assert any("not the data of the run" in note for note in record.metadata["data"]["notes"])
    assert "data_new_" in folder.name


def test_every_image_is_offered_where_a_part_was_drawn(run, make_photos):
    _, record = evaluate_run(run.path, (f"data={make_photos(each=12)}", *FEW))
    assert any("evaluation.split=all" in note for note in record.metadata["data"]["notes"])


def test_a_folder_too_small_for_a_part_is_offered_whole(run, make_photos):
    with pytest.raises(DataError, match="evaluation.split=all"):
        evaluate_run(run.path, (f"data={make_photos()}", *FEW))


def test_new_images_are_no_evaluation_of_the_run(run, make_photos):
    evaluate_run(run.path, (f"data={make_photos('test')}", "evaluation.checks=false"))
    assert own_evaluation(run.path, checks=False) is None
    folder, record = ensure_evaluated(run.path, checks=False)
    assert folder.name == "test-linf-8_255-apgd-3"
    assert record.metadata["data"]["notes"] == []


def test_moved_data_are_still_those_of_the_run(run, photo_folder, tmp_path):
    moved = shutil.copytree(photo_folder, tmp_path / "moved")
    folder, record = evaluate_run(run.path, (f"data={moved}", *FEW))
    assert "data_" not in folder.name
    assert record.metadata["data"]["notes"] == []


def test_what_describes_the_data_of_the_run_does_not_describe_others(
    photo_folder, make_photos, tmp_path, tiny_settings
):
    named = tmp_path / "named"
    for split in ("train", "validation", "test"):
        shutil.copytree(photo_folder / split, named / f"our_{split}")
    names = [f"data.splits.{split}=our_{split}" for split in ("train", "validation", "test")]
    own = ["data.name=named", f"data.root={tmp_path}", *names]
    run = train_run(load_config(None, [*tiny_settings, *own]), tmp_path / "run")
    _, record = evaluate_run(run.path, (f"data={make_photos('test')}", *FEW))
    data = record.metadata["settings"]["data"]
    assert (data["root"], set(data["splits"].values())) == ("", {None})
    assert data["image_size"] == 16
    (note,) = (one for one in record.metadata["data"]["notes"] if "data.splits" in one)
    assert f"data.root={tmp_path}" in note
    assert all(name in note for name in names)
    # Set for the new data too.
    (tmp_path / "new" / "test").rename(tmp_path / "new" / "our_test")
    settings = (f"data={make_photos('other')}", "data.splits.test=our_test", *FEW)
    _, record = evaluate_run(run.path, settings, tmp_path / "again")
    assert len(record) == 9


def texts(record):
    """Return the notes and the warnings that tell whether training images are among others."""
    data = record.metadata["data"]
    start = "not the data of the run"
    return [[text for text in data[key] if start in text] for key in ("notes", "warnings")]


@pytest.mark.parametrize(
    ("copied", "count"), [("train", 2), ("validation", 0), ("test", 0), (None, 0)]
)
def test_copies_of_training_images_are_counted(run, photo_folder, make_photos, copied, count):
    data = make_photos("test")
    for name in ("0.png", "1.png") if copied else ():
        shutil.copy(photo_folder / copied / "red" / name, data / "test" / "red" / f"copy{name}")
    _, record = evaluate_run(run.path, (f"data={data}", *FEW))
    notes, warnings = texts(record)
    assert len(record) == (11 if copied else 9)
    if count:
        assert notes == []
        assert f"{count} of {len(record)} images" in warnings[0]
        assert "test/red/copy0.png is a copy of train/red/0.png" in warnings[0]
    else:
        assert warnings == []
        assert "no image is a training image" in notes[0]


@pytest.mark.parametrize("lost", ["moved", "changed"])
def test_training_images_that_are_not_there_cannot_be_excluded(
    photo_folder, make_photos, tmp_path, tiny_settings, lost
):
    own = shutil.copytree(photo_folder, tmp_path / "own")
    run = train_run(load_config(None, [*tiny_settings, f"data.name={own}"]), tmp_path / "run")
    data = make_photos("test")
    shutil.copy(own / "train/red/0.png", data / "test/red/copy.png")
    if lost == "moved":
        own.rename(tmp_path / "elsewhere")
    else:
        (own / "train/blue/0.png").unlink()
    _, record = evaluate_run(run.path, (f"data={data}", *FEW))
    notes, warnings = texts(record)
    assert warnings == []
    assert "if images that it was trained on are among them" in notes[0]


def test_only_training_images_of_a_drawn_split_count(make_photos, tmp_path, tiny_settings):
    own = make_photos(each=12).rename(tmp_path / "own")
    run = train_run(load_config(None, [*tiny_settings, f"data.name={own}"]), tmp_path / "run")
    data = shutil.copytree(own, tmp_path / "new")
    (data / "red/0.png").rename(data / "red/renamed.png")
    _, record = evaluate_run(run.path, (f"data={data}", "evaluation.split=all", *FEW))
    _, warnings = texts(record)
    # Of twelve images of each class two are for the test and one for validation.
    assert "27 of 36 images" in warnings[0]


def test_changed_data_of_the_run_are_refused(photo_folder, tmp_path, tiny_settings):
    own = shutil.copytree(photo_folder, tmp_path / "own")
    trained = train_run(load_config(None, [*tiny_settings, f"data.name={own}"]), tmp_path / "run")
    next((own / "train").rglob("*.png")).unlink()
    with pytest.raises(RunError, match="data=FOLDER"):
        evaluate_run(trained.path, FEW)
    with pytest.raises(RunError, match="data=FOLDER"):
        evaluate_run(trained.path, (f"data={own}/../own", *FEW))


def test_all_images_of_a_training_are_refused(run, tiny_settings, tmp_path):
    with pytest.raises(InvalidArgument, match=r"evaluation.split=all.*data=FOLDER"):
        evaluate_run(run.path, ("evaluation.split=all", *FEW))
    config = load_config(None, [*tiny_settings, "evaluation.split=all"])
    with pytest.raises(InvalidArgument, match="evaluation.split=all"):
        train_run(config, tmp_path / "all")


@pytest.mark.parametrize(
    ("classes", "says"),
    [
        (("blue", "green"), "evaluation.match=by_name to select"),
        (("blue", "green", "pink", "red"), "no class 'pink'.*rename.*train a model"),
        (("blue", "green", "pink"), "no class 'pink'.*evaluation.match=by_position"),
    ],
)
def test_other_classes_are_refused_with_advice(run, make_photos, classes, says):
    with pytest.raises(ModelError, match=says):
        evaluate_run(run.path, (f"data={make_photos('test', classes=classes)}", *FEW))


def test_some_of_the_classes_of_a_run(run, make_photos):
    settings = (f"data={make_photos('test', classes=('green', 'red'))}", "evaluation.match=by_name")
    _, record = evaluate_run(run.path, (*settings, *FEW))
    assert record.metadata["model"]["classes"] == ["green", "red"]
    assert set(record.predictions) <= {0, 1}


def test_a_missing_split_is_named(run, make_photos):
    data = make_photos("val")
    with pytest.raises(DataError, match="evaluation.split=validation"):
        evaluate_run(run.path, (f"data={data}", *FEW))


def test_training_needs_training_images(make_photos, tiny_settings, tmp_path):
    config = load_config(None, [*tiny_settings, f"data.name={make_photos('test')}"])
    with pytest.raises(DataError, match="no split train"):
        train_run(config, tmp_path / "run")


@pytest.mark.parametrize(("splits", "split"), [(("test",), "test"), ((), "all")])
def test_other_models_and_python_alike(network, make_photos, tmp_path, splits, split):
    reference, (size, _, *rest) = network
    data = str(make_photos(*splits))
    settings = (size, *rest, f"data={data}", f"evaluation.split={split}")
    _, record = evaluate_model(reference, settings, tmp_path / "evaluation")
    attack, strengths = {"name": "apgd", "steps": 10}, ["20/255", "40/255", "60/255", "80/255"]
    how = {"split": split, "image_size": 16, "strengths": strengths, "checks": False}
    result = rampart.evaluate(reference, data, "80/255", attack, **how)
    assert len(record) == 9
    assert list(record.ids) == list(result.ids)
    assert record.critical.tolist() == result.critical.tolist()
