"""The arithmetic of the attacks, in few operations, equals the plain formulas to the last bit."""

import pytest
import torch
from torch import nn

from rampart.attacks import algorithm
from rampart.attacks.algorithm import Problem
from rampart.attacks.apgd import Apgd, ApgdAlgorithm
from rampart.attacks.pgd import Pgd
from rampart.attacks.steps import ascend, choose, sphere_start
from rampart.losses import CrossEntropy
from rampart.runtime import Noise
from rampart.threat import column, distance, project, random_start, steepest
from rampart.tolerance import within

LAYOUTS = [torch.contiguous_format, torch.channels_last]
every_case = pytest.mark.parametrize(
    ("norm", "dtype", "layout"),
    [
        (norm, dtype, layout)
        for norm in ("linf", "l2")
        for dtype in (torch.float32, torch.float64)
        for layout in LAYOUTS
    ],
)


def problem(norm, dtype=torch.float32, layout=torch.contiguous_format):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(6, 3, 5, 5, generator=generator, dtype=dtype)
    # Some pixels on the border of the box.
    images = (1.2 * images - 0.1).clamp(0, 1).to(memory_format=layout)
    eps = torch.tensor([1 / 255, 0.02, 0.1, 0.3, 0.7, 1.0], dtype=dtype)
    labels = torch.arange(6) % 4
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(75, 4)).to(dtype)
    return Problem(model, images, labels, eps, Noise.like(images, 3), CrossEntropy(), norm)


def plain_project(points, case):
    images, eps = case.images, column(case.eps, case.images)
    if case.norm == "linf":
        inside = torch.minimum(torch.maximum(points, images - eps), images + eps)
        return inside.clamp(0, 1)
    length = column(distance(points, images, "l2"), images)
    moved = (images + (points - images) * (eps / length.clamp_min(1e-12)).clamp_max(1.0)).clamp(
        0, 1
    )
    held = column(within(distance(moved, images, "l2"), case.eps), images)
    return torch.where(held, moved, moved.nextafter(images))


def plain_step(points, gradient, size, case):
    return plain_project(points + column(size, points) * steepest(gradient, case.norm), case)


def same(found, expected):
    assert torch.equal(found, expected)
    assert found.stride() == expected.stride()
    assert found.dtype == expected.dtype


def some(case, scale=1.0):
    generator = torch.Generator().manual_seed(1)
    drawn = torch.rand(case.images.shape, generator=generator, dtype=case.images.dtype)
    return case.images + scale * (2 * drawn - 1)


@every_case
def test_projections(norm, dtype, layout):
    case, points = problem(norm, dtype, layout), some(problem(norm, dtype, layout))
    expected = plain_project(points, case)
    same(project(points, case.images, case.eps, norm), expected)
    same(case.project(points), expected)
    same(case.project_(points.clone()), expected)


@every_case
def test_steps(norm, dtype, layout):
    case = problem(norm, dtype, layout)
    points, gradient = case.project(some(case)), some(case) - 0.5
    kept = points.clone(), gradient.clone()
    same(ascend(case, points, gradient, 0.4 * case.eps), plain_step(*kept, 0.4 * case.eps, case))
    assert torch.equal(points, kept[0])
    assert torch.equal(gradient, kept[1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_starts(dtype, layout):
    case = problem("linf", dtype, layout)
    drawn = 2 * case.noise.uniform(3, 5, 5) - 1
    delta = column(case.eps, case.images) * drawn
    same(
        random_start(case.images, case.eps, "linf", case.noise),
        plain_project(case.images + delta.to(dtype), case),
    )
    drawn = drawn / column(drawn.flatten(1).abs().amax(1).clamp_min(1e-12), drawn)
    same(sphere_start(case), plain_project(case.images + case.scaled(1.0) * drawn.to(dtype), case))


@every_case
def test_steps_of_apgd(norm, dtype, layout):
    case, method = problem(norm, dtype, layout), ApgdAlgorithm(6)
    points = method.start(case)
    state = method.begin(case, points, case.query(points))
    for _ in range(6):
        fraction = column(torch.where(state.moved, 0.75, 1.0).to(dtype), state.point)
        step = plain_step(state.point, state.gradient, state.length, case) - state.point
        drift = state.point - state.previous
        expected = plain_project(state.point + fraction * step + (1 - fraction) * drift, case)
        points = state.advance(case)
        same(points, expected)
        state = state.observe(case, points, case.query(points))


def test_the_noise_is_splitmix64():
    """The mixing in place equals the formula with a copy for every operation."""
    noise, mask = Noise.like(torch.zeros(5, 1), 7), (1 << 64) - 1
    multipliers = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)

    def mixed(x):
        x = ((x ^ (x >> 30)) * multipliers[0]) & mask
        x = ((x ^ (x >> 27)) * multipliers[1]) & mask
        return x ^ (x >> 31)

    keys = [int(key) & mask for key in noise.keys]
    before = noise.keys.clone()
    expected = [
        [(mixed((key + place * 0x9E3779B97F4A7C15) & mask) >> 40) * 2**-24 for place in range(1, 4)]
        for key in keys
    ]
    assert noise.uniform(3).tolist() == expected
    assert torch.equal(noise.keys, before)


@pytest.mark.parametrize("attack", [Pgd(steps=5), Pgd(steps=5, iterate="best"), Apgd(steps=5)])
def test_the_bounds_are_computed_once_for_a_call(attack, monkeypatch):
    calls, plain = [], algorithm.box
    monkeypatch.setattr(algorithm, "box", lambda *given: calls.append(given) or plain(*given))
    case = problem("linf")
    attack(case.model, case.images, case.targets, case.eps)
    assert len(calls) == 1


def test_a_gradient_that_nobody_uses_is_not_written():
    case = problem("linf")
    gradient = case.query(case.images, gradient=False).gradient
    assert gradient.shape == case.images.shape
    assert not gradient.any()
    assert gradient.untyped_storage().nbytes() == 4


def test_the_gradient_alone_is_that_of_the_query():
    case = problem("linf")
    points = case.project(some(case))
    assert torch.equal(case.gradient(points), case.query(points).gradient)


@pytest.mark.parametrize("chosen", [[], [2], [0, 1, 2, 3, 4, 5]])
def test_the_choice_between_two_points(chosen):
    case, mask = problem("linf"), torch.zeros(6, dtype=torch.bool)
    mask[chosen] = True
    yes, no = case.images, some(case)
    assert torch.equal(choose(mask, yes, no), torch.where(column(mask, yes), yes, no))
