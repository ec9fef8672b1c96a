"""Bad input gives a one-line error and status 2; good input trains, evaluates and compares."""

import errno
import json
import shutil

import pytest
from PIL import Image

from rampart.api.finetuned_run import load_run
from rampart.data.batches import ordered_batches
from rampart.recipes.splits import make_splits
from rampart.records.storage import load_record
from rampart.runs.run_folder import RunFolder


@pytest.fixture
def train(tiny_settings, tmp_path):
    return ["train", *tiny_settings, "-o", tmp_path / "run"]


@pytest.fixture
def photos(photo_folder, tmp_path):
    return shutil.copytree(photo_folder, tmp_path / "photos")


def test_train_evaluate_compare(rampart, train, tmp_path):
    first = rampart(*train)
    assert first.status == 0
    assert "epoch   3/3" in first.out
    assert "expected" in first.out
    other = tmp_path / "other"
    assert rampart(*train[:-1], other, "schedule=fix", "--no-evaluate").status == 0
    assert rampart("evaluate", other).status == 0
    assert rampart("evaluate", other, "threat.eps=4/255").status == 0
    result = rampart("compare", tmp_path / "run", "-o", tmp_path / "comparison")
    assert result.status == 0
    rows = json.loads((tmp_path / "comparison" / "comparison.json").read_text())
    assert [row["schedule"] for row in rows] == ["two-hinge"]
    both = ["compare", tmp_path / "run", other, "-o", tmp_path / "comparison", "--overwrite"]
    assert rampart(*both).status == 0, "each run's own threat"
    rows = json.loads((tmp_path / "comparison" / "comparison.json").read_text())
    assert [row["eps"] for row in rows] == [8 / 255, 8 / 255]
    above = rampart("evaluate", tmp_path)
    assert f"give one below it, {other} or {tmp_path / 'run'}." in above.err
    missing = rampart(*both, "--evaluation", "test-linf-4_255-apgd-3")
    assert missing.status == 2
    assert "it has test-linf-8_255-apgd-3" in missing.err
    assert rampart(*both, "--evaluation", "test-linf-8_255-apgd-3").status == 0
    taken = rampart("compare", other, "-o", other / "model")
    assert taken.status == 2
    assert "neither runs nor a comparison" in taken.err
    rows = json.loads((tmp_path / "comparison" / "comparison.json").read_text())
    keys = {"run", "schedule", "seed", "n", "eps", "clean", "adversarial", "expected"}
    assert all(keys <= row.keys() for row in rows)
    for name in ("comparison.csv", "comparison.md", "curves.png", "histories.png"):
        assert (tmp_path / "comparison" / name).stat().st_size > 0


@pytest.mark.parametrize("idle", ["objective=standard", "threat.eps=0"])
def test_a_schedule_without_an_attack_is_noted(rampart, train, idle):
    done = rampart(*train, idle, "training.epochs=1", "schedule=fix", "--no-evaluate")
    why = idle if idle.startswith("objective") else "threat.eps is 0"
    assert f"note: training uses no attack ({why})" in " ".join(done.out.split())


def test_copies_are_named_before_training_and_after_evaluation(rampart, train, photos):
    source = next(photos.glob("train/*/*"))
    shutil.copy(source, photos / "test" / source.parent.name / "copy.png")
    done = rampart(*train, "training.epochs=1", f"data.name={photos}")
    said = [line for line in done.out.splitlines() if line.startswith("warning: ")]
    assert len(said) == 2, done.out
    assert "1 such image)" in said[0]
    assert said[0] == said[1]


def test_no_data(refused, train, tmp_path):
    refused("photos-that-are-not-there", *train, "data.name=photos-that-are-not-there")
    (tmp_path / "empty").mkdir()
    refused("empty", *train, f"data.name={tmp_path / 'empty'}")
    assert not (tmp_path / "run").exists()


def test_a_class_without_images(refused, train, photos):
    for file in (photos / "train" / "green").iterdir():
        file.unlink()
    refused("green", *train, f"data.name={photos}")


def test_an_unreadable_image(refused, train, photos):
    (photos / "train" / "red" / "0.png").write_bytes(b"this is no picture")
    refused("0.png", *train, f"data.name={photos}")


def test_an_image_that_is_cut_off(refused, train, photos):
    path = photos / "train" / "red" / "0.png"
    Image.effect_noise((64, 64), 50).save(path)
    path.write_bytes(path.read_bytes()[:-1000])
    refused("0.png", *train, f"data.name={photos}")


def test_classes_that_differ_between_splits(refused, train, photos):
    (photos / "test" / "red").rename(photos / "test" / "crimson")
    refused("crimson", *train, f"data.name={photos}")


def test_a_validation_split_larger_than_the_data(refused, train, photos):
    shutil.rmtree(photos / "validation")
    refused("validation_fraction", *train, f"data.name={photos}", "data.validation_fraction=1.5")
    refused("validation_fraction", *train, f"data.name={photos}", "data.validation_fraction=0.01")


