import doctest
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from rampart.errors import InvalidArgument, UnknownName
from rampart.metrics import distributions
from rampart.metrics.distributions import (
    DISTRIBUTIONS,
    Beta,
    FromCdf,
    Mixture,
    Piecewise,
    PointMass,
    Uniform,
    build_distribution,
    check_extent,
    parse_distribution,
)

GRID = np.array([0.0, 0.5, 2.0, 3.0, 4.0, 6.0]) / 255
HIGH = 4 / 255
LAWS = [
    Uniform(0.5 / 255, HIGH),
    PointMass(2 / 255),
    Beta(2, 5, HIGH),
    Beta(0.5, 0.5, HIGH),
    Piecewise((0.1 / 255, 0.7 / 255, HIGH), (3, 1)),
    Mixture((PointMass(0), Beta(5, 1, HIGH)), (1, 3)),
    FromCdf(stats.beta(2, 5, scale=HIGH).cdf, HIGH),
]
shapes = st.floats(0.2, 20)
grids = st.lists(st.floats(1e-2, 1.0), min_size=1, max_size=8).map(
    lambda steps: np.concatenate([[0.0], np.cumsum(steps)])
)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
def test_is_a_cdf_that_ends_at_the_upper_end(law):
    eps = np.linspace(0, GRID[-1], 400)
    values = law.cdf(eps)
    assert (np.diff(values) >= 0).all()
    assert (law.below(eps) <= values).all()
    assert law.cdf(np.array([law.upper, 1.0])).tolist() == [1, 1]
    assert law.cdf(np.array([law.upper * 0.99]))[0] < 1
    assert law.below(np.array([0.0]))[0] == 0


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
def test_cell_means_are_the_integrals(law):
    jumps = [0.1 / 255, 0.7 / 255, 2 / 255, HIGH]
    for low, high, mean in zip(GRID[:-1], GRID[1:], law.cell_means(GRID), strict=True):
        inside = [low, *(x for x in jumps if low < x < high), high]
        area = sum(
            integrate.quad(lambda e: float(law.cdf(np.array([e]))[0]), a, b, epsabs=1e-14)[0]
            for a, b in itertools.pairwise(inside)
        )
        assert mean == pytest.approx(area / (high - low), abs=1e-8)


def test_below_differs_from_the_cdf_at_jumps_only():
    law = Mixture((PointMass(0.5), Uniform(0, 1)), (1, 1))
    eps = np.array([0.25, 0.5, 0.75])
    assert law.cdf(eps).tolist() == [0.125, 0.75, 0.875]
    assert law.below(eps).tolist() == [0.125, 0.25, 0.875]


@given(grids)
def test_beta_one_one_and_a_single_cell_are_uniform(grid):
    uniform = Uniform(0, grid[-1])
    for law in (Beta(1, 1, grid[-1]), Piecewise((0, grid[-1]), (7,))):
        np.testing.assert_allclose(law.cell_means(grid), uniform.cell_means(grid), atol=1e-9)
        np.testing.assert_allclose(law.cdf(grid), uniform.cdf(grid), atol=1e-12)


@given(shapes, shapes, grids)
def test_beta_agrees_with_scipy(a, b, grid):
    law, reference = Beta(a, b, grid[-1]), stats.beta(a, b, scale=grid[-1])
    np.testing.assert_allclose(law.cdf(grid), reference.cdf(grid), atol=1e-12)
    # The integral of 1 - F is the mean strength.
    whole = (1 - law.cell_means(grid)) @ np.diff(grid)
    assert whole == pytest.approx(reference.mean(), rel=1e-9)


@given(shapes, shapes, grids)
def test_piecewise_with_the_cells_of_beta_agrees_where_cells_meet(a, b, grid):
    beta = Beta(a, b, grid[-1])
    law = Piecewise(tuple(grid), tuple(np.diff(beta.cdf(grid))))
    np.testing.assert_allclose(law.cdf(grid), beta.cdf(grid), atol=1e-12)


def test_only_the_ratios_of_weights_count():
    first, second = (Piecewise((0, 1, 2), w) for w in ((1, 3), (0.25, 0.75)))
    np.testing.assert_allclose(first.cdf(GRID), second.cdf(GRID))


