import numpy as np
import pytest
from made_up_records import make

from rampart.errors import InvalidArgument
from rampart.records.storage import load_record, save_record
from rampart.records.summary import summary


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": ("a",)}, "ids="),
        ({"ids": ("a", "a", "b", "c", "d")}, "ids=.*twice"),
        ({"ids": ("\udcff", "a", "b", "c", "d")}, "ids=.*Unicode"),
        ({"labels": np.zeros(4, dtype=int)}, "labels="),
        ({"labels": np.zeros(5)}, "labels=float64"),
        ({"predictions": np.arange(5) % 3}, "critical="),
        ({"critical": [0, 1, 3, 5, 6]}, r"0\.\.5"),
        ({"grid": [0.1, 0.2, 0.3, 0.4, 0.5]}, "starts with 0"),
        ({"norm": "l3"}, "norm=l3"),
    ],
)
def test_refuses_contradictory_arrays(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)


def test_top_k_accepts_a_label_that_is_not_the_prediction(tmp_path):
    labels, critical = np.array([0, 0, 0]), np.array([0, 5, 2])
    values = {"labels": labels, "predictions": np.array([1, 1, 0]), "metadata": {"top_k": 2}}
    record = make(critical, **values)
    save_record(record, tmp_path)
    assert load_record(tmp_path).top_k == 2
    assert summary(record)["top_k"] == 2
    assert summary(record)["clean"] == pytest.approx(2 / 3)
    with pytest.raises(InvalidArgument, match="critical="):
        make(critical, **{**values, "metadata": {}})
    with pytest.raises(InvalidArgument, match="critical=0"):
        make(critical, **{**values, "predictions": labels})
