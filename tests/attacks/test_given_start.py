"""Attacks that begin at given points, and the one whose points leave the ball."""

import pytest
import torch
from torch import nn

from rampart.attacks.apgd import Apgd
from rampart.attacks.catalogue import ATTACKS
from rampart.attacks.pgd import Fgsm, NFgsm, Pgd, with_steps
from rampart.errors import InvalidArgument
from rampart.runtime import Noise
from rampart.threat import distance, project, random_start

EPS = 0.1
#: The same for every image; a number that is weak for a norm would be warned of.
STRENGTHS = torch.full((6,), EPS)
IMAGES = torch.full((6, 1, 4, 4), 0.5)
LABELS = torch.arange(6) % 2


class Linear(nn.Module):
    """Linear in the pixels; `seen` lists the points of every query."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(2, 16, generator=generator))
        self.seen = []

    def forward(self, images):
        self.seen.append(images.detach().clone())
        return images.flatten(1) @ self.weight.T


def given(scale):
    """Points beside the images, some of them outside the ball; the last two rows are unknown."""
    generator = torch.Generator().manual_seed(1)
    points = IMAGES + scale * (2 * torch.rand(IMAGES.shape, generator=generator) - 1)
    points[4:] = torch.nan
    return points


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("fgsm", {}),
        ("pgd", {"steps": 2}),
        ("pgd", {"steps": 2, "start": "none", "iterate": "best"}),
        ("pgd", {"steps": 2, "iterate": "adversarial", "start": "gaussian"}),
        ("apgd", {"steps": 3}),
        ("apgd", {"steps": 3, "start": "none"}),
    ],
)
def test_the_first_query_is_at_the_projected_start(name, options, norm):
    attack, start = ATTACKS.build(name, {"norm": norm, **options}), given(0.5)
    usual, warm = Linear(), Linear()
    attack(usual, IMAGES, LABELS, STRENGTHS, 3)
    attack(warm, IMAGES, LABELS, STRENGTHS, 3, start=start)
    assert torch.equal(warm.seen[0][:4], project(start[:4], IMAGES[:4], EPS, norm))
    assert torch.equal(warm.seen[0][4:], usual.seen[0][4:])


def test_a_subset_and_another_type_keep_their_starts():
    model, start = Linear(), given(0.05).double()
    eps = torch.tensor([0, EPS, EPS, 0, EPS, EPS])
    Pgd(steps=1)(model, IMAGES, LABELS, eps, 3, start=start)
    assert torch.equal(model.seen[0][:2], start[1:3].float())


def test_restarts_begin_as_usual():
    attack = Apgd(steps=2, restarts=2)
    usual, warm = Linear(), Linear()
    attack(usual, IMAGES, LABELS, EPS, 3)
    attack(warm, IMAGES, LABELS, EPS, 3, start=given(0.05))
    assert torch.equal(warm.seen[3], usual.seen[3])
    assert not torch.equal(warm.seen[0], usual.seen[0])


@pytest.mark.parametrize("name", sorted(ATTACKS.names()))
def test_other_attacks_refuse_a_start(name):
    attack = ATTACKS.build(name, {})
    if attack.takes_start:
        with pytest.raises(InvalidArgument, match="start="):
            attack(Linear(), IMAGES, LABELS, EPS, start=IMAGES[:2])
    else:
        with pytest.raises(InvalidArgument, match="start=points.*pgd"):
            attack(Linear(), IMAGES, LABELS, EPS, start=IMAGES)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_n_fgsm_is_noise_and_a_step_without_a_projection(norm):
    """Jorge et al. 2022, algorithm 1: x + eta + alpha sign(grad at x + eta)."""
    model, noise = Linear(), Noise.like(IMAGES, 3)
    points = NFgsm(norm=norm, noise=2.0, step_size=1.0)(model, IMAGES, LABELS, EPS, 3)
    eta = random_start(IMAGES, 2 * EPS, norm, noise) - IMAGES
    gap = (model.weight[1 - LABELS] - model.weight[LABELS]).detach().view_as(IMAGES)
    unit = gap.sign() if norm == "linf" else gap / distance(gap, gap * 0, "l2").view(-1, 1, 1, 1)
    torch.testing.assert_close(points, IMAGES + eta + EPS * unit)
    moved = distance(points, IMAGES, norm)
    assert (moved > EPS).all()
    assert (moved <= 3 * EPS + 1e-6).all()
    assert NFgsm().reach == 3


def test_every_other_attack_stays_in_the_ball():
    leaving = [name for name in ATTACKS.names() if ATTACKS.build(name, {}).reach != 1]
    assert leaving == ["n-fgsm"]


@pytest.mark.parametrize("options", [{"noise": 0}, {"noise": float("inf")}, {"step_size": -1}])
def test_n_fgsm_refuses_other_multiples(options):
    with pytest.raises(InvalidArgument, match=next(iter(options))):
        NFgsm(**options)


def test_more_steps_for_any_attack():
    assert with_steps(Apgd(steps=2, norm="l2"), 7) == Apgd(steps=7, norm="l2")
    assert with_steps(Fgsm(mode="train"), 7) == Pgd(steps=7, mode="train")
    assert with_steps(NFgsm(norm="l2"), 7) == Pgd(steps=7, norm="l2")