def test_parts_without_weight_do_not_change_the_upper_end():
    assert Piecewise((0, 1, 2), (1, 0)).upper == 1
    assert Mixture((Uniform(0, 1), PointMass(2)), (1, 0)).upper == 1


def test_names():
    assert DISTRIBUTIONS.names() == ["uniform", "point", "beta", "piecewise"]


@pytest.mark.parametrize(
    ("name", "options", "law"),
    [
        ("uniform", None, Uniform(0, HIGH)),
        ("uniform", {"low": "1/255", "high": "2/255"}, Uniform(1 / 255, 2 / 255)),
        ("point", {}, PointMass(HIGH)),
        ("point", {"eps": "1/255"}, PointMass(1 / 255)),
        ("beta", {"a": 2, "b": "5"}, Beta(2, 5, HIGH)),
        (
            "piecewise",
            {"edges": [0, "1/255", "4/255"], "weights": [1, 2]},
            Piecewise((0, 1 / 255, HIGH), (1, 2)),
        ),
    ],
)
def test_built_from_plain_options(name, options, law):
    found = build_distribution(name, options, HIGH)
    assert found == law
    dumped = DISTRIBUTIONS.dump(found)
    assert DISTRIBUTIONS.build(dumped.pop("name"), dumped) == law


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("betta", {}, UnknownName, "'betta'.* beta"),
        ("beta", {"c": 1}, UnknownName, "option of distribution 'beta' 'c'"),
        ("beta", {"a": 1}, InvalidArgument, r"distribution\.b="),
        ("beta", {"a": 0, "b": 1}, InvalidArgument, r"beta \(a, b, high\)="),
        ("point", {"eps": 8}, InvalidArgument, r"distribution\.eps=8.*8/255"),
        ("piecewise", {"edges": ["0", "8"], "weights": [1]}, InvalidArgument, "8/255"),
        (
            "piecewise",
            {"edges": 3, "weights": [1]},
            InvalidArgument,
            r"distribution\.edges=\(3\.0,\)",
        ),
    ],
)
def test_refuses_bad_options(name, options, error, message):
    with pytest.raises(error, match=message):
        build_distribution(name, options, HIGH)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Beta(1, 1, 0),
        lambda: Beta(np.nan, 1, 1),
        lambda: Piecewise((0,), ()),
        lambda: Piecewise((0, 1, 1), (1, 1)),
        lambda: Piecewise((-1, 1), (1,)),
        lambda: Piecewise((0, 1), (1, 1)),
        lambda: Piecewise((0, 1), (0,)),
        lambda: Piecewise((0, 1), (-1,)),
        lambda: Mixture((), ()),
        lambda: Mixture((PointMass(0),), (np.inf,)),
    ],
)
def test_refuses_an_invalid_distribution(make):
    with pytest.raises(InvalidArgument, match="expected"):
        make()


def test_the_example_runs():
    result = doctest.testmod(distributions)
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize(
    ("text", "law"),
    [
        ("uniform", Uniform(0.0, 0.5)),
        ("uniform:high=64/255", Uniform(0.0, 64 / 255)),
        ("beta:a=2,b=5", Beta(2, 5, 0.5)),
        ("point:eps=4/255", PointMass(4 / 255)),
        ("piecewise:edges=[0, 2/255,0.5],weights=[1,3]", Piecewise((0, 2 / 255, 0.5), (1, 3))),
    ],
)
def test_text_becomes_a_distribution(text, law):
    assert parse_distribution(text, 0.5) == law


@pytest.mark.parametrize("text", ["beta:a", "beta:a=", "beta:=2", "beta:a=2,b", "beta:a=2;b=5"])
def test_refuses_malformed_text(text):
    with pytest.raises((InvalidArgument, UnknownName)):
        parse_distribution(text, 0.5)


@pytest.mark.parametrize("text", ["uniform:high=16/255", "uniform:low=8/255", "beta:a=0,b=5"])
def test_errors_spell_strengths_as_they_are_written(text):
    with pytest.raises(InvalidArgument, match=r"\d/255") as caught:
        check_extent(parse_distribution(text, 8 / 255), 8 / 255, "the last strength of the grid")
    assert "0.0" not in str(caught.value)
