import doctest
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from rampart.errors import InvalidArgument
from rampart.metrics import expectation
from rampart.metrics.curve import accuracy_curve
from rampart.metrics.expectation import (
    FromCdf,
    PointMass,
    Uniform,
    contributions,
    expected_robustness,
    published_robustness,
)

GRID = np.array([0.0, 0.5, 2.0, 3.0, 4.0]) / 255
CRITICAL = np.array([0, 1, 1, 2, 3, 4, 4, 5, 5, 5])


@st.composite
def evaluations(draw, most=8):
    steps = draw(st.lists(st.floats(1e-3, 1.0), min_size=1, max_size=most))
    grid = np.concatenate([[0.0], np.cumsum(steps)])
    critical = draw(st.lists(st.integers(0, len(grid)), min_size=1, max_size=30))
    return np.array(critical), grid


def interpolated(eps):
    """Accuracy at any strength, linear between those of the grid."""
    return np.interp(eps, GRID, accuracy_curve(CRITICAL, len(GRID) - 1))


@given(evaluations())
def test_uniform_is_the_trapezoid_on_any_grid(case):
    critical, grid = case
    trapezoid = integrate.trapezoid(accuracy_curve(critical, len(grid) - 1), grid) / grid[-1]
    assert expected_robustness(critical, grid) == pytest.approx(trapezoid, abs=1e-12)


@given(st.integers(1, 6), st.integers(1, 8), st.data())
def test_a_finer_grid_gives_the_published_figure(levels, parts, data):
    """The trapezoid on k/255 of the accuracies that the finer grid has there."""
    fine = np.arange(levels * parts + 1) / parts / 255
    indices = st.lists(st.integers(0, len(fine)), min_size=1, max_size=30)
    critical = np.array(data.draw(indices))
    accuracy = accuracy_curve(critical, len(fine) - 1)[::parts]
    trapezoid = integrate.trapezoid(accuracy) / levels
    assert published_robustness(critical, fine) == pytest.approx(trapezoid, abs=1e-12)


@pytest.mark.parametrize("grid", [[0, 1, 3], [0, 1, 2, 2.5], [0, 0.5]])
def test_a_grid_without_every_gray_level_has_no_published_figure(grid):
    assert published_robustness([0, 1], np.array(grid) / 255) is None


def test_uniform_grid_gives_the_published_identity():
    n = 5
    grid = np.arange(n + 1) / 255
    c = contributions(np.arange(n + 2), grid)
    np.testing.assert_allclose(c, [0, *((np.arange(1, n + 1) - 0.5) / n), 1])


@given(evaluations())
def test_a_point_mass_on_the_grid_is_accuracy_there(case):
    critical, grid = case
    found = [expected_robustness(critical, grid, PointMass(eps)) for eps in grid]
    np.testing.assert_allclose(found, accuracy_curve(critical, len(grid) - 1), atol=1e-12)


@pytest.mark.parametrize("eps", [0.2 / 255, 1.7 / 255, 3.999 / 255])
def test_a_point_mass_off_the_grid_interpolates(eps):
    found = expected_robustness(CRITICAL, GRID, PointMass(eps))
    assert found == pytest.approx(interpolated(eps))


@pytest.mark.parametrize(("low", "high"), [(0, 4), (0, 2.5), (1, 3), (0.1, 0.2)])
def test_uniform_on_a_part_of_the_grid(low, high):
    low, high = low / 255, high / 255
    inside = [g for g in GRID if low < g < high]
    area, _ = integrate.quad(interpolated, low, high, points=inside or None)
    found = expected_robustness(CRITICAL, GRID, Uniform(low, high))
    assert found == pytest.approx(area / (high - low))


@pytest.mark.parametrize(("a", "b"), [(1, 1), (2, 5), (5, 1)])
def test_any_cdf_agrees_with_the_integral_over_its_density(a, b):
    law = stats.beta(a, b, scale=GRID[-1])
    pieces = itertools.pairwise(GRID)
    area = sum(integrate.quad(lambda e: interpolated(e) * law.pdf(e), *cell)[0] for cell in pieces)
    found = expected_robustness(CRITICAL, GRID, FromCdf(law.cdf, GRID[-1]))
    assert found == pytest.approx(area, abs=1e-7)


def test_a_grid_of_zero_alone_gives_clean_accuracy():
    assert expected_robustness([0, 1, 1, 1], [0.0]) == 0.75


@given(evaluations())
def test_contributions_are_fractions_that_rise_with_the_critical_strength(case):
    _, grid = case
    c = contributions(np.arange(len(grid) + 1), grid)
    assert c[0] == 0
    assert c[-1] == 1
    assert (np.diff(c) > 0).all()


def test_refuses_a_distribution_beyond_the_grid():
    with pytest.raises(InvalidArgument, match=r"distribution\.upper="):
        expected_robustness([0], [0.0, 0.1], Uniform(0, 0.2))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Uniform(0.1, 0.1),
        lambda: Uniform(-0.1, 0.1),
        lambda: PointMass(-1),
        lambda: FromCdf(lambda x: 1 - x, 1.0),
        lambda: FromCdf(lambda x: x / 2, 1.0),
    ],
)
def test_refuses_an_invalid_distribution(make):
    with pytest.raises(InvalidArgument):
        make()


def test_the_example_runs():
    assert doctest.testmod(expectation).attempted
    assert not doctest.testmod(expectation).failed
