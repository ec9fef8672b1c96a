"""The gallery of an evaluation: its pictures, its facts, and when it is left out."""

import json
from dataclasses import replace

import numpy as np
import pytest
from evaluating import evaluate
from PIL import Image

from rampart.errors import RunError
from rampart.recipes.evaluation import gallery
from rampart.records.storage import load_record, save_record
from rampart.records.whole_folders import check_files
from rampart.reports.page.write import write_report
from rampart.runs.evaluation_folder import EvaluationFolder


@pytest.fixture
def shown(network, tmp_path, monkeypatch):
    """An evaluation whose gallery takes half of its images."""
    monkeypatch.setattr(gallery, "SHARE", 2)
    record = evaluate(network, tmp_path)
    return record, EvaluationFolder(tmp_path / "evaluation")


def content(folder):
    return json.loads((folder.gallery / "gallery.json").read_text(encoding="utf-8"))


def pixels(folder, one, kind):
    return np.asarray(Image.open(folder.gallery / one["files"][kind])).astype(float) / 255


def test_pictures_and_facts_are_those_of_the_record(shown):
    record, folder = shown
    found = content(folder)
    assert found["forwards"] > 0
    assert 1 <= len(found["examples"]) <= len(record) // 2
    strengths = [one["critical_eps"] for one in found["examples"]]
    assert strengths == sorted(strengths)
    for one in found["examples"]:
        row = record.ids.index(one["id"])
        assert one["critical_eps"] == record.grid[record.critical[row]]
        assert one["prediction"] == one["label"] == record.labels[row]
        assert one["adversarial_prediction"] != one["label"]
        change = pixels(folder, one, "adversarial") - pixels(folder, one, "image")
        # Pixels of the adversarial example are rounded to 8 bits.
        assert 0 < np.abs(change).max() <= one["critical_eps"] + 0.6 / 255
        shown_change = (pixels(folder, one, "difference") - 0.5) / one["magnified"]
        assert np.abs(shown_change - change).max() < 1.2 / 255


def test_the_page_shows_them_and_verify_knows_them(shown):
    record, folder = shown
    page = folder.page.read_text(encoding="utf-8")
    count = len(content(folder)["examples"])
    assert page.count('src="data:image/png;base64,') == 3 * count
    assert "attacked once more" in page
    checked = check_files(folder.path)
    assert not checked.faults
    assert {folder.page, folder.gallery / "gallery.json"} <= set(checked.matching)
    picture = folder.gallery / content(folder)["examples"][0]["files"]["image"]
    picture.write_bytes(picture.read_bytes()[:-1])
    assert any(picture.name in fault for fault in check_files(folder.path).faults)
    with pytest.raises(RunError, match=picture.name):
        write_report([folder.path])
    # A gallery belongs to one record.
    save_record(replace(record, metadata={}, found_by=None), folder.path)
    assert "data:image" not in write_report([folder.path]).read_text(encoding="utf-8")


def test_kept_adversarial_examples_are_shown_without_an_attack(network, tmp_path):
    evaluate(network, tmp_path, "evaluation.adversarial_examples=true")
    folder = EvaluationFolder(tmp_path / "evaluation")
    found = content(folder)
    assert found["forwards"] == found["backwards"] == 0
    record = load_record(folder.path, adversarial_examples=True)
    place = np.cumsum(record.found) - 1
    for one in found["examples"]:
        exact = record.adversarial_examples[place[record.ids.index(one["id"])]]
        shown = pixels(folder, one, "adversarial").transpose(2, 0, 1)
        assert np.abs(shown - exact).max() <= 0.51 / 255


def test_few_images_have_no_gallery(network, tmp_path):
    evaluate(network, tmp_path)
    assert not EvaluationFolder(tmp_path / "evaluation").gallery.exists()


def test_the_choice_spreads_over_strengths_and_classes(shown, monkeypatch):
    record, _ = shown
    monkeypatch.setattr(gallery, "MOST", 3)
    rows = gallery.choose(record)
    assert record.found[rows].all()
    assert len(set(record.labels[rows].tolist())) == 3
    assert np.array_equal(rows, gallery.choose(record))
    robust = {"critical": np.full(len(record), len(record.grid)), "found_by": None}
    nobody = replace(record, **robust, attacked_predictions=None)
    nobody = replace(nobody, predictions=nobody.labels, distance=None)
    assert not len(gallery.choose(nobody))
