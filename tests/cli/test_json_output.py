"""`--json`: the standard output holds one JSON document and nothing else."""

import json
import os
import subprocess
import sys

import pytest
import yaml

from rampart.cli.json_output import print_json


@pytest.fixture
def document(rampart):
    """Call the command with `--json`; return its document and all of its result."""

    def call(*arguments, status=0):
        result = rampart(*arguments, "--json")
        assert result.status == status, result.err
        return json.loads(result.out), result

    return call


def test_verbs_about_a_run_print_one_document(document, tiny_settings, photo_folder, tmp_path):
    run, test = tmp_path / "run", photo_folder / "test"
    short = ["training.epochs=1", "evaluation.strengths=[8/255]"]
    trained, result = document("train", *tiny_settings, *short, "-o", run)
    assert (trained["run"], trained["status"]) == (str(run), "complete")
    assert "epoch   1/1" in result.err, "lines for people go to standard error"
    assert trained["passes"]["total"] > 0

    evaluated, _ = document("evaluate", run, "--overwrite")
    own = trained["evaluation"]
    assert {key: evaluated[key] for key in ("folder", "n", "curve", "expected")} == {
        key: own[key] for key in ("folder", "n", "curve", "expected")
    }
    profiled, _ = document("profile", run, "evaluation.attack=fgsm", "--threats", "linf=8/255")
    assert [one["norm"] for one in profiled["threats"]] == ["linf"]
    (reported,) = document("report", run)[0]["records"]
    assert reported["expected"] == own["expected"]
    compared, _ = document("compare", run, "-o", tmp_path / "comparison")
    assert [row["run"] for row in compared["runs"]] == ["run"]
    verified, _ = document("verify", run)
    assert verified["ok"]
    predicted, _ = document("predict", run, test, "--top-k", "1")
    assert len(predicted) == 15
    assert set(predicted[0]["classes"][0]) == {"class", "probability"}
    gated, _ = document("gate", run, "--expected", ">=1.0", status=1)
    assert gated["passed"] is False

    (run / "model" / "model.safetensors").write_bytes(b"damaged")
    damaged, _ = document("verify", run, status=1)
    assert not damaged["ok"]
    assert "model.safetensors" in damaged["files"]["faults"][0]


def test_verbs_about_a_study_print_one_document(document, tiny_settings, tmp_path):
    file, folder = tmp_path / "study.yaml", tmp_path / "study"
    tree = {
        "base": {"model": "none", "data": "none"},
        "seeds": [0],
        "axes": {"task": {"photos": tiny_settings}},
        "methods": {"fix": ["schedule=fix"]},
    }
    file.write_text(yaml.safe_dump(tree))
    planned, _ = document("study", "plan", file, "--no-calibration")
    assert [one["method"] for one in planned] == ["fix"]
    states, _ = document("study", "status", file, "-o", folder)
    assert states["counts"]["missing"] == 1
    table, _ = document("study", "table", file, "-o", folder)
    assert table == {"folder": str(folder), "runs": [], "unfinished": 1}


def test_verbs_about_models_and_data_print_one_document(document, photo_folder):
    known, _ = document("models")
    assert {"name", "kind", "license", "clean", "cached"} <= known[0].keys()
    assert document("models", known[0]["name"])[0] == known[0]
    assert document("models", "resnet18")[0]["image_size"] == 224
    assert "cars" in [one["name"] for one in document("data")[0]]
    counted, _ = document("data", photo_folder)
    assert counted["stock"][0]["counts"]["test"] == 15


def test_an_error_prints_no_document(rampart):
    result = rampart("evaluate", "nowhere/run", "--json")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("rampart: ")


def test_what_libraries_print_goes_to_standard_error():
    """Also from the start of the process on, before a test can replace the streams."""
    code = (
        "import sys; from rampart.cli import main; from rampart.models import catalogue\n"
        "plain = catalogue.catalogue\n"
        "def noisy():\n    print('a library speaks')\n    return plain()\n"
        "catalogue.catalogue = noisy; sys.argv = ['rampart', 'models', '--json']; main.main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ
    )
    assert json.loads(result.stdout)
    assert "a library speaks" in result.stderr


def test_numbers_that_json_lacks_become_null(capsys):
    print_json({"a": float("nan"), "b": [float("inf"), 1.5], "c": ("x", True, None)})
    assert json.loads(capsys.readouterr().out) == {
        "a": None,
        "b": [None, 1.5],
        "c": ["x", True, None],
    }


def test_of_several_processes_the_first_one_prints(capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    print_json({"a": 1})
    assert capsys.readouterr().out == ""
