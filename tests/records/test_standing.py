"""The place of a model among published runs, and when there is none."""

import numpy as np
import pytest
from made_up_records import make

from rampart.published import benchmark_results
from rampart.records.profile import Profile
from rampart.records.standing import standing

AUTOATTACK = {"name": "standard", "version": "standard", "steps": 100, "targets": 9}
AUTOATTACK |= {"queries": 5000, "draws": 20}


def record(norm="l2", grid=(0.0, 2.0, 3.5, 7.0), critical=(0, 1, 2, 4, 4), **changes):
    data = {"name": "fgvc-aircraft-2013b", "shape": [3, 224, 224], **changes.pop("data", {})}
    metadata = {"attack": AUTOATTACK, "split": "test", "data": data, **changes}
    return make(critical, norm=norm, grid=np.array(grid), metadata=metadata)


def test_the_place_is_among_the_runs_on_the_same_data():
    found = standing(Profile((record(),)))
    clean, l2 = found["places"]
    runs = [run for run in benchmark_results() if run.dataset == "aircraft"]
    assert (clean["runs"], l2["runs"]) == (240, 240)
    assert (clean["value"], l2["value"]) == (0.8, 0.6)
    assert l2["below"] == sum(run.l2 < 0.6 for run in runs)
    assert clean["below"] == sum(run.clean < 0.8 for run in runs)
    assert found["missing"] == {}


@pytest.mark.parametrize(
    ("changes", "where", "says"),
    [
        ({"data": {"name": "photos/"}}, "all", "other data"),
        ({"data": {"shape": [3, 32, 32]}}, "all", "3 x 32 x 32"),
        ({"split": "validation"}, "all", "test split"),
        ({"target": "likely"}, "all", "untargeted"),
        ({"attack": {**AUTOATTACK, "queries": 100}}, "l2", "AutoAttack"),
        ({"attack": {"name": "apgd", "steps": 10}}, "l2", "AutoAttack"),
        ({"grid": (0.0, 1.0, 3.0, 6.0)}, "l2", "do not contain 2"),
    ],
)
def test_other_measurements_have_no_place(changes, where, says):
    first = record(**changes)
    found = standing(Profile((first,)))
    assert says in found["missing"][where]
    assert "l2" not in [one["figure"] for one in found["places"]]
