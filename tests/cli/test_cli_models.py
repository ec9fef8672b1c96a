import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
import yaml

from published import network, published, small
from rampart.models.catalogue import catalogue
from rampart.records.storage import load_record

NAME = "robustbench:Salman2020Do_R18"


@pytest.fixture
def robust(tmp_path, monkeypatch):
    """A small backbone of the catalogue, and its published file."""
    entry = replace(small(catalogue()[NAME]), address="http://127.0.0.1:9/file.pt")
    entries = {**catalogue(), NAME: entry}
    monkeypatch.setattr("rampart.models.catalogue.catalogue", lambda: entries)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    cache = tmp_path / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    torch.save(published(entry, network(entry).state_dict()), cache / entry.file)
    return cache / entry.file


def test_the_list_names_every_backbone(typed):
    result = typed("models")
    assert result.status == 0
    rows = {line.split()[0]: line for line in result.out.splitlines()[1:]}
    assert set(catalogue()) <= set(rows)
    assert rows["ares:swinb_at"].split()[1:5] == [
        "swin_base_patch4_window7_224",
        *("robust", "76.6", "57.3"),
    ]
    assert "cannot be loaded" in rows["robustbench:Xu2024MIMIR_Swin-B"]


def test_the_list_needs_no_torch():
    code = (
        "import sys; sys.argv = ['rampart', 'models']\n"
        "from rampart.cli.main import app; app(standalone_mode=False)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("name", catalogue())
def test_every_backbone_is_shown_with_its_facts(typed, name, local_hub):
    result = typed("models", name)
    assert result.status == 0, result.err
    entry = catalogue()[name]
    facts = [entry.title, entry.license, entry.homepage, entry.paper, entry.note, *entry.inferred]
    facts += [f"cannot be loaded: {entry.refused}"] if entry.refused else [entry.timm, entry.file]
    facts += [] if entry.clean is None else [f"{entry.clean} % clean", f"{entry.autoattack} %"]
    facts += [] if entry.refused else [f"rampart train model={name}", entry.place]
    assert all(fact in result.out for fact in facts)
    assert not local_hub.requests


def test_other_models_are_shown(typed, refused):
    result = typed("models", "model=resnet18.a1_in1k")
    assert "resnet18" in result.out
    assert "mean [0.485, 0.456, 0.406]" in result.out
    refused("did you mean ares:swinb_at", "models", "ares:swinb")
    refused("convnext", "models", "convnxt")


def test_the_cache_is_shown(typed, robust):
    assert "in the cache" in typed("models", NAME).out
    [row] = [line for line in typed("models").out.splitlines() if line.startswith(NAME)]
    assert row.endswith("in the cache")


def test_a_run_from_a_robust_backbone(rampart, robust, photo_folder, tmp_path):
    result = rampart(
        *("train", f"model={NAME}", f"data={photo_folder}", "data.image_size=32"),
        *("schedule=fix", "training.epochs=1", "training.batch_size=8", "attack.steps=1"),
        *("evaluation.attack.steps=2", "-o", tmp_path / "run"),
    )
    assert result.status == 0, result.err
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert config["model"]["name"] == NAME
    saved = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    assert saved["architecture"] == "resnet18"
    assert saved["pretrained_cfg"]["mean"] == pytest.approx([0.485, 0.456, 0.406])
    again = rampart("evaluate", tmp_path / "run", "evaluation.attack.steps=1")
    assert again.status == 0, again.err


def test_a_robust_classifier_is_evaluated(rampart, robust, refused, photo_folder, tmp_path):
    names = {"blue": "n01440764", "green": "n01443537", "red": "n01484850"}
    for name, synset in names.items():
        shutil.copytree(photo_folder / "test" / name, tmp_path / "imagenet" / synset)
    settings = [f"data={tmp_path / 'imagenet'}", "data.image_size=32", "evaluation.match=by_name"]
    settings += ["evaluation.split=all", "evaluation.attack.steps=1", "threat.eps=1/255"]
    prints = []
    for number, name in enumerate((NAME, f"{NAME}:{robust}")):
        target = tmp_path / str(number)
        result = rampart("evaluate", name, *settings, "-o", target)
        assert result.status == 0, result.err
        record = load_record(target)
        assert record.metadata["model"]["name"] == name
        prints.append(record.metadata["model"]["fingerprint"])
    assert prints[0] == prints[1]
    refused("cannot be loaded: its Swin", "evaluate", "robustbench:Xu2024MIMIR_Swin-B", *settings)
