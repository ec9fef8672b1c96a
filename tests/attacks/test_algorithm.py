import torch
from torch import nn

from rampart.attacks.algorithm import Problem, query_together
from rampart.guarded import guarded
from rampart.losses import LOSSES
from rampart.runtime import Noise, scoped_seed


def test_problems_that_share_a_pass_get_the_outputs_that_each_gets_alone():
    with scoped_seed(0):
        model, images = nn.Sequential(nn.Flatten(), nn.Linear(16, 5)), torch.rand(7, 1, 4, 4)
    asked, calls = [], []

    def counted(points):
        calls.append(len(points))
        return model(points)

    labels, classes = torch.arange(7) % 5, (torch.arange(7) + 1) % 5
    kinds = [("ce", labels), ("targeted-dlr", torch.stack([labels, classes], 1))]
    for (name, targets), rows in zip(kinds, (slice(0, 3), slice(2, 7)), strict=True):
        part = images[rows]
        eps, noise = torch.full((len(part),), 0.1), Noise.like(part)
        loss = LOSSES.get(name)()
        problem = Problem(guarded(counted), part, targets[rows], eps, noise, loss, "linf")
        asked.append((problem, part + 0.01))
    together = query_together(asked)
    assert calls == [8]
    for (problem, points), output in zip(asked, together, strict=True):
        alone = problem.query(points)
        for name in ("value", "is_adv", "gradient", "logits"):
            torch.testing.assert_close(getattr(output, name), getattr(alone, name))
    assert not query_together(asked, gradient=False)[1].gradient.any()
