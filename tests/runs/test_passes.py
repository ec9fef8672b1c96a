import pytest

from rampart.runs.passes import Passes

ROWS = [
    {"forwards": 100, "backwards": 60, "validation_passes": 30, "monitor_passes": 5},
    {"forwards": 200, "backwards": 90, "validation_passes": 30},
]
FACTS = {
    "pilot": {"passes": 1000, "passed": False},
    "linear_probe": {"forwards": 20, "backwards": 3, "start": 0.5},
    "guidance": {"forwards": 7},
    "label_check": {"forwards": 8},
}


def test_every_purpose_counts_once():
    found = Passes.of(ROWS, FACTS)
    assert found == Passes(450, 60, 5, 1000, 23, guidance=7, label_check=8)
    assert found.total == 450 + 60 + 5 + 1000 + 23 + 7 + 8
    assert found.facts()["total"] == found.total
    assert Passes.of(ROWS) == Passes(450, 60, 5)


def test_rows_of_an_earlier_version_have_the_passes_of_training_only():
    assert Passes.of([{"forwards": 100, "backwards": 60}], {}) == Passes(training=160)


@pytest.mark.parametrize(
    ("passes", "text"),
    [
        (Passes(), "0 passes"),
        (Passes(training=41_200, validation=940), "42 k passes: training 41 k, validation 940"),
        (Passes(1, 0, 0, 0, 2), "3 passes: training 1, linear probe 2"),
    ],
)
def test_it_is_spelled_by_purpose(passes, text):
    assert str(passes) == text
