"""Means over a model that answers differently each time."""

import torch
from torch import nn

from oracles import linear_model
from rampart.attacks.apgd import Apgd, ApgdSearch
from rampart.attacks.averaged import Averaged
from rampart.attacks.base import Counted
from rampart.attacks.search import Problem
from rampart.losses import LOSSES
from rampart.runtime import Noise, scoped_seed


class Wavering(nn.Module):
    """Logits that are wrong in every fourth answer, by a little or by a lot."""

    def __init__(self, model: nn.Module, much: float) -> None:
        super().__init__()
        self.model, self.much, self.asked = model, much, 0

    def forward(self, images):
        self.asked += 1
        logits = self.model(images)
        return logits - self.much * torch.tensor([1.0, 0.0]) if self.asked % 4 == 0 else logits


def problem(model: nn.Module) -> Problem:
    images = torch.full((5, 1, 2, 2), 0.5)
    labels = torch.zeros(5, dtype=torch.int64)
    loss, eps = LOSSES.get("ce")(), torch.full((5,), 0.1)
    return Problem(model, images, labels, eps, Noise.like(images), loss, "linf")


def base() -> nn.Module:
    return linear_model(torch.eye(2, 4), torch.tensor([1.0, 0.0]))


def test_a_lucky_draw_breaks_nothing():
    """One answer in four is wrong by little: the mean probabilities still name the true class."""
    sound = problem(Wavering(base(), much=1.5))
    seen = Averaged(ApgdSearch(4), 4).look(sound, sound.images)
    assert not seen.broken.any()
    assert (seen.logits.argmax(1) == 0).all()
    torch.testing.assert_close(seen.logits.exp().sum(1), torch.ones(5))


def test_what_is_wrong_on_the_mean_is_broken():
    class Mostly(Wavering):
        def forward(self, images):
            self.asked += 1
            shift = 0.1 if self.asked % 4 == 0 else self.much
            return self.model(images) - shift * torch.tensor([1.0, 0.0])

    wrong = problem(Mostly(base(), much=3.0))
    assert Averaged(ApgdSearch(4), 4).look(wrong, wrong.images).broken.all()


def test_value_and_gradient_are_means_of_the_draws():
    model, draws = Wavering(base(), much=2.0), 8
    single = problem(model)
    looks = [single.look(single.images) for _ in range(draws)]
    seen = Averaged(ApgdSearch(4), draws).look(single, single.images)
    for name in ("value", "gradient"):
        mean = torch.stack([getattr(look, name) for look in looks]).mean(0)
        torch.testing.assert_close(getattr(seen, name), mean)
    probabilities = torch.stack([look.logits.softmax(1) for look in looks]).mean(0)
    torch.testing.assert_close(seen.logits.exp(), probabilities)


def test_of_a_model_that_does_not_waver_it_is_the_search_itself():
    with scoped_seed(0):
        model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    images = torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    labels = model(images).argmax(1)
    from rampart.attacks.autoattack import AutoAttack

    stage = AutoAttack(version="rand", steps=5, draws=3).stages()[0]
    plain = Apgd(steps=5, keep="broken").stages()[0]
    assert stage.name == plain.name == "apgd-ce"
    eps = torch.full((6,), 0.02)
    one = Problem(model, images, labels, eps, Noise.like(images), stage.loss, "linf")
    points = {search: search.start(one) for search in (stage.search, plain.search)}
    first, second = points.values()
    assert torch.equal(first, second)
    for search, other in ((stage.search, plain.search),):
        assert (search.steps, search.looks("linf")) == (other.steps, other.looks("linf"))
        a, b = search.look(one, first), other.look(one, first)
        torch.testing.assert_close(a.gradient, b.gradient)
        assert torch.equal(a.broken, b.broken)


def test_a_look_costs_a_pass_per_draw():
    counted = Counted(base())
    asked = problem(counted)
    Averaged(ApgdSearch(4), 6).look(asked, asked.images)
    assert (counted.forwards, counted.backwards) == (30, 30)
