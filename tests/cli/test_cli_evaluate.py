"""`evaluate`, `verify` and `report`: their output, and a one-line error for each mistake."""

import json

import numpy as np
import pytest
from safetensors.torch import save_file

NETWORK = """
from torch import nn

class Means(nn.Module):
    def forward(self, pixels):
        return {scale} * pixels.mean((2, 3))[:, [2, 1, 0]]

def network():
    return Means()
"""


@pytest.fixture
def network(tmp_path):
    """A linear classifier by the mean of a channel, as the user's own code."""
    (tmp_path / "nets.py").write_text(NETWORK.format(scale=20))
    return f"{tmp_path / 'nets.py'}:network"


@pytest.fixture
def evaluate(network, photo_folder, tmp_path):
    settings = ["threat.eps=80/255", "evaluation.strengths=[20/255, 40/255, 60/255, 80/255]"]
    own = [f"data={photo_folder}", "data.image_size=16", *settings]
    return ["evaluate", network, *own, "-o", tmp_path / "evaluation"]


def test_evaluate_prints_figures_checks_and_cost(rampart, evaluate, tmp_path):
    result = rampart(*evaluate, "evaluation.rerun=5")
    assert result.status == 0, result.err
    lines = result.out.splitlines()
    assert lines[0].startswith("test, 15 images: clean 100.0%, at 80/255 0.0%, expected ")
    assert lines[1].endswith("by position: 0 = blue, 1 = green, 2 = red")
    assert lines[2].startswith("checks: ")
    assert "rerun: 5 images attacked at each strength alone, no difference" in result.out
    assert "passes per image" in result.out
    assert lines[-1] == f"evaluation in {tmp_path / 'evaluation'}"
    figures = json.loads((tmp_path / "evaluation" / "summary.json").read_text())
    seen = [v for v in figures["checks"]["verdicts"] if v["status"] in ("warn", "fail")]
    assert all(verdict["message"] in result.out for verdict in seen)


def test_evaluate_verify_report(rampart, refused, evaluate, tmp_path):
    where = tmp_path / "evaluation"
    assert rampart(*evaluate, "evaluation.adversarial_examples=true").status == 0
    refused("--overwrite replaces it", *evaluate)
    result = rampart("verify", where)
    assert result.status == 0, result.err
    files, verdict = result.out.splitlines()[:2]
    assert files == f"{where}: 31 files as written, 0 damaged, changed or missing."
    assert verdict.startswith("verified: 15 predictions and 15 adversarial")
    (tmp_path / "nets.py").write_text(NETWORK.format(scale=-20))
    refused("not the one that", "verify", where)
    said = rampart("report", where, "--per-class", "-d", "beta:a=2,b=5")
    assert said.status == 0
    for words in ("expected under beta:a=2,b=5", "worst class", "class green (5 images)"):
        assert words in said.out
    facts = json.loads(rampart("report", where, "--json").out)
    assert facts["records"][0]["n"] == 15


def test_a_folder_above_the_evaluations_names_them_and_the_verb(
    rampart, refused, evaluate, tmp_path
):
    where = tmp_path / "evaluations" / "one"
    assert rampart(*evaluate[:-1], where).status == 0
    refused(f"give one below it, {where}.", "report", tmp_path / "evaluations")
    for folder in (where, tmp_path / "evaluations"):
        refused(f"`rampart report {where}`", "compare", folder, "-o", tmp_path / "comparison")


def test_two_models_are_reported_in_pairs(rampart, evaluate, photo_folder, tmp_path):
    assert rampart(*evaluate).status == 0
    (tmp_path / "others.py").write_text(NETWORK.format(scale=1).replace("[2, 1, 0]", "[2, 0, 1]"))
    other = ["evaluate", f"{tmp_path / 'others.py'}:network", *evaluate[2:-1], tmp_path / "other"]
    assert rampart(*other).status == 0
    out = rampart("report", tmp_path / "evaluation", tmp_path / "other").out
    assert "nets.py:network - others.py:network, on 15 shared images:" in out
    assert "clean: +66.7 points" in out
    assert "nets.py:network leads in expected robustness" in out


