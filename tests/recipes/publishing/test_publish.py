"""A published run is loaded by timm and by Rampart, from a folder and from a hub."""

import json
import shutil

import numpy as np
import pytest
import timm
import torch
from huggingface_hub import ModelCard
from PIL import Image
from timm.data import create_transform, resolve_model_data_config

import rampart
from rampart.checksums import LISTING
from rampart.errors import InvalidArgument, RunError
from rampart.recipes.config.loading import load_config
from rampart.recipes.evaluation.evaluate_named import ensure_evaluated
from rampart.recipes.publishing.publish import publish_run
from rampart.recipes.train import train_run
from rampart.records.storage import load_record
from rampart.records.whole_folders import check_files
from rampart.runs.run_folder import RunFolder
from settings import changed

QUICK = ["evaluation.limit=6", "evaluation.checks=false", "evaluation.rerun=0"]
OWN = {"README.md", "config.json", "model.safetensors", "config.yaml", "history.jsonl", LISTING}
RECORD = {"record.json", "samples.parquet", "curve.csv", "summary.json", "curve.png"}


@pytest.fixture(scope="module")
def trained(tiny_settings, tmp_path_factory):
    """A run of a network of timm itself, evaluated."""
    model = ["model=test_resnet", "model.pretrained=false", "training.epochs=1", "schedule=fix"]
    settings = changed([*tiny_settings[3:], *model, *QUICK, "training.monitors=false"])
    path = tmp_path_factory.mktemp("trained") / "run"
    run = train_run(load_config(None, settings), path)
    ensure_evaluated(run.path)
    return run


@pytest.fixture
def run(trained, tmp_path):
    shutil.copytree(trained.path, tmp_path / "run")
    return RunFolder(tmp_path / "run")


