import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rampart.threat import distance, project
from rampart.tolerance import below, least_eps, same, within
from rampart.units import NORMS

DISTANCES = st.floats(0, 1024)


@given(st.floats(0, 1), st.integers(0, 999))
def test_a_projected_point_is_within_its_ball(eps, seed):
    generator = torch.Generator().manual_seed(seed)
    images, points = torch.rand(2, 4, 3, 8, 8, generator=generator)
    for norm in NORMS:
        inside = project(points, images, eps, norm)
        assert within(distance(inside, images, norm), eps).all()


@given(DISTANCES)
def test_a_point_outside_is_not_within(eps):
    assert not within(eps * 1.001 + 1e-5, eps)
    assert below(eps * 0.999 - 1e-5, eps)


@given(DISTANCES, DISTANCES)
def test_the_comparisons_are_consistent(a, b):
    assert not (within(b, a) and below(a, b) and below(b, a))
    assert within(a, b) or below(b, a) or a > b
    assert same(a, a)
    assert not (same(a, b) and below(a, b))


@given(DISTANCES)
def test_the_least_strength_is_just_within(far):
    eps = least_eps(far)
    assert within(far, eps + 1e-9 + 1e-9 * far)
    assert not within(far, eps - 1e-9 - 1e-9 * far)


@pytest.mark.parametrize("rule", [within, below, same])
def test_nan_is_false(rule):
    assert not rule(math.nan, 1.0)
    assert not rule(np.array([math.nan]), np.array([1.0])).any()
    assert not rule(torch.tensor([math.nan]), torch.tensor([1.0])).any()
