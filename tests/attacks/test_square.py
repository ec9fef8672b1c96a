import importlib
import math
import warnings
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from oracles import linear_critical_eps, linear_model
from rampart.attacks import square
from rampart.attacks.algorithm import Problem, rows
from rampart.attacks.base import CountingModel
from rampart.attacks.square import Square, SquareAlgorithm, SquareWalk
from rampart.errors import InvalidArgument, UnknownName
from rampart.losses import LOSSES
from rampart.runtime import Noise, scoped_seed
from rampart.threat import distance

Digits = tuple[Tensor, Tensor]
NORMS = ["linf", "l2", "l1"]


def reference(model: nn.Module, norm: str, **options: Any) -> Any:
    """torchattacks; importing it warns on some platforms."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torchattacks = importlib.import_module("torchattacks")
        names = {"linf": "Linf", "l2": "L2"}
        return torchattacks.Square(model, norm=names[norm], resc_schedule=False, **options)


def problem(images: Tensor, norm: str, eps: float | Tensor = 0.1, seed: int = 0) -> Problem:
    """A problem whose model is the identity on one row of pixels; labels 0."""
    strengths = torch.as_tensor(eps).expand(len(images)).to(images.dtype)
    labels = torch.zeros(len(images), dtype=torch.int64)
    margin = LOSSES.get("margin")()

    def model(points: Tensor) -> Tensor:
        return points.flatten(1)[:, :4]

    return Problem(model, images, labels, strengths, Noise.like(images, seed), margin, norm)  # type: ignore[arg-type]


def walk(points: Tensor, age: int | Tensor = 0) -> SquareWalk:
    n = len(points)
    ages = torch.as_tensor(age).expand(n).clone()
    return SquareWalk(points, torch.zeros(n), ages, torch.full((n,), 0.8, dtype=torch.float64))


@pytest.mark.parametrize(
    ("norm", "eps", "queries"),
    [("linf", 0.12, 20), ("linf", 0.12, 120), ("l2", 0.7, 20), ("l2", 0.7, 80)],
)
def test_success_rates_agree_with_the_reference(
    digit_net: nn.Module, digit_images: Digits, norm: str, eps: float, queries: int
) -> None:
    """Mean over 3 seeds; one run has a standard deviation of about 1 % of 200 images."""
    images, labels = digit_images
    means = []
    for own in (True, False):
        rates = []
        for seed in range(3):
            if own:
                points = Square(norm=norm, queries=queries)(digit_net, images, labels, eps, seed)
            else:
                with scoped_seed(seed, "square"):
                    other = reference(digit_net, norm, eps=eps, n_queries=queries, seed=seed)
                    points = other(images, labels)
            rates.append((digit_net(points).argmax(1) != labels).float().mean().item())
        means.append(sum(rates) / 3)
    clean = (digit_net(images).argmax(1) != labels).float().mean().item()
    assert means[1] > clean + 0.1
    assert means[0] == pytest.approx(means[1], abs=0.03)


@pytest.mark.parametrize("age", [0, 10, 11, 50, 51, 200, 201, 1001, 4999, 8001])
def test_the_patch_fraction_halves_at_the_published_queries(age: int) -> None:
    limits = [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000]
    expected = 0.8 / 2 ** sum(age > limit for limit in limits)
    assert walk(torch.zeros(2, 1, 1, 1), age)._fraction().tolist() == [expected] * 2


@pytest.mark.parametrize("size", [(3, 32, 32), (1, 28, 28), (3, 7, 12)])
def test_a_linf_patch_is_a_square_of_one_sign_per_channel(size: tuple[int, ...]) -> None:
    images = torch.full((40, *size), 0.5)
    ages = torch.tensor([0, 30, 300, 5000]).repeat(10)
    points = walk(images, ages).advance(problem(images, "linf", 0.1))
    for moved, age in zip(points - images, ages.tolist(), strict=True):
        fraction = {0: 0.8, 30: 0.4, 300: 0.1, 5000: 0.8 / 2**7}[age]
        side = min(max(round(math.sqrt(fraction * size[1] * size[2])), 1), *size[1:])
        inside = moved[0] != 0
        assert inside.any(1).sum() == inside.any(0).sum() == side
        assert inside.sum() == side**2
        for channel in moved:
            values = channel[inside]
            assert (channel[~inside] == 0).all()
            assert (values == values[0]).all()
            assert abs(values[0].item()) == pytest.approx(0.1)


def test_linf_starts_with_vertical_stripes() -> None:
    images = torch.full((200, 3, 6, 5), 0.5)
    start = SquareAlgorithm(1).start(problem(images, "linf", 0.1)) - images
    assert torch.equal(start, start[:, :, :1].expand_as(start))
    torch.testing.assert_close(start.abs(), torch.full_like(start, 0.1))
    assert abs(start.mean().item()) < 0.01


def published_bump(side: int, p: int = 2) -> Tensor:
    """The pattern by its definition: each half is a stack of squares of falling height."""
    fall = {2: 2, 1: 4}[p]

    def half(height: int, width: int) -> Tensor:
        plane = torch.zeros(height, width)
        for k in range(max(height // 2, width // 2) + 1):
            top, left = height // 2 - k, width // 2 - k
            square = plane[max(top, 0) : top + 2 * k + 1, max(left, 0) : left + 2 * k + 1]
            square += (k + 1) ** -fall
        return plane / plane.norm(p) if plane.numel() else plane

    plane = torch.cat([half(side // 2, side), -half(side - side // 2, side)])
    return plane / plane.norm(p)


@pytest.mark.parametrize("side", [1, 2, 3, 5, 6, 9, 29])
@pytest.mark.parametrize("p", [1, 2])
def test_bumps_follow_their_definition(side: int, p: int) -> None:
    place = torch.arange(side).expand(2, -1)
    found = square._bump(torch.tensor([side, side]), place, place, torch.tensor([False, True]), p)
    torch.testing.assert_close(found[0], published_bump(side, p))
    torch.testing.assert_close(found[1], published_bump(side, p).T)


@pytest.mark.parametrize("size", [(3, 32, 32), (1, 8, 8), (2, 7, 13), (1, 2, 2)])
def test_l2_starts_with_a_grid_of_bumps_of_full_length(size: tuple[int, ...]) -> None:
    images = torch.full((20, *size), 0.5)
    delta = SquareAlgorithm(1).start(problem(images, "l2", 0.1)) - images
    torch.testing.assert_close(delta.flatten(1).norm(dim=1), torch.full((20,), 0.1))
    side = max(min(size[1:]) // 5, 1)
    first = max(min(size[1:]) - 5 * side, 0) // 2
    tile = delta[:, :, first : first + side, first : first + side]
    shape = published_bump(side)
    fraction = tile / tile.flatten(2).norm(dim=2)[:, :, None, None]
    fits = [(fraction * s).sum((2, 3)).abs() for s in (shape, shape.T)]
    torch.testing.assert_close(torch.maximum(*fits), torch.ones(20, size[0]))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10_000),
    st.sampled_from([(3, 9, 9), (1, 4, 7), (2, 1, 1), (1, 2, 3)]),
    st.sampled_from(NORMS),
)
def test_a_run_from_any_point_stays_in_ball_and_box(
    seed: int, size: tuple[int, ...], norm: str
) -> None:
    """Also from a point that is not one of its starts, as after descending to a smaller eps."""
    generator = torch.Generator().manual_seed(seed)
    images = (1.2 * torch.rand(6, *size, generator=generator) - 0.1).clamp(0, 1)
    eps = torch.tensor([0.01, 0.05, 0.1, 0.3, 0.7, 1.0])
    task, algorithm = problem(images, norm, eps, seed), SquareAlgorithm(8)
    points = task.project(images + torch.randn(images.shape, generator=generator))
    state = algorithm.begin(task, points, algorithm.query(task, points))
    for _ in range(8):
        points = state.advance(task)
        assert points.min() >= 0
        assert points.max() <= 1
        assert (distance(points, images, norm) <= eps * (1 + 1e-5) + 1e-6).all()
        state = state.observe(task, points, algorithm.query(task, points))
    assert state.age.tolist() == [8] * 6


@pytest.mark.parametrize("norm", NORMS)
def test_rows_of_other_ages_and_strengths_do_not_change_a_result(norm: str) -> None:
    images = torch.rand(6, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    task = problem(images, norm, torch.linspace(0.05, 0.5, 6))
    state = walk(task.project(images + 0.01), torch.tensor([0, 5, 11, 60, 800, 4000]))
    together = state.advance(task)
    assert (together != state.best).flatten(1).any(1).all()
    for i in range(6):
        one = torch.tensor([i])
        alone = rows(state, one).advance(task.select(one))
        torch.testing.assert_close(alone[0], together[i], rtol=0, atol=1e-12)


def test_only_better_points_are_kept() -> None:
    images = torch.full((2, 1, 2, 2), 0.5)
    task, algorithm = problem(images, "linf"), SquareAlgorithm(3)
    state = algorithm.begin(task, images, algorithm.query(task, images))
    points = images + torch.tensor([[0.1, 0.0, 0.0, 0.0], [0.0, 0.1, 0.0, 0.0]]).view_as(images)
    after = state.observe(task, points, algorithm.query(task, points))
    assert torch.equal(after.best[0], images[0])
    assert torch.equal(after.best[1], points[1])
    torch.testing.assert_close(after.best_value, torch.tensor([0.0, 0.1]))


@pytest.mark.parametrize(("norm", "factor"), [("linf", 1.1), ("l2", 2.0), ("l1", 3.0)])
def test_the_critical_strength_is_near_the_closed_form_and_never_below(
    norm: str, factor: float
) -> None:
    """Less near under L2 and L1: bumps have one sign, the best direction has both."""
    generator = torch.Generator().manual_seed(1)
    # The last row and column, which patches never cover, have no influence.
    weight = torch.randn(3, 1, 5, 5, generator=generator)
    weight[:, :, -1], weight[..., -1] = 0, 0
    weight, bias = weight.flatten(1), 0.1 * torch.randn(3, generator=generator)
    images = 0.5 + 0.02 * torch.randn(8, 1, 5, 5, generator=generator)
    model = linear_model(weight, bias - 0.5 * weight.sum(1))
    labels = model(images).argmax(1)
    critical = linear_critical_eps(weight, bias - 0.5 * weight.sum(1), images, labels, norm)
    attack = Square(norm=norm, queries=600)
    below = model(attack(model, images, labels, 0.999 * critical, 0)).argmax(1)
    above = model(attack(model, images, labels, factor * critical, 0)).argmax(1)
    assert torch.equal(below, labels)
    assert (above != labels).all()


def test_n_queries_cost_n_plus_1_forwards_and_no_backward(
    digit_net: nn.Module, digit_images: Digits
) -> None:
    images, labels = (part[:10] for part in digit_images)
    model = CountingModel(digit_net)
    Square(queries=7, iterate="best")(model, images, labels, 0.1, 0)
    assert (model.forwards, model.backwards) == (80, 0)


def test_a_model_without_gradients_can_be_attacked() -> None:
    images = torch.rand(5, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    model = linear_model(torch.eye(36)[:2], torch.zeros(2))
    labels = model(images).argmax(1)
    whole = torch.ones(5)
    points = Square(queries=20)(lambda x: model(x).detach(), images, labels, whole, 0)
    assert (model(points).argmax(1) != labels).any()


def test_impossible_options_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="queries=0"):
        Square(queries=0)
    with pytest.raises(InvalidArgument, match="p_init=0"):
        Square(p_init=0)
    with pytest.raises(InvalidArgument, match="p_init=1.5"):
        Square(p_init=1.5)
    with pytest.raises(InvalidArgument, match="restarts=0"):
        Square(restarts=0)
    with pytest.raises(UnknownName, match="iterate"):
        Square(iterate="last")  # type: ignore[arg-type]
