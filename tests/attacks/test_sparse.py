from typing import Any

import pytest
import torch
from torch import Tensor, nn

from oracles import linear_critical_eps, linear_model
from rampart.attacks.algorithm import Output, Problem, rows
from rampart.attacks.apgd import Apgd, ApgdAlgorithm
from rampart.attacks.averaged import Averaged
from rampart.attacks.base import CountingModel
from rampart.attacks.pgd import Pgd
from rampart.attacks.running import run_algorithm
from rampart.attacks.sparse import Phases, SparseAscent
from rampart.losses import LOSSES
from rampart.runtime import Noise
from rampart.threat import distance

Digits = tuple[Tensor, Tensor]


def problem(model: Any, images: Tensor, labels: Tensor, eps: float | Tensor) -> Problem:
    strengths = torch.as_tensor(eps, dtype=images.dtype).expand(len(images)).clone()
    loss = LOSSES.get("ce")()
    return Problem(model, images, labels, strengths, Noise.like(images, 0), loss, "l1")


@pytest.mark.parametrize(
    ("steps", "phases"),
    [
        (100, Phases((30, 60), (1, 1, 1))),
        (1000, Phases((300, 600), (12, 12, 16))),
        (10, Phases((3, 6), (1, 1, 1))),
        (7, Phases((3, 6), (1, 1, 1))),
        (4, Phases((1, 2), (1, 1, 1))),
        (3, Phases((1, 2), (1, 1, 1))),
        (2, Phases((0, 0), (1, 1, 1))),
        (1, Phases((0, 0), (1, 1, 1))),
    ],
)
def test_the_steps_are_divided_among_three_balls(steps: int, phases: Phases) -> None:
    assert Phases.of(steps) == phases


@pytest.mark.parametrize("steps", [1, 2, 3, 10])
def test_a_run_goes_through_three_balls(steps: int) -> None:
    """Radii 3, 2 and 1 times eps; the first query in a ball is not a step."""
    generator = torch.Generator().manual_seed(0)
    images = 0.3 + 0.4 * torch.rand(4, 1, 4, 4, generator=generator)
    model = linear_model(torch.randn(3, 16, generator=generator), torch.zeros(3))
    task, algorithm = problem(model, images, model(images).argmax(1), 0.5), ApgdAlgorithm(steps)
    points = algorithm.start(task)
    state = algorithm.begin(task, points, algorithm.query(task, points))
    lengths, ages = [distance(points, images, "l1")], [state.age]
    for _ in range(algorithm.count_queries("l1") - 1):
        points = state.advance(task)
        state = state.observe(task, points, algorithm.query(task, points))
        lengths.append(distance(points, images, "l1"))
        ages.append(state.age)
    assert (state.age == steps).all()
    limits = [1.5] * 4 + [1.0] * 4 + [0.5] * 5 if steps == 10 else None
    if limits is not None:
        assert [int(age[0]) for age in ages] == [0, 1, 2, 3, 3, 4, 5, 6, 6, 7, 8, 9, 10]
        for length, limit in zip(lengths, limits, strict=True):
            assert (length <= limit + 1e-5).all()
            assert length.max() > limit - 0.4
    assert (distance(state.best, images, "l1") <= 0.5 + 1e-5).all()


def test_a_point_outside_the_ball_of_eps_is_not_adversarial() -> None:
    images = torch.full((2, 1, 1, 2), 0.5)
    model = linear_model(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0.3, 0.0]))
    task, algorithm = (
        problem(model, images, torch.zeros(2, dtype=torch.int64), 0.2),
        ApgdAlgorithm(9),
    )
    points = images + torch.tensor([[-0.4, 0.0], [0.0, 0.1]]).view_as(images)
    assert task.query(points).is_adv.tolist() == [True, False]
    assert algorithm.query(task, points).is_adv.tolist() == [False, False]
    wide = problem(model, images, task.targets, 0.4)
    assert algorithm.query(wide, points).is_adv.tolist() == [True, False]


def test_averaged_queries_respect_the_ball_too(digit_net: nn.Module, digit_images: Digits) -> None:
    images, labels = (part[:30] for part in digit_images)
    model = CountingModel(digit_net)
    task, algorithm = problem(model, images, labels, 0.8), Averaged(ApgdAlgorithm(10), 2)
    found = run_algorithm(task, algorithm, "adversarial")
    assert task.select(found.is_adv).holds(found.points[found.is_adv]).all()
    assert 0 < found.is_adv.sum() < 30
    model.forwards = 0
    run_algorithm(task, algorithm, "best")
    assert model.forwards == 30 * 2 * 13


def state_of(changed: int, length: float, **parts: Any) -> tuple[Problem, SparseAscent]:
    """One sample of 12 values at its 7th of 10 steps, with the gradient 1, 2, ..., 12."""
    images = torch.full((1, 1, 3, 4), 0.5)
    task = problem(None, images, torch.zeros(1, dtype=torch.int64), 0.3)
    gradient = torch.arange(1.0, 13.0).view_as(images)
    output = Output(torch.ones(1), torch.tensor([False]), gradient, torch.zeros(1, 2))
    state = SparseAscent.begin(task, images, output, Phases.of(10))
    values: dict[str, Any] = {
        "age": torch.tensor([7]),
        "changed": torch.tensor([changed]),
        "length": torch.tensor([length]),
        **parts,
    }
    for name, value in values.items():
        object.__setattr__(state, name, value)
    return task, state


