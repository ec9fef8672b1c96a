import json

import pytest


def test_the_answer_names_the_files_and_the_likeliest_errors(
    rampart, refused, tiny_settings, tmp_path
):
    pytest.importorskip("cleanlab")
    named = [text for text in tiny_settings if not text.startswith("model.name")]
    command = ("check-labels", "rampart_glyphnet", *named, "data.label_noise=0.25")
    lines = rampart(*command, "-o", tmp_path / "labels").out.splitlines()
    assert "no label was changed" in lines[0]
    assert "data.label_noise" in " ".join(lines)
    assert str(tmp_path / "labels" / "labels.html") in lines[-1]
    refused("--overwrite", *command, "-o", tmp_path / "labels")
    again = rampart(*command, "-o", tmp_path / "labels", "--overwrite", "--json")
    facts = json.loads(again.out)
    assert facts["images"] == 24
    assert 0 <= facts["noise"]["recall"] <= 1
