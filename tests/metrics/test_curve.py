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


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_a_grid_of_gray_levels_is_told_from_one_of_fractions(norm):
    """Otherwise every image counts as broken at the first strength, 1 in place of 1/255."""
    fractions = np.arange(9) / 255
    np.testing.assert_array_equal(check_grid(fractions, norm), fractions)
    levels = np.arange(9) * 255 if norm == "l1" else np.arange(9) * (1 if norm == "linf" else 8)
    np.testing.assert_array_equal(check_grid(levels), levels)
    with pytest.raises(InvalidArgument, match=r"grid=.*write \d+/255"):
        check_grid(levels, norm)


def test_a_grid_of_texts_says_how_to_read_them():
    with pytest.raises(InvalidArgument, match="grid=.*parse_eps"):
        check_grid(["0", "8/255"])
