"""`rampart study table --published` and `rampart study figures --published`."""

import shutil

import pytest
import yaml


@pytest.fixture
def study(tmp_path, rampart, tiny_settings):
    """The folder of a finished study of two runs."""
    short = ["training.epochs=1", "evaluation.checks=false", "threat.eps=2/255"]
    tree = {
        "base": {"model": "none", "data": "none"},
        "seeds": [0, 1],
        "axes": {"dataset": {"photos": [*tiny_settings, *short]}},
        "methods": ["fix"],
    }
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(tree))
    rampart("study", "run", file, "-o", tmp_path / "study")
    return tmp_path / "study"


def test_the_verbs_write_the_tables_and_pictures(study, rampart, refused):
    said = rampart("study", "table", study, "--published").out
    assert "published.md" in said
    assert "not finished" not in said
    names = {path.name for path in (study / "published").iterdir()}
    assert {"published.md", "others.csv", "others.tex", "cost.csv"} <= names
    shutil.rmtree(study / "published")
    rampart("study", "table", study, "--published", "--format", "latex")
    assert {path.suffix for path in (study / "published").iterdir()} == {".tex"}
    shutil.rmtree(next((study / "runs").glob("*/fix/seed-0-*")))
    said = rampart("study", "figures", study, "--published").out
    assert "curves-2_255.png" in said
    assert "1 run of the study not finished" in said
    refused("latex", "study", "table", study, "--published", "--format", "pdf")
    refused("--published", "study", "table", study, "--format", "md")