@pytest.fixture
def hub(local_hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", local_hub.token)
    return local_hub


def logits_by_timm(reference, photo):
    model = timm.create_model(reference, pretrained=True).eval()
    transform = create_transform(**resolve_model_data_config(model), is_training=False)
    with torch.no_grad(), Image.open(photo) as picture:
        return model(transform(picture.convert("RGB"))[None]), model


def logits_of(run, photo):
    own = rampart.load_run(run.path)
    with torch.no_grad(), Image.open(photo) as picture:
        pixels = torch.from_numpy(np.array(picture.convert("RGB")))
        return own.model(pixels.permute(2, 0, 1)[None] / 255)


@pytest.fixture
def photo(photo_folder):
    return photo_folder / "test" / "red" / "0.png"


def require_loads(run, reference, photo):
    """timm and Rampart give the logits of the run, and timm knows the classes."""
    own = logits_of(run, photo)
    found, model = logits_by_timm(reference, photo)
    torch.testing.assert_close(found, own, atol=1e-5, rtol=1e-5)
    assert tuple(model.pretrained_cfg["label_names"]) == ("blue", "green", "red")
    loaded = rampart.load_model(reference)
    with torch.no_grad():
        pixels = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(loaded.model(pixels), rampart.load_run(run.path).model(pixels))
    assert loaded.class_names == ("blue", "green", "red")


def test_a_folder_is_loaded_by_timm_and_its_record_is_read(run, photo, tmp_path):
    done = publish_run(run.path, str(tmp_path / "out"), license="mit")
    folder = tmp_path / "out"
    assert done.reference == f"local-dir:{folder}"
    require_loads(run, done.reference, photo)
    (evaluation,) = run.finished_evaluations()
    published = folder / "evaluations" / evaluation.path.name
    assert {one.name for one in folder.iterdir()} == OWN | {"evaluations"}
    assert {one.name for one in published.iterdir()} == RECORD
    ours, theirs = load_record(evaluation.path), load_record(published)
    assert theirs.critical.tolist() == ours.critical.tolist()
    card = ModelCard.load(folder / "README.md")
    assert card.data.license == "mit"
    assert card.data.eval_results[0].metric_value == pytest.approx(ours.accuracy[0], abs=1e-6)
    found = check_files(folder)
    assert (found.faults, len(found.matching)) == ([], 11)
    (published / "curve.csv").write_text("eps\n")
    assert "curve.csv" in check_files(folder).faults[0]


def test_a_repository_is_loaded_by_timm_and_gets_new_commits(run, hub, photo):
    assert publish_run(run.path, "hf:tester/net", private=True).reference == "hf-hub:tester/net"
    assert hub.repositories["models", "tester/net"].private
    require_loads(run, "hf-hub:tester/net", photo)
    card = ModelCard.load("tester/net")
    names = [one.metric_name.partition(" (")[0] for one in card.data.eval_results]
    assert names == ["clean accuracy", "adversarial accuracy", "expected robustness"]
    assert 'timm.create_model("hf-hub:tester/net"' in card.text
    before = hub.files("tester/net")
    # The next one lacks the evaluation.
    shutil.rmtree(run.evaluations)
    publish_run(run.path, "hf:tester/net")
    assert {path.partition("/")[0] for path in before} == OWN | {"evaluations"}
    assert hub.files("tester/net").keys() == OWN
    assert "Not evaluated" in hub.files("tester/net")["README.md"].decode()


def test_a_dry_run_asks_the_hub_and_writes_nothing(run, hub, tmp_path):
    done = publish_run(run.path, "hf:tester/net", dry_run=True)
    assert ("models", "tester/net") not in hub.repositories
    assert done.sizes["model.safetensors"] == (run.model / "model.safetensors").stat().st_size
    assert any("would get 11 files" in line for line in done.lines())
    publish_run(run.path, str(tmp_path / "out"), dry_run=True)
    assert not (tmp_path / "out").exists()
    with pytest.raises(RunError, match="license"):
        publish_run(run.path, "hf:tester/net", license="none-such", dry_run=True)


def test_what_a_reader_will_miss_or_learn_is_said(run, tmp_path):
    assert "paths of this machine" in " ".join(publish_run(run.path, str(tmp_path / "a")).notes)
    shutil.rmtree(run.evaluations)
    assert "not evaluated" in " ".join(publish_run(run.path, str(tmp_path / "b")).notes)


def test_each_mistake_at_the_hub_is_a_sentence(run, hub, monkeypatch):
    hub.add("tester/public", {"a.txt": b"a"})
    for to, options, says in (
        ("hf:net", {}, "OWNER/NAME"),
        ("hf:tester/a b", {}, "OWNER/NAME"),
        ("hf-hub:tester/net", {}, "hf:OWNER/NAME"),
        ("hf:tester/net", {"license": "The MIT license"}, "license=The MIT license"),
        ("hf:someone/net", {}, "the owner has to be your account"),
        ("hf:tester/public", {"private": True}, "exists and is public"),
    ):
        with pytest.raises((InvalidArgument, RunError), match=says) as error:
            publish_run(run.path, to, **options)
        assert "\n" not in str(error.value)
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(RunError, match="does not accept the token"):
        publish_run(run.path, "hf:tester/net")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(RunError, match="hf auth login"):
        publish_run(run.path, "hf:tester/net")
    hub.close()
    with pytest.raises(RunError, match="cannot be reached"):
        publish_run(run.path, "hf:tester/net")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(RunError, match="HF_HUB_OFFLINE"):
        publish_run(run.path, "hf:tester/net")


def test_each_mistake_of_a_folder_is_a_sentence(run, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").touch()
    with pytest.raises(RunError, match="full is not empty"):
        publish_run(run.path, str(tmp_path / "full"))
    with pytest.raises(InvalidArgument, match="private"):
        publish_run(run.path, str(tmp_path / "new"), private=True)
    (run.model / "config.json").write_text("{}")
    with pytest.raises(RunError, match="config.json does not match its checksum"):
        publish_run(run.path, str(tmp_path / "new"))
    run.set_status("interrupted")
    with pytest.raises(RunError, match="no finished model"):
        publish_run(run.path, str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_every_run_has_a_card_that_verify_reads(trained, run):
    card = ModelCard.load(trained.card)
    (evaluation,) = trained.finished_evaluations()
    assert len(card.data.eval_results) == 3
    assert f"(../evaluations/{evaluation.path.name}/curve.png)" in card.text
    assert run.card in check_files(run.path).matching
    run.card.write_text(run.card.read_text().replace("clean", "Clean"))
    (fault,) = check_files(run.path).faults
    assert "README.md" in fault


def test_an_architecture_that_timm_lacks_is_imported_first(tiny_settings, tmp_path):
    settings = [*tiny_settings, "training.epochs=1", "training.monitors=false", "schedule=fix"]
    run = train_run(load_config(None, changed(settings)), tmp_path / "run")
    assert "import rampart.models.glyphnet  # defines" in run.card.read_text()
    assert "Not evaluated" in run.card.read_text()


def test_a_module_of_your_own_is_published_with_its_name(tmp_path):
    torch.manual_seed(0)
    images = torch.randint(0, 256, (24, 3, 8, 8), dtype=torch.uint8)
    data = tuple((part, torch.arange(len(part)) % 3) for part in images.split([12, 6, 6]))
    options = {"schedule": "fix", "evaluate": False, "monitors": False, "progress": False}
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 3))
    path = tmp_path / "own"
    run = rampart.finetune(module, data, "2/255", output=path, epochs=1, batch_size=8, **options)
    done = run.publish(tmp_path / "out")
    assert any("Sequential" in note for note in done.notes)
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert card.data.library_name is None
    described = json.loads((tmp_path / "out" / "config.json").read_text())
    assert described["module"] == "torch.nn.modules.container.Sequential"
    found = rampart.models.own.load_own(tmp_path / "out", module)
    torch.testing.assert_close(found(images / 255), run.model(images / 255))