def test_verify_fails_where_images_have_changed(rampart, evaluate, tmp_path):
    from dataclasses import replace

    from rampart.records.storage import load_record, save_record

    assert rampart(*evaluate, "evaluation.adversarial_examples=true").status == 0
    record = load_record(tmp_path / "evaluation", adversarial_examples=True)
    save_record(
        replace(record, adversarial_examples=np.zeros_like(record.adversarial_examples)),
        tmp_path / "forged",
    )
    result = rampart("verify", tmp_path / "forged")
    assert result.status == 1
    assert "not verified: 15 of 15 samples" in result.out


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("evaluation.limit=99", "limit=99"),
        ("evaluation.top_k=3", "evaluation.top_k=3: expected fewer than the 3 classes"),
        ("evaluation.strengths=[1/255]", "as the last strength"),
        ("evaluation.attack=autoattack", "unknown attack 'autoattack'"),
        ("evaluation.attack.step=3", "unknown option of attack 'apgd' 'step'"),
        ("evaluation.stratify=true", "did you mean evaluation.stratified"),
        ("evaluation.match=name", "evaluation.match=name"),
        ("model.batch_norm=frozen", "cannot change model.batch_norm"),
        ("attack=standard", "write evaluation.attack=standard"),
        ("model=resnet18", "model=resnet18: expected no other model"),
        ("model.name=resnet18", "model.name=resnet18: expected no other model"),
        ("attack.steps=4", "write evaluation.attack.steps=4"),
        ("training.batch_size=8", "write evaluation.batch_size=8"),
        ("schedule=fix", "leave them out"),
        ("steps=3", "did you mean evaluation.attack.steps?"),
        ("match=by_name", "did you mean evaluation.match?"),
        ("data.name=nowhere", "nowhere"),
        ("evaluation.ids=nowhere.txt", "nowhere.txt"),
    ],
)
def test_wrong_settings(refused, evaluate, setting, says):
    refused(says, *evaluate, setting)


def test_models_that_are_not_there(refused, evaluate, photo_folder, tmp_path):
    rest = evaluate[2:]
    for model, says in (
        ("torchvison:resnet18", "did you mean torchvision"),
        ("nothing:network", "module 'nothing'"),
        ("nothing.onnx", "'nothing.onnx'"),
        ("nothing.pth", "is a pickle"),
        ("resnet5O", "did you mean"),
        (str(tmp_path), "holds no run"),
        ("run/a/config.yaml", "does not exist"),
    ):
        refused(says, "evaluate", model, *rest)
    refused("data.name is not set", "evaluate", evaluate[1], "data.image_size=16")
    refused("data.image_size=224", "evaluate", evaluate[1], f"data={photo_folder}")


def test_a_model_that_raises(refused, evaluate, tmp_path):
    (tmp_path / "nets.py").write_text("def network():\n    raise RuntimeError('no weights here')\n")
    refused("no weights here", *evaluate)


def test_weights_of_another_shape(refused, evaluate, tmp_path):
    import torch

    save_file({"weight": torch.zeros(3)}, tmp_path / "model.safetensors")
    refused("model.safetensors", "evaluate", tmp_path / "model.safetensors", *evaluate[2:])


def test_a_missing_or_damaged_record(rampart, refused, tmp_path):
    for verb in ("verify", "report"):
        refused(str(tmp_path / "nothing"), verb, tmp_path / "nothing")
    (tmp_path / "record.json").write_text("{")
    refused("damaged", "report", tmp_path)
    result = rampart("verify", tmp_path)
    assert result.status == 1
    assert "record.json is damaged" in result.out


def test_verify_checks_every_file_of_a_run_and_of_a_folder_of_runs(
    rampart, refused, tiny_settings, tmp_path
):
    run = tmp_path / "runs" / "one"
    assert rampart("train", *tiny_settings, "training.epochs=1", "-o", run).status == 0
    for folder in (run, tmp_path / "runs"):
        result = rampart("verify", folder)
        assert result.status == 0, result.out
        # run.json, config.yaml, history; 3 files of the model and its card; 4 of the checkpoint
        # and the record; 2 reports.
        assert "17 files as written, 0 damaged" in result.out
    refused("data=x", "verify", run, "data=x")
    weights = run / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    next(run.glob("evaluations/*/curve.csv")).unlink()
    result = rampart("verify", tmp_path / "runs")
    assert result.status == 1
    assert "15 files as written, 2 damaged, changed or missing" in result.out
    assert f"{weights} does not match its checksum in checksums.json" in result.out
    assert "curve.csv is missing" in result.out


def test_records_that_do_not_fit_each_other(refused, rampart, evaluate, tmp_path):
    assert rampart(*evaluate).status == 0
    assert rampart(*evaluate[:-1], tmp_path / "part", "evaluation.limit=5").status == 0
    both = ("report", tmp_path / "evaluation", tmp_path / "part")
    refused("of which 5 are among the first record's 15", *both)
    refused("unknown distribution 'bet'", *both[:2], "-d", "bet:a=1")
    refused("occurs twice", *both[:2], tmp_path / "part" / ".." / "evaluation")
