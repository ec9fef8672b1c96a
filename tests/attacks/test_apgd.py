import importlib
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rampart.attacks import apgd
from rampart.attacks.algorithm import Output, Problem
from rampart.attacks.apgd import Apgd, Ascent, Pace
from rampart.attacks.base import CountingModel
from rampart.attacks.pgd import Pgd
from rampart.errors import InvalidArgument, UnknownName
from rampart.runtime import scoped_seed
from rampart.threat import column

Digits = tuple[Tensor, Tensor]
STRENGTHS = [("linf", 0.08), ("linf", 0.12), ("l2", 0.4), ("l2", 0.7)]


def reference(model: nn.Module, norm: str, **options: Any) -> Any:
    """torchattacks; importing it warns on some platforms."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torchattacks = importlib.import_module("torchattacks")
        return torchattacks.APGD(model, norm={"linf": "Linf", "l2": "L2"}[norm], **options)


def drawn_noise(images: Tensor, norm: str) -> Tensor:
    """The unscaled random start of the reference, drawn in its order."""
    if norm == "linf":
        noise = 2 * torch.rand(images.shape) - 1
        return noise / column(noise.flatten(1).abs().amax(1), noise)
    noise = torch.randn(images.shape)
    return noise / column(noise.flatten(1).norm(dim=1), noise)


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    return float((model(images).argmax(1) == labels).float().mean())


@pytest.mark.parametrize("loss", ["ce", "dlr"])
@pytest.mark.parametrize("steps", [7, 10, 30])
@pytest.mark.parametrize(("norm", "eps"), STRENGTHS)
def test_the_same_start_gives_the_result_of_the_reference(
    digit_net: nn.Module,
    digit_images: Digits,
    monkeypatch: pytest.MonkeyPatch,
    norm: str,
    eps: float,
    steps: int,
    loss: str,
) -> None:
    """Point for point, up to a few samples where fp32 rounds a comparison of losses differently."""
    images, labels = (part[:80] for part in digit_images)
    other = reference(digit_net, norm, eps=eps, steps=steps, loss=loss)
    with scoped_seed(0, "start"):
        expected = other.attack_single_run(images, labels)[0]
    with scoped_seed(0, "start"):
        noise = drawn_noise(images, norm)
    monkeypatch.setattr(
        apgd, "sphere_start", lambda problem: (problem.images + eps * noise).clamp(0, 1)
    )
    found = Apgd(norm=norm, steps=steps, loss=loss)(digit_net, images, labels, eps, 0)
    apart = (found - expected).flatten(1).abs().amax(1) > 1e-4
    assert apart.float().mean() <= 0.05


@pytest.mark.parametrize(("norm", "eps"), STRENGTHS)
def test_robust_accuracy_agrees_with_the_reference(
    digit_net: nn.Module, digit_images: Digits, norm: str, eps: float
) -> None:
    """Tolerance for other random starts: 3 standard deviations of about 1 % of 200 images."""
    images, labels = digit_images
    with scoped_seed(0, "reference"):
        expected = accuracy(
            digit_net, reference(digit_net, norm, eps=eps, steps=10)(images, labels), labels
        )
    found = [
        accuracy(
            digit_net,
            Apgd(norm=norm, iterate="adversarial")(digit_net, images, labels, eps, s),
            labels,
        )
        for s in range(2)
    ]
    assert 0.1 < expected < accuracy(digit_net, images, labels) - 0.1
    assert sum(found) / 2 == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("loss", ["ce", "dlr"])
@pytest.mark.parametrize(("norm", "eps"), STRENGTHS)
def test_apgd_is_no_weaker_than_pgd_at_the_same_cost(
    digit_net: nn.Module, digit_images: Digits, norm: str, eps: float, loss: str
) -> None:
    """Mean over 3 seeds; 0.5 % allowed for the starts."""
    images, labels = digit_images
    means = []
    for kind in (Apgd, Pgd):
        attack = kind(norm=norm, steps=10, loss=loss, iterate="adversarial")
        runs = [attack(digit_net, images, labels, eps, seed) for seed in range(3)]
        means.append(sum(accuracy(digit_net, run, labels) for run in runs) / 3)
    assert means[0] <= means[1] + 0.005


@pytest.mark.parametrize("kind", [Apgd, Pgd])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_stopping_early_is_exact_and_saves_passes(
    digit_net: nn.Module, digit_images: Digits, norm: str, kind: Any
) -> None:
    """One run per sample gives the same results as the whole batch, at the same total passes."""
    images, labels = (part[:24] for part in digit_images)
    eps = 0.1 if norm == "linf" else 0.6
    attack = kind(norm=norm, iterate="adversarial", restarts=2)
    model = CountingModel(digit_net.double())
    try:
        images = images.double()
        is_adv = model.module(attack(model, images, labels, eps, 3)).argmax(1) != labels
        full = 2 * 11 * 24
        assert 0 < is_adv.sum() < 24
        assert 11 < model.forwards < full
        robust = int((~is_adv).sum())
        # Robust samples cost both runs in full; the others cost at least their first query.
        assert model.forwards >= 22 * robust + int(is_adv.sum())
        assert model.backwards <= model.forwards - 2 * robust
    finally:
        digit_net.float()


def test_n_steps_cost_n_plus_1_forwards_and_n_backwards(
    digit_net: nn.Module, digit_images: Digits
) -> None:
    images, labels = (part[:10] for part in digit_images)
    model = CountingModel(digit_net)
    Apgd(steps=7)(model, images, labels, 0.1, 0)
    assert (model.forwards, model.backwards) == (80, 70)
    model = CountingModel(digit_net)
    Apgd(steps=7, restarts=3)(model, images, labels, 0.1, 0)
    assert (model.forwards, model.backwards) == (240, 210)


@pytest.mark.parametrize(("norm", "eps"), [*STRENGTHS, ("l1", 8.0)])
def test_from_the_image_no_seed_matters_and_the_loss_never_falls(
    digit_net: nn.Module, digit_images: Digits, norm: str, eps: float
) -> None:
    images, labels = (part[:60] for part in digit_images)
    attack = Apgd(norm=norm, steps=10, start="none")
    points = [attack(digit_net, images, labels, eps, seed) for seed in range(2)]
    assert torch.equal(*points)
    losses = [
        nn.functional.cross_entropy(digit_net(at), labels, reduction="none")
        for at in (images, points[0])
    ]
    assert (losses[1] >= losses[0] - 1e-6).all()
    assert (losses[1] > losses[0] + 0.01).float().mean() > 0.5


@pytest.mark.parametrize("kind", [Apgd, Pgd])
def test_restarts_from_the_image_are_refused(kind: Any) -> None:
    with pytest.raises(InvalidArgument, match="restarts=2.*start 'none'"):
        kind(start="none", restarts=2, iterate="best")


def test_other_starts_are_refused() -> None:
    with pytest.raises(UnknownName, match="uniform.*sphere"):
        Apgd(start="uniform")  # type: ignore[arg-type]


def test_restarts_never_lower_the_loss(digit_net: nn.Module, digit_images: Digits) -> None:
    images, labels = digit_images
    values = []
    for restarts in (1, 4):
        points = Apgd(steps=4, restarts=restarts)(digit_net, images, labels, 0.1, 0)
        values.append(nn.functional.cross_entropy(digit_net(points), labels, reduction="none"))
    assert (values[1] >= values[0] - 1e-5).all()
    assert (values[1] > values[0] + 1e-3).any()


@pytest.mark.parametrize(
    ("steps", "pace"),
    [(100, Pace(22, 3, 6)), (10, Pace(2, 1, 1)), (7, Pace(1, 1, 1)), (50, Pace(11, 1, 3))],
)
def test_checkpoints_lie_at_the_published_fractions(steps: int, pace: Pace) -> None:
    assert Pace.of(steps) == pace


def scripted(values: list[float], pace: Pace) -> list[Ascent]:
    """The state of one sample after queries with these losses at points 0, 1, 2, ..."""
    states: list[Ascent] = []
    for i, value in enumerate(values):
        point = torch.full((1, 1, 1, 1), float(i))
        output = Output(
            torch.tensor([value]), torch.tensor([False]), point + 100, torch.zeros(1, 2)
        )
        if states:
            states.append(states[-1].observe(None, point, output))
        else:
            states.append(Ascent.begin(point, output, torch.tensor([0.1]), pace))
    return states


def test_the_step_is_twice_eps_and_halves_where_the_loss_oscillates() -> None:
    states = scripted([1.0, 3.0, 2.0, 2.5, 2.4], Pace(4, 1, 2))
    assert [s.length.item() for s in states] == pytest.approx([0.2] * 4 + [0.1])
    last = states[-1]
    # It returns to the best point (number 1) and its gradient.
    assert (last.point.item(), last.gradient.item(), last.previous.item()) == (1, 101, 3)
    assert (last.clock.item(), last.rises.item(), last.window.item()) == (0, 0, 3)
    assert last.halved.item()


def test_the_step_keeps_its_length_while_the_loss_rises() -> None:
    states = scripted([1.0, 2.0, 3.0, 4.0, 5.0], Pace(4, 1, 2))
    assert states[-1].length.item() == pytest.approx(0.2)
    assert states[-1].point.item() == 4
    assert not states[-1].halved.item()


def test_the_first_step_is_compared_with_zero() -> None:
    """As in AutoAttack: a first loss of 2 counts as a rise, although the start had 5."""
    assert scripted([5.0, 2.0], Pace(4, 1, 2))[-1].rises.item() == 1
    assert scripted([-5.0, -2.0], Pace(4, 1, 2))[-1].rises.item() == 0


def test_an_unchanged_best_halves_only_if_the_last_checkpoint_did_not() -> None:
    # Window 1: every step raises the loss, and the best point never changes.
    values = [9.0, 1.0, 2.0, 3.0]
    lengths = [s.length.item() for s in scripted(values, Pace(1, 1, 1))]
    assert lengths == pytest.approx([0.2, 0.2, 0.1, 0.1])


def test_the_first_step_has_no_momentum_and_the_next_has_a_quarter() -> None:
    images = torch.full((1, 1, 1, 2), 0.5)
    problem = Problem(
        lambda x: x,
        images,
        torch.zeros(1),
        torch.tensor([0.1]),
        None,
        None,
        "linf",  # type: ignore[arg-type]
    )
    up = Output(
        torch.tensor([1.0]), torch.tensor([False]), torch.ones(1, 1, 1, 2), torch.zeros(1, 2)
    )
    start = Ascent.begin(images - 0.1, up, torch.tensor([0.04]), Pace(4, 1, 2))
    first = start.advance(problem)
    torch.testing.assert_close(first, images - 0.02)
    second = start.observe(problem, first, up).advance(problem)
    # 0.75 of the step 0.08 and 0.25 of the last displacement 0.08.
    torch.testing.assert_close(second, images + 0.06)


def test_impossible_options_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="steps=0"):
        Apgd(steps=0)
    with pytest.raises(InvalidArgument, match="restarts=0"):
        Apgd(restarts=0)
    with pytest.raises(UnknownName, match="iterate"):
        Apgd(iterate="last")  # type: ignore[arg-type]
