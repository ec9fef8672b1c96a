import re

import numpy as np
import pytest

from rampart.errors import RampartError
from rampart.recipes.config.loading import load_config
from rampart.recipes.measurable import evaluation_grid, require_measurable


def load(*overrides):
    return load_config(None, ["model=resnet18", "data=photos", "threat.eps=4/255", *overrides])


def test_halves_of_gray_levels_unless_strengths_or_a_resolution_are_given():
    assert evaluation_grid(load()) == pytest.approx(np.arange(9) / 510, abs=1e-15)
    published = (0.0, 1 / 255, 2 / 255, 3 / 255, 4 / 255)
    assert evaluation_grid(load("evaluation.resolution=1")) == published
    own = load("evaluation.strengths=[1/255,4/255]")
    assert evaluation_grid(own) == (0.0, 1 / 255, 4 / 255)
    finer = load("evaluation.strengths=[2/255,4/255]", "evaluation.resolution=2")
    assert evaluation_grid(finer) == pytest.approx([0, 1 / 255, 2 / 255, 3 / 255, 4 / 255])


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("evaluation.strengths=[1/255,2/255]", "as the last strength; add it"),
        ("evaluation.strengths=[2,4,8]", "in [0, 1]; write 2/255"),
        ("evaluation.strengths=[4/255,2/255]", "each larger than the one before"),
        ("evaluation.strengths=[3/255,2/255,4/255]", "each larger than the one before"),
        ("evaluation.strengths=[0,4/255]", "strengths above 0"),
        ("evaluation.ids=nowhere.txt", "'nowhere.txt' cannot be read"),
        ("evaluation={top_k: 2, target: least-likely}", "top_k"),
        ("evaluation.attack.mode=train", "evaluation.attack.mode=train: expected eval"),
    ],
)
def test_contradicting_settings_are_refused(setting, says):
    require_measurable(load())
    with pytest.raises(RampartError, match=re.escape(says)):
        require_measurable(load(setting))