@pytest.mark.parametrize(("changed", "moved"), [(0, 1), (1, 1), (6, 4), (9, 6), (12, 8)])
def test_a_step_moves_two_thirds_of_the_changed_values(changed: int, moved: int) -> None:
    task, state = state_of(changed, 0.5)
    delta = (state.advance(task) - task.images).flatten()
    assert (delta != 0).sum() == moved
    torch.testing.assert_close(delta[-moved:], torch.full((moved,), 0.15 / moved))


def test_a_checkpoint_returns_to_a_sparser_best_point() -> None:
    task, state = state_of(6, 0.5)
    sparse = task.images.clone()
    sparse[..., -1, :2] += 0.1
    slope = torch.ones_like(sparse)
    better = Output(torch.full((1,), 2.0), torch.tensor([False]), slope, torch.zeros(1, 2))
    after = state.observe(task, sparse, better)
    assert (after.length.item(), after.changed.item(), after.age.item()) == (1.0, 2, 8)
    assert torch.equal(after.point, sparse)
    # As many values as before: the step shrinks, and the run continues from its point.
    worse = Output(torch.zeros(1), torch.tensor([False]), slope, torch.zeros(1, 2))
    last = after.observe(task, task.images, worse)
    assert last.length.item() == pytest.approx(1 / 1.5)
    assert torch.equal(last.best, sparse)
    assert torch.equal(last.point, task.images)
    for _ in range(20):
        last = last.observe(task, task.images, worse)
    assert last.length.item() == pytest.approx(0.1)


def test_rows_in_other_phases_do_not_change_a_result() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(5, 1, 4, 4, generator=generator, dtype=torch.float64)
    weight = torch.randn(3, 16, generator=generator, dtype=torch.float64)
    model = linear_model(weight, torch.zeros(3, dtype=torch.float64))
    task = problem(model, images, model(images).argmax(1), torch.linspace(0.1, 2, 5))
    algorithm = ApgdAlgorithm(10)
    points = algorithm.start(task)
    state = algorithm.begin(task, points, algorithm.query(task, points))
    object.__setattr__(state, "age", torch.tensor([0, 2, 3, 7, 9]))
    object.__setattr__(state, "opening", torch.tensor([False, False, True, False, False]))
    moved = state.advance(task)
    after = state.observe(task, moved, algorithm.query(task, moved))
    assert after.age.tolist() == [1, 3, 3, 8, 10]
    assert after.opening.tolist() == [False, True, False, False, False]
    for i in range(5):
        one = torch.tensor([i])
        alone = rows(state, one).advance(task.select(one))
        torch.testing.assert_close(alone[0], moved[i], rtol=0, atol=1e-12)


def test_the_closed_form_is_reached() -> None:
    """Four equal weights: as in the published code, a step moves at least two values."""
    generator = torch.Generator().manual_seed(3)
    weight = 0.3 * torch.randn(2, 12, generator=generator, dtype=torch.float64)
    weight[0, :4] = weight[1, :4] + torch.tensor([2.0, -2.0, 2.0, -2.0])
    bias = -0.5 * weight.sum(1)
    images = 0.5 + 0.03 * torch.randn(10, 3, 2, 2, generator=generator, dtype=torch.float64)
    model = linear_model(weight, bias)
    labels = model(images).argmax(1)
    critical = linear_critical_eps(weight, bias, images, labels, "l1")
    assert critical.max() < 0.4
    attack = Apgd(norm="l1", steps=50, loss="margin", iterate="adversarial")
    below = model(attack(model, images, labels, 0.999 * critical, 0)).argmax(1)
    above = model(attack(model, images, labels, 1.02 * critical, 0)).argmax(1)
    assert torch.equal(below, labels)
    assert (above != labels).all()


@pytest.mark.parametrize("eps", [1.0, 2.0])
def test_stronger_than_steps_on_single_pixels(
    digit_net: nn.Module, digit_images: Digits, eps: float
) -> None:
    images, labels = digit_images
    rates = []
    for kind in (Apgd, Pgd):
        points = kind(norm="l1", steps=30, iterate="adversarial")(digit_net, images, labels, eps, 0)
        rates.append((digit_net(points).argmax(1) == labels).float().mean().item())
    assert rates[0] < rates[1] - 0.1


def test_n_steps_cost_n_plus_3_forwards_and_n_plus_2_backwards(
    digit_net: nn.Module, digit_images: Digits
) -> None:
    images, labels = (part[:10] for part in digit_images)
    model = CountingModel(digit_net)
    Apgd(norm="l1", steps=10)(model, images, labels, 1.0, 0)
    assert (model.forwards, model.backwards) == (130, 120)
