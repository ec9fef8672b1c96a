"""`rampart.profile` on a linear model: three norms, resumed, refused where it must be."""

import numpy as np
import pytest
import torch
from tests.oracles import linear_critical_eps
from torch import nn

import rampart
from rampart.corruptions import frost_photos
from rampart.errors import InvalidArgument, MissingExtra, RunError
from rampart.runtime import scoped_seed

THREATS = {"linf": "60/255", "l2": 0.5}
#: Twice the usual strength is far above what a small image withstands.
SMALL = {"l2": 0.25}


@pytest.fixture(scope="module")
def task():
    with scoped_seed(0):
        model = nn.Sequential(nn.Flatten(), nn.Linear(27, 3))
        images = (torch.rand(8, 3, 3, 3) * 100 + 78).round() / 255
        return model, images, model(images).argmax(1)


def profile(task, **options):
    model, images, labels = task
    options = {"threats": THREATS, "attack": {"name": "apgd", "steps": 20}, **options}
    return rampart.profile(model, (images, labels), checks=False, **options)


def test_each_threat_is_that_of_evaluate_and_exact(task, tmp_path):
    model, images, labels = task
    result = profile(task)
    weight, bias = (part.detach() for part in model[1].parameters())
    for norm in THREATS:
        record = result[norm]
        exact = linear_critical_eps(weight, bias, images, labels, norm)
        at = np.searchsorted(record.grid, exact.numpy())
        assert (record.critical >= at).all()
        assert (record.critical == at).any()
    single = rampart.evaluate(
        model,
        (images, labels),
        "60/255",
        {"name": "apgd", "steps": 20},
        strengths=result["linf"].grid[1:].tolist(),
        checks=False,
    )
    assert (single.critical == result["linf"].critical).all()
    assert "worst of all" in repr(result)
    result.plot(tmp_path / "profile.svg")
    drawn = (tmp_path / "profile.svg").read_text()
    for title in ("Linf: expected", "L2: expected", "Worst norm: expected"):
        assert title in drawn


@pytest.fixture
def no_pictures(monkeypatch):
    """Drawing takes longer than a tiny evaluation."""
    monkeypatch.setattr("rampart.recipes.evaluation.output._draw", lambda *_: None)
    monkeypatch.setattr("rampart.reports.profile.save_profile_picture", lambda *_: None)


def test_finished_threats_are_kept_and_others_follow(task, tmp_path, no_pictures):
    first = profile(task, output=tmp_path / "profile", threats={"l2": 0.5})
    record = tmp_path / "profile/l2/record.json"
    written = record.stat().st_mtime_ns
    both = profile(task, output=tmp_path / "profile")
    assert record.stat().st_mtime_ns == written
    assert (both["l2"].critical == first["l2"].critical).all()
    for name in ("profile.json", "profile.md", "linf/record.json"):
        assert (tmp_path / "profile" / name).is_file()
    text = (tmp_path / "profile/profile.md").read_text()
    # A name of a file is no beginning of a sentence.
    assert f"\n{both.summary()['model']}: 8 images, attack apgd" in text


def test_other_settings_models_and_files_are_refused(task, tmp_path, no_pictures):
    where, model = tmp_path / "profile", task[0]
    profile(task, output=where, threats=SMALL)
    with pytest.raises(RunError, match=r"threat\.eps"):
        profile(task, output=where, threats={"l2": 1.0})
    with scoped_seed(1):
        other = nn.Sequential(nn.Flatten(), nn.Linear(27, 3))
    with pytest.raises(RunError, match="another model"):
        profile((other, *task[1:]), output=where, threats=SMALL)
    with pytest.raises(RunError, match="other data"):
        profile((model, task[1][:6], task[2][:6]), output=where, threats=SMALL)
    profile(task, output=where, threats={"l2": 1.0}, overwrite=True)
    (where / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match=r"notes\.txt"):
        profile(task, output=where)


def test_settings_of_the_threats_are_refused(task):
    with pytest.raises(InvalidArgument, match="strengths"):
        profile(task, strengths=[0.5])
    with pytest.raises(InvalidArgument, match="attack"):
        profile(task, attack=rampart.Apgd())
    with pytest.raises(InvalidArgument, match="evaluation.until.*evaluation.limit"):
        profile(task, until="2%")


@pytest.fixture(scope="module")
def gray():
    """Gray images, and a model that calls those brighter than one half class 1."""
    levels = torch.tensor([100, 80, 120, 60]) / 255
    images = levels[:, None, None, None].expand(-1, 3, 32, 32).contiguous()

    def model(pixels):
        mean = pixels.mean((1, 2, 3))
        return torch.stack([0.5 - mean, mean - 0.5], 1)

    return model, images, torch.zeros(4, dtype=torch.int64)


def test_corruptions_stand_beside_norms_and_are_kept(gray, tmp_path, no_pictures):
    where, threats = tmp_path / "profile", ["linf=8/255", "brightness", "contrast"]
    result = profile(gray, threats=threats, output=where)
    assert result["brightness"].critical.tolist() == [3, 4, 1, 5]
    found = result.summary()["corruptions"]
    assert found["kinds"]["brightness"]["half"]["value"] == 0.5
    assert found["half"]["value"] == 0.75
    assert result.summary()["worst"]["half"]["value"] == 0.5
    assert "2 corruptions" in (where / "profile.md").read_text()
    record = where / "corruptions/brightness/record.json"
    written = record.stat().st_mtime_ns
    again = profile(gray, threats=["brightness"], output=where)
    assert record.stat().st_mtime_ns == written
    assert again.summary()["corruptions"]["kinds"] == {"brightness": found["kinds"]["brightness"]}
    with pytest.raises(InvalidArgument, match="record"):
        rampart.verify_record(result["brightness"], gray[0], lambda ids: (gray[1], gray[2]))


def test_corruptions_that_cannot_be_applied_are_refused_before_any_attack(
    gray, task, tmp_path, monkeypatch
):
    monkeypatch.setattr(frost_photos, "find_spec", lambda name: None)
    for subject, threats, error in (
        (gray, "linf,frost", MissingExtra),
        (task, "linf,fog", InvalidArgument),
        (gray, "linf,fog=3", InvalidArgument),
    ):
        with pytest.raises(error, match="corruption"):
            profile(subject, threats=threats, output=tmp_path / "profile")
    with pytest.raises(InvalidArgument, match="target"):
        profile(gray, threats="linf,fog", target="likely", output=tmp_path / "profile")
    assert not (tmp_path / "profile").exists()
