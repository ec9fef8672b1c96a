"""Means over the draws of a stochastic model."""

import torch
from torch import nn

from oracles import linear_model
from rampart.attacks.algorithm import Problem
from rampart.attacks.apgd import Apgd, ApgdAlgorithm
from rampart.attacks.averaged import Averaged
from rampart.attacks.base import CountingModel
from rampart.losses import LOSSES
from rampart.runtime import Noise, scoped_seed


class Wavering(nn.Module):
    """A model that is wrong in every fourth pass, by a little or by a lot."""

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


def test_one_unlikely_draw_does_not_count_as_misclassified():
    """One pass in four is slightly wrong: the mean probabilities still give the true class."""
    sound = problem(Wavering(base(), much=1.5))
    output = Averaged(ApgdAlgorithm(4), 4).query(sound, sound.images)
    assert not output.is_adv.any()
    assert (output.logits.argmax(1) == 0).all()
    torch.testing.assert_close(output.logits.exp().sum(1), torch.ones(5))


def test_a_sample_wrong_on_the_mean_is_misclassified():
    class Mostly(Wavering):
        def forward(self, images):
            self.asked += 1
            shift = 0.1 if self.asked % 4 == 0 else self.much
            return self.model(images) - shift * torch.tensor([1.0, 0.0])

    wrong = problem(Mostly(base(), much=3.0))
    assert Averaged(ApgdAlgorithm(4), 4).query(wrong, wrong.images).is_adv.all()


def test_value_and_gradient_are_means_of_the_draws():
    model, draws = Wavering(base(), much=2.0), 8
    single = problem(model)
    count_queries = [single.query(single.images) for _ in range(draws)]
    output = Averaged(ApgdAlgorithm(4), draws).query(single, single.images)
    for name in ("value", "gradient"):
        mean = torch.stack([getattr(query, name) for query in count_queries]).mean(0)
        torch.testing.assert_close(getattr(output, name), mean)
    probabilities = torch.stack([query.logits.softmax(1) for query in count_queries]).mean(0)
    torch.testing.assert_close(output.logits.exp(), probabilities)


def test_a_deterministic_model_gives_the_result_of_the_inner_algorithm():
    with scoped_seed(0):
        model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    images = torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    labels = model(images).argmax(1)
    from rampart.attacks.autoattack import AutoAttack

    stage = AutoAttack(version="rand", steps=5, draws=3).stages()[0]
    plain = Apgd(steps=5, iterate="adversarial").stages()[0]
    assert stage.name == plain.name == "apgd-ce"
    eps = torch.full((6,), 0.02)
    one = Problem(model, images, labels, eps, Noise.like(images), stage.loss, "linf")
    points = {algorithm: algorithm.start(one) for algorithm in (stage.algorithm, plain.algorithm)}
    first, second = points.values()
    assert torch.equal(first, second)
    for algorithm, other in ((stage.algorithm, plain.algorithm),):
        assert (algorithm.steps, algorithm.count_queries("linf")) == (
            other.steps,
            other.count_queries("linf"),
        )
        a, b = algorithm.query(one, first), other.query(one, first)
        torch.testing.assert_close(a.gradient, b.gradient)
        assert torch.equal(a.is_adv, b.is_adv)


def test_a_query_costs_one_pass_per_draw():
    counted = CountingModel(base())
    asked = problem(counted)
    Averaged(ApgdAlgorithm(4), 6).query(asked, asked.images)
    assert (counted.forwards, counted.backwards) == (30, 30)
