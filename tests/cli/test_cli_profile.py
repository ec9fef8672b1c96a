"""`rampart profile`: a table, a folder that resumes, and refused settings."""

import json

import pytest

NETWORK = """
from torch import nn

class Means(nn.Module):
    def forward(self, pixels):
        return 20 * pixels.mean((2, 3))[:, [2, 1, 0]]

def network():
    return Means()
"""


@pytest.fixture
def profile(tmp_path, photo_folder):
    (tmp_path / "nets.py").write_text(NETWORK)
    fast = ("evaluation.attack=apgd", "evaluation.attack.steps=3", "evaluation.checks=false")
    data = (f"data={photo_folder}", "data.image_size=16", "evaluation.limit=4")
    where = ("--threats", "linf=80/255,l2", "-o", tmp_path / "profile")
    return "profile", f"{tmp_path / 'nets.py'}:network", *data, *fast, *where


def test_threats_stand_side_by_side(rampart, profile, tmp_path):
    result = rampart(*profile)
    assert result.status == 0, result.err
    lines = [line.split() for line in result.out.splitlines()]
    first = next(number for number, line in enumerate(lines) if line[0] == "threat")
    assert [line[0] for line in lines[first + 1 : first + 4]] == ["linf", "l2", "worst"]
    assert result.out.splitlines()[-1] == f"profile in {tmp_path / 'profile'}"
    facts = json.loads((tmp_path / "profile/profile.json").read_text())
    assert [one["eps"] for one in facts["threats"]] == [80 / 255, 0.5]
    assert rampart("report", tmp_path / "profile/l2").status == 0


def test_settings_that_the_threats_decide_are_refused(rampart, refused, profile):
    for setting in ("threat.eps=1/255", "threat.norm=l2", "evaluation.strengths=[0.1]"):
        refused("give the largest strength with --threats", *profile, setting)
    changed = ["l3" if word == "linf=80/255,l2" else word for word in profile]
    refused("unknown threat 'l3'", *changed)
