import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rampart.errors import InvalidArgument
from rampart.runtime import Noise
from rampart.threat import (
    ThreatModel,
    distance,
    dual,
    project,
    random_start,
    round_inside,
    steepest,
)
from rampart.tolerance import within

NORMS = ["linf", "l2", "l1"]


def test_strength_is_parsed_exactly_and_printed_as_usual() -> None:
    assert ThreatModel("linf", "4/255").eps == 4 / 255
    assert str(ThreatModel("linf", "4/255")) == "Linf 4/255"
    assert str(ThreatModel("l2", 0.5)) == "L2 0.5"
    assert str(ThreatModel("l1", 12)) == "L1 12"


def test_impossible_threats_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="4/255"):
        ThreatModel("linf", 4)
    with pytest.raises(InvalidArgument, match="eps=-0.1"):
        ThreatModel("linf", -0.1)
    with pytest.raises(InvalidArgument, match="norm=L3: expected linf, l2 or l1"):
        ThreatModel("L3", 0.1)


def test_linf_start_is_uniform_in_the_ball() -> None:
    images = torch.full((50, 3, 8, 8), 0.5)
    eps = torch.linspace(0.01, 0.4, 50)
    start = random_start(images, eps, "linf", Noise.like(images, 1))
    fractions = (start - images) / eps.view(-1, 1, 1, 1)
    assert stats.kstest(fractions.flatten().numpy(), stats.uniform(-1, 2).cdf).pvalue > 1e-3


def test_l2_start_is_uniform_in_the_ball() -> None:
    images = torch.full((4000, 1, 2, 3), 0.5)
    eps = 0.3
    start = random_start(images, eps, "l2", Noise.like(images, 1))
    radius = distance(start, images, "l2") / eps
    # In D dimensions the fraction of a ball's volume within radius r is r^D.
    assert stats.kstest((radius**6).numpy(), "uniform").pvalue > 1e-3
    directions = (start - images).flatten(1) / (eps * radius[:, None])
    assert directions.mean(0).abs().max() < 0.03
    # Each coordinate of a uniform direction in D dimensions has variance 1/D.
    torch.testing.assert_close(
        directions.T @ directions / 4000, torch.eye(6) / 6, atol=0.02, rtol=0
    )


def test_l1_start_is_uniform_in_the_ball() -> None:
    images = torch.full((20_000, 1, 2, 3), 0.5)
    start = random_start(images, 0.3, "l1", Noise.like(images, 1))
    radius = distance(start, images, "l1") / 0.3
    assert stats.kstest((radius**6).numpy(), "uniform").pvalue > 1e-3
    fractions = ((start - images).flatten(1) / (0.3 * radius[:, None])).numpy()
    # On the sphere a coordinate's size is Beta(1, D - 1), and its sign a fair coin.
    for fraction in fractions.T:
        assert stats.kstest(abs(fraction), stats.beta(1, 5).cdf).pvalue > 1e-3
        assert stats.binomtest(int((fraction > 0).sum()), 20_000).pvalue > 1e-3


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30))
def test_l1_projection_is_the_nearest_point(seed: int, d: int) -> None:
    """Bisection on the shrinkage of proposition 2.1, with ties and pixels on the border."""
    generator = torch.Generator().manual_seed(seed)
    shape = (20, 1, 1, d)
    images = (1.4 * torch.rand(shape, generator=generator, dtype=torch.float64) - 0.2).clamp(0, 1)
    move = torch.randint(-6, 7, shape, generator=generator) / 4
    eps = torch.linspace(0, 1.5, 20, dtype=torch.float64)
    room = torch.where(move > 0, 1 - images, images).flatten(1)
    size, low = move.abs().double().flatten(1), torch.zeros(20, dtype=torch.float64)

    def shrunk(by: torch.Tensor) -> torch.Tensor:
        return torch.minimum((size - by[:, None]).clamp_min(0), room)

    high = torch.where(shrunk(low).sum(1) > eps, 2.0, 0.0).double()
    for _ in range(60):
        middle = (low + high) / 2
        above = shrunk(middle).sum(1) > eps
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    expected = images + (shrunk(high).view(shape) * move.sign())
    result = project(images + move, images, eps, "l1")
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-12)


def test_l1_projection_in_single_precision_keeps_to_the_ball() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(8, 3, 64, 64, generator=generator)
    points = images + torch.randn(images.shape, generator=generator)
    eps = torch.linspace(0.5, 1000, 8)
    result = project(points, images, eps, "l1")
    torch.testing.assert_close(distance(result, images, "l1"), eps, rtol=1e-5, atol=0)