def test_an_unknown_model(refused, train):
    result = refused("resnet50", *train, "model=resnet5O", "model.options={}")
    assert "did you mean" in result.err


def test_weights_that_do_not_fit(refused, train, tmp_path, rampart):
    assert rampart(*train, "--no-evaluate").status == 0
    weights = tmp_path / "run" / "model" / "model.safetensors"
    result = refused(
        "running_mean",
        *train[:-1],
        tmp_path / "other",
        "model.pretrained=true",
        f"model.weights={weights}",
        "model.options={norm: group, in_chans: 3}",
    )
    assert "do not fit" in result.err


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("threat.eps=4", "write 4/255"),
        ("threat.eps=-1/255", "threat.eps=-1/255"),
        ("schedule.start=0.8", "start"),
        ("schedule={name: two-hinge, start: 1, end: 9, unit: epoch}", "the run's 3 epochs"),
        ("training.epoch=3", "training.epochs"),
        ("evaluation.strengths=[2/255]", "evaluation.strengths=2/255: expected threat.eps, 8/255"),
        ("evaluation.limit=100000", "limit=100000"),
        ("evaluation.top_k=7", "evaluation.top_k=7: expected fewer than the"),
        ("evaluation.attack.mode=unchanged", "evaluation.attack.mode=unchanged: expected eval"),
        ("strategies=5", "expected a list such as"),
        ("evaluation.ids=nowhere.txt", "list of ids 'nowhere.txt' cannot be read"),
        ("model", "key=value"),
    ],
)
def test_settings_out_of_range(refused, train, tmp_path, setting, says):
    refused(says, *train, setting)
    assert not (tmp_path / "run").exists()


def test_an_output_folder_that_exists(refused, rampart, train, tmp_path):
    assert rampart(*train, "--no-evaluate").status == 0
    refused("--resume continues its run, --overwrite", *train)
    refused("training.epochs: 3 -> 4", *train, "training.epochs=4", "--resume")
    assert rampart(*train, "--resume", "--no-evaluate").status == 0
    assert rampart("train", "-o", tmp_path / "run", "--resume", "--no-evaluate").status == 0
    assert rampart(*train, "training.epochs=1", "--overwrite", "--no-evaluate").status == 0
    assert RunFolder(tmp_path / "run").status() == "complete"


def test_no_space_and_no_permission(refused, train, monkeypatch, tmp_path):
    def full(*arguments, **more):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "run"))

    monkeypatch.setattr("rampart.training.checkpoint.save_file", full)
    refused("No space left on device", *train)
    assert RunFolder(tmp_path / "run").status() == "failed"
    monkeypatch.setattr("os.access", lambda path, mode: False)
    refused("cannot be written", *train[:-1], tmp_path / "elsewhere")


def test_configurations_that_do_not_exist(refused, train, tmp_path):
    refused("does not exist", "train", tmp_path / "none.yaml", "-o", tmp_path / "run")
    refused("one configuration file", "train", "a.yaml", "b.yaml", "-o", tmp_path / "run")
    refused("model is not set", "train", "-o", tmp_path / "run")


def test_a_folder_that_is_not_a_run(refused, tmp_path):
    refused("does not exist", "evaluate", tmp_path / "nothing")
    refused("holds no run", "compare", tmp_path / "nothing")


def test_nothing_to_resume(refused, tmp_path):
    says = "holds no run to resume"
    refused(says, "train", "--resume", "-o", tmp_path / "missing")
    refused(says, "train", "model=resnet18", "--resume", "-o", tmp_path)


def test_a_function_of_the_user_is_trained_resumed_and_evaluated(
    rampart, refused, tiny_settings, tmp_path
):
    code, run = tmp_path / "mine.py", tmp_path / "run"
    code.write_text(
        "from torch import nn\n"
        "def net():\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.Flatten(), nn.Linear(196, 3))\n"
    )
    others = [setting for setting in tiny_settings if not setting.startswith("model")]
    given = [f"model={code}:net", *others, "training.epochs=1", "training.monitors=false"]
    assert rampart("train", *given, "--no-evaluate", "-o", run).status == 0
    assert rampart("train", "--resume", "--no-evaluate", "-o", run).status == 0
    evaluated = rampart("evaluate", run, "evaluation.checks=false")
    assert evaluated.status == 0, evaluated.err
    (folder,) = (run / "evaluations").iterdir()
    loaded = load_run(run)
    record = load_record(folder)
    split = make_splits(loaded.config).test
    (batch,) = ordered_batches(split, len(split))
    predicted = loaded.model(batch.to("cpu").pixels()).argmax(1)
    assert record.predictions.tolist() == predicted.tolist()
    code.unlink()
    refused("mine.py' was not found", "evaluate", run, "--overwrite")
