import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampart.errors import InvalidArgument
from rampart.metrics.curve import accuracy_curve, check_grid


def test_counts_the_robust_samples():
    # Critical at 0, at g_1, at g_2, and robust at every strength.
    assert accuracy_curve([0, 1, 2, 3], n=2).tolist() == [0.75, 0.5, 0.25]


def test_a_grid_of_zero_alone_gives_clean_accuracy():
    assert accuracy_curve([0, 1, 1, 1], n=0).tolist() == [0.75]


@given(
    st.integers(0, 6).flatmap(
        lambda n: st.tuples(st.just(n), st.lists(st.integers(0, n + 1), min_size=1, max_size=40))
    )
)
def test_equals_the_definition(case):
    n, critical = case
    expected = [np.mean([j > k for j in critical]) for k in range(n + 1)]
    np.testing.assert_allclose(accuracy_curve(critical, n), expected, atol=1e-15)


@pytest.mark.parametrize("critical", [[], [[0]], [-1], [4], [0.5]])
def test_refuses_an_invalid_critical_index(critical):
    with pytest.raises(InvalidArgument, match="critical="):
        accuracy_curve(critical, n=2)


@pytest.mark.parametrize("grid", [[], [0.1, 0.2], [0, 0.2, 0.2], [0, 0.2, 0.1], [0, np.nan]])
def test_refuses_an_invalid_grid(grid):
    with pytest.raises(InvalidArgument, match="grid="):
        check_grid(grid)
