"""`rampart publish`: its output, and a one-line error for each mistake."""

import json

import pytest

from report_folders import run as made_up


@pytest.fixture
def run(tmp_path):
    folder = made_up(tmp_path / "net")
    described = {
        "architecture": "resnet18",
        "label_names": ["cat", "dog", "fox"],
        "pretrained_cfg": {"input_size": [3, 32, 32]},
    }
    (folder / "model" / "config.json").write_text(json.dumps(described))
    return folder


def test_a_folder_and_a_dry_run(rampart, run, tmp_path):
    target = tmp_path / "out"
    tried = rampart("publish", run, "--to", target, "--dry-run")
    assert tried.status == 0, tried.err
    assert "config.json: " in tried.out
    assert f"dry run: {target} would get 10 files" in " ".join(tried.out.split())
    assert not target.exists()
    done = rampart("publish", run, "--to", target, "--license", "mit")
    assert done.status == 0, done.err
    assert f"timm loads local-dir:{target}" in " ".join(done.out.split())
    assert "license: mit" in (target / "README.md").read_text(encoding="utf-8")
    assert rampart("verify", target).status == 0


def test_each_mistake_has_a_sentence(refused, run, tmp_path):
    refused("--to", "publish", run)
    refused("is not empty", "publish", run, "--to", run)
    refused("OWNER/NAME", "publish", run, "--to", "hf:net")
    refused("license=Open Source", "publish", run, "--to", "out", "--license", "Open Source")
    refused("holds no run", "publish", tmp_path / "gone", "--to", tmp_path / "out")
