import pytest
import torch

from rampart.attacks.algorithm import Problem
from rampart.attacks.steps import ascend, sphere_start
from rampart.losses import CrossEntropy
from rampart.runtime import Noise
from rampart.threat import distance


def problem(norm: str, level: float = 0.5) -> Problem:
    images = torch.full((64, 2, 3, 3), level)
    eps = torch.linspace(0.01, 0.3, 64)
    labels = torch.zeros(64, dtype=torch.int64)
    return Problem(
        torch.nn.Flatten(), images, labels, eps, Noise.like(images), CrossEntropy(), norm
    )  # type: ignore[arg-type]


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_apgd_starts_on_the_sphere(norm: str) -> None:
    start = sphere_start(case := problem(norm))
    torch.testing.assert_close(distance(start, case.images, norm), case.eps)  # type: ignore[arg-type]
    fractions = (start - case.images) / case.scaled(1.0)
    assert abs(fractions.mean()) < 0.05
    assert len(fractions.flatten().unique()) > 1000


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_apgd_starts_in_the_box(norm: str) -> None:
    start = sphere_start(problem(norm, level=0.0))
    assert start.min() == 0
    assert start.max() > 0


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_step_has_the_given_length(norm: str) -> None:
    case = problem(norm)
    gradient = torch.randn(case.images.shape, generator=torch.Generator().manual_seed(0))
    moved = ascend(case, case.images, 1e-9 * gradient, 0.5 * case.eps)
    torch.testing.assert_close(distance(moved, case.images, norm), 0.5 * case.eps)  # type: ignore[arg-type]
    assert ((moved - case.images) * gradient >= 0).all()