@pytest.mark.parametrize("norm", NORMS)
def test_rounding_of_many_pixels_does_not_add_up_beyond_the_ball(norm: str) -> None:
    # Alike pixels round alike, so the errors of x + delta do not cancel.
    images = torch.full((4, 3, 64, 64), 0.7)
    eps = torch.tensor([0.1, 0.5, 1.5, 12.0])
    for points in (images + 0.01, random_start(images, eps, norm, Noise.like(images, 0))):
        result = project(points, images, eps, norm)
        exact = (result.double() - images.double()).flatten(1)
        order = {"linf": torch.inf, "l2": 2, "l1": 1}[norm]
        assert within(torch.linalg.vector_norm(exact, order, 1), eps.double()).all()
        assert torch.equal(project(result, images, eps, norm), result)


@pytest.mark.parametrize("norm", NORMS)
@given(st.integers(0, 10_000), st.floats(0, 3))
def test_projection(norm: str, seed: int, spread: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(5, 2, 3, 3, generator=generator)
    points = images + spread * torch.randn(5, 2, 3, 3, generator=generator)
    eps = torch.tensor([0.0, 0.01, 0.1, 0.5, 1.0])
    result = project(points, images, eps, norm)
    assert result.min() >= 0
    assert result.max() <= 1
    assert (distance(result, images, norm) <= eps + 1e-6).all()
    assert torch.equal(result[0], images[0])
    torch.testing.assert_close(project(result, images, eps, norm), result)


def test_linf_projection_is_the_nearest_point_per_pixel() -> None:
    images = torch.tensor([0.5, 0.05, 0.95, 0.5]).view(1, 1, 2, 2)
    points = torch.tensor([0.7, -0.2, 1.2, 0.55]).view(1, 1, 2, 2)
    expected = torch.tensor([0.6, 0.0, 1.0, 0.55]).view(1, 1, 2, 2)
    torch.testing.assert_close(project(points, images, 0.1, "linf"), expected)


def test_l2_projection_scales_back_onto_the_ball() -> None:
    images = torch.full((1, 1, 1, 2), 0.5)
    points = images + torch.tensor([0.3, 0.4]).view(1, 1, 1, 2)
    expected = images + torch.tensor([0.15, 0.2]).view(1, 1, 1, 2)
    torch.testing.assert_close(project(points, images, 0.25, "l2"), expected)
    assert torch.equal(project(points, images, 0.6, "l2"), points)


def test_distances() -> None:
    images = torch.zeros(2, 1, 1, 2)
    points = torch.tensor([[0.3, -0.4], [0.0, 0.1]]).view(2, 1, 1, 2)
    torch.testing.assert_close(distance(points, images, "linf"), torch.tensor([0.4, 0.1]))
    torch.testing.assert_close(distance(points, images, "l2"), torch.tensor([0.5, 0.1]))
    torch.testing.assert_close(distance(points, images, "l1"), torch.tensor([0.7, 0.1]))


@pytest.mark.parametrize("scale", [1e-37, 1e-20, 1.0, 1e15])
@pytest.mark.parametrize("norm", NORMS)
def test_steepest_direction_has_unit_length_and_reaches_the_dual_norm(
    norm: str, scale: float
) -> None:
    gradient = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    direction = steepest(gradient * scale, norm)
    zero = torch.zeros_like(direction)
    torch.testing.assert_close(distance(direction, zero, norm), torch.ones(4))
    gain = (direction * gradient).flatten(1).sum(1)
    torch.testing.assert_close(gain, dual(gradient, norm))


@pytest.mark.parametrize("norm", NORMS)
def test_a_zero_gradient_has_no_direction(norm: str) -> None:
    assert not steepest(torch.zeros(2, 1, 2, 2), norm).any()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rounding_never_leaves_the_ball(norm, dtype) -> None:
    images = Noise.of(0, torch.arange(64), "images").uniform(3, 8, 8).to(dtype).float()
    eps = torch.linspace(0.001, 0.2, 64) * {"linf": 1.0, "l2": 8.0, "l1": 60.0}[norm]
    points = random_start(images, eps, norm, Noise.like(images, 1))
    rounded = round_inside(points, images, dtype)
    assert rounded.dtype == dtype
    assert ((rounded.float() - images).abs() <= (points - images).abs()).all()
    # Rounding to the nearest value would leave it, so the test can fail.
    assert (distance(points.to(dtype).float(), images, norm) > eps).any() or norm != "linf"
    assert torch.equal(round_inside(points, images, torch.float32), points)
