import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize
from torch import Tensor

from rampart.attacks.hyperplane import to_hyperplane
from rampart.threat import distance

NORMS = ["linf", "l2", "l1"]


def instances(seed: int, n: int = 6, d: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    """Points, some of them on the border of the box, normals with zeros and ties, and gaps."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(n, d, generator=generator, dtype=torch.float64)
    points = (1.4 * points - 0.2).clamp(0, 1)
    normal = torch.randint(-3, 4, (n, d), generator=generator).double()
    normal += torch.rand(n, d, generator=generator) * (torch.rand(n, 1, generator=generator) < 0.7)
    gap = 3 * torch.randn(n, generator=generator, dtype=torch.float64)
    return points, normal, gap


def reach(points: Tensor, normal: Tensor, gap: Tensor) -> Tensor:
    """The signed limit (N,) of normal · d in the direction of `gap` inside the box."""
    rise = torch.where(normal > 0, 1 - points, points) * normal.abs()
    fall = torch.where(normal > 0, points, 1 - points) * normal.abs()
    return torch.where(gap >= 0, rise.sum(1), -fall.sum(1))


def solved(x: Tensor, w: Tensor, gap: float, norm: str) -> float:
    """The minimal norm, by a general solver."""
    bounds = [(-v, 1 - v) for v in x.tolist()]
    d = len(x)
    if norm == "linf":
        # Variables d and t: minimize t with |d_i| <= t.
        eye, one = torch.eye(d).tolist(), [[-1.0]] * d
        upper = [[*row, *t] for row, t in zip(eye, one, strict=True)]
        lower = [[*(-v for v in row), *t] for row, t in zip(eye, one, strict=True)]
        found = linprog(
            [0.0] * d + [1.0],
            A_ub=upper + lower,
            b_ub=[0.0] * (2 * d),
            A_eq=[[*w.tolist(), 0.0]],
            b_eq=[gap],
            bounds=[*bounds, (0, None)],
        )
        assert found.success
        return float(found.fun)
    if norm == "l1":
        # Two variables per pixel, up and down: minimize their sum.
        ways = [side for v in x.tolist() for side in ((0, 1 - v), (0, v))]
        equal = [[sign * v for v in w.tolist() for sign in (1, -1)]]
        found = linprog([1.0] * (2 * d), A_eq=equal, b_eq=[gap], bounds=ways)
        assert found.success
        return float(found.fun)
    weight = w.numpy()
    found = minimize(
        lambda v: v @ v,
        torch.zeros(d).numpy(),
        jac=lambda v: 2 * v,
        method="SLSQP",
        bounds=bounds,
        constraints={"type": "eq", "fun": lambda v: weight @ v - gap, "jac": lambda v: weight},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert found.success
    return float(found.fun**0.5)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("seed", range(8))
def test_a_general_solver_finds_no_shorter_displacement(norm: str, seed: int) -> None:
    points, normal, gap = instances(seed)
    bound = reach(points, normal, gap)
    gap = torch.where(gap.abs() < bound.abs(), gap, 0.7 * bound)
    moves = to_hyperplane(points, normal, gap, norm)  # type: ignore[arg-type]
    lengths = distance(points + moves, points, norm)  # type: ignore[arg-type]
    for i in range(len(points)):
        if normal[i].any():
            expected = solved(points[i], normal[i], gap[i].item(), norm)
            assert lengths[i].item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("norm", NORMS)
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 100_000), st.integers(1, 40), st.sampled_from([1e-30, 1e-6, 1.0, 1e8]))
def test_the_result_lies_on_the_hyperplane_and_in_the_box(
    norm: str, seed: int, d: int, scale: float
) -> None:
    """For any scale of the gradient; at the corner if the hyperplane lies outside the box."""
    points, normal, gap = instances(seed, d=d)
    moves = to_hyperplane(points, scale * normal, scale * gap, norm)  # type: ignore[arg-type]
    ends = points + moves
    assert ends.min() >= -1e-12
    assert ends.max() <= 1 + 1e-12
    assert not moves[normal == 0].any()
    bound = reach(points, normal, gap)
    expected = torch.where(gap.abs() < bound.abs(), gap, bound)
    torch.testing.assert_close((normal * moves).sum(1), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("norm", NORMS)
def test_single_precision_is_enough(norm: str) -> None:
    generator = torch.Generator().manual_seed(0)
    points = (1.4 * torch.rand(20, 3072, generator=generator) - 0.2).clamp(0, 1)
    normal = torch.randn(20, 3072, generator=generator) ** 3
    gap = torch.linspace(-0.99, 0.99, 20) * reach(points, normal, torch.ones(20))
    moves = to_hyperplane(points, normal, gap, norm)  # type: ignore[arg-type]
    exact = to_hyperplane(points.double(), normal.double(), gap.double(), norm)  # type: ignore[arg-type]
    torch.testing.assert_close(moves.double(), exact, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("norm", NORMS)
def test_without_gradient_nothing_moves(norm: str) -> None:
    points = torch.rand(2, 4)
    for gap in (torch.zeros(2), torch.ones(2)):
        assert not to_hyperplane(points, torch.zeros(2, 4), gap, norm).any()  # type: ignore[arg-type]


def test_far_from_the_box_the_result_is_the_textbook_formula() -> None:
    points, normal = torch.full((1, 3), 0.5), torch.tensor([[3.0, 0.0, -4.0]])
    linf = to_hyperplane(points, normal, torch.tensor([0.7]), "linf")
    torch.testing.assert_close(linf, torch.tensor([[0.1, 0.0, -0.1]]))
    l2 = to_hyperplane(points, normal, torch.tensor([-0.5]), "l2")
    torch.testing.assert_close(l2, torch.tensor([[-0.06, 0.0, 0.08]]))
    l1 = to_hyperplane(points, normal, torch.tensor([2.3]), "l1")
    torch.testing.assert_close(l1, torch.tensor([[0.1, 0.0, -0.5]]))
