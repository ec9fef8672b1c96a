"""AutoAttack's versions: settings, and a comparison with another library."""

from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from rampart.attacks.autoattack import AutoAttack, Version
from rampart.attacks.averaged import Averaged
from rampart.attacks.base import CountingModel
from rampart.attacks.catalogue import ATTACKS
from rampart.errors import RampartError, RampartWarning
from rampart.runtime import scoped_seed


def described(attack: AutoAttack) -> list[tuple[str, int, int, int]]:
    return [(s.name, s.algorithm.steps, s.restarts, s.targets) for s in attack.stages()]


def test_the_versions_have_the_published_settings():
    ce, t, fab = ("apgd-ce", 100, 1, 0), ("apgd-t", 100, 1, 9), ("fab-t", 100, 1, 9)
    square = ("square", 5000, 1, 0)
    assert described(AutoAttack(version="short")) == [ce, t]
    assert described(AutoAttack(version="standard")) == [ce, t, fab, square]
    plus = [("apgd-ce", 100, 5, 0), ("apgd-dlr", 100, 5, 0)]
    plus += [("fab", 100, 1, 0), ("fab-random", 100, 4, 0), square, t, fab]
    assert described(AutoAttack(version="plus")) == plus
    assert described(AutoAttack(version="rand")) == [ce, ("apgd-dlr", 100, 1, 0)]
    assert all(
        isinstance(s.algorithm, Averaged) and s.algorithm.draws == 20
        for s in AutoAttack(version="rand").stages()
    )
    assert described(AutoAttack(version="standard", norm="l1"))[:2] == [
        ("apgd-ce", 100, 5, 0),
        ("apgd-t", 100, 1, 5),
    ]


@pytest.mark.parametrize("version", get_args(Version))
def test_a_version_is_a_name_in_configurations(version):
    assert ATTACKS.build(version, {"steps": 7}) == AutoAttack(version=version, steps=7)
    dumped = ATTACKS.dump(AutoAttack(version=version))
    assert dumped.pop("name") == version
    assert "version" not in dumped


def test_stage_names_are_unique():
    for name in ("short", "standard", "plus", "rand"):
        names = [stage.name for stage in ATTACKS.build(name, {}).stages()]
        assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "options",
    [
        {"steps": 0},
        {"targets": 0},
        {"queries": 0},
        {"draws": 0},
        {"loss": "dlr"},
        {"version": "long"},
    ],
)
def test_impossible_settings_are_refused(options):
    with pytest.raises(RampartError, match=next(iter(options))):
        AutoAttack(**options)


def composed(model: nn.Module, images: Tensor, labels: Tensor, eps: float) -> Tensor:
    """Whether samples are robust to torchattacks' four attacks, run one after another."""
    import torchattacks

    attacks = [
        torchattacks.APGD(model, eps=eps, steps=20, loss="ce"),
        torchattacks.APGDT(model, eps=eps, steps=20, n_classes=10),
        torchattacks.FAB(model, eps=eps, steps=10, multi_targeted=True, n_classes=10),
        torchattacks.Square(model, eps=eps, n_queries=100, resc_schedule=False),
    ]
    robust = model(images).argmax(1) == labels
    for attack in attacks:
        rows = robust.nonzero()[:, 0]
        points = attack(images[rows], labels[rows])
        robust[rows] = model(points).argmax(1) == labels[rows]
    return robust


@pytest.mark.parametrize("eps", [0.06, 0.1])
def test_as_strong_as_the_attacks_of_another_library(eps, digit_net, digit_images):
    """Up to noise: 2 of 80 samples, because the noise differs and the budgets are small."""
    images, labels = (part[:80] for part in digit_images)
    theirs = composed(digit_net, images, labels, eps)
    points = AutoAttack(version="standard", steps=20, queries=100)(
        digit_net, images, labels, eps, 0
    )
    ours = (digit_net(images).argmax(1) == labels) & (digit_net(points).argmax(1) == labels)
    assert 8 < theirs.sum() < 72
    assert abs(int(ours.sum()) - int(theirs.sum())) <= 2
    assert (ours == theirs).float().mean() > 0.95


@pytest.mark.parametrize(
    ("after", "message"),
    [
        (lambda z: z.softmax(1), "returns probabilities.*inputs of the softmax"),
        (lambda z: z.log_softmax(1), "returns log-probabilities"),
        (lambda z: z.sigmoid(), "returns scores.*sigmoid"),
        (lambda z: z + 0.1 * torch.randn_like(z), "different logits.*version='rand'"),
    ],
)
def test_a_direct_call_warns_of_outputs_that_mislead_it(after, message, digit_net, digit_images):
    images, labels = (part[:16] for part in digit_images)
    attack = AutoAttack(version="short", steps=2, targets=1)
    with pytest.warns(RampartWarning, match=message) as caught:
        attack(lambda x: after(digit_net(x)), images, labels, 0.01)
    assert [one.filename for one in caught] == [__file__]


def test_a_version_for_random_models_expects_randomness(digit_net, digit_images):
    images, labels = (part[:16] for part in digit_images)
    attack = AutoAttack(version="rand", steps=1, draws=2)
    attack(lambda x: digit_net(x) + 0.1 * torch.randn(len(x), 10), images, labels, 0.01)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("classes", [2, 10])
def test_a_direct_call_accepts_healthy_networks_at_the_cost_stated(seed, classes):
    """Warnings are errors. Misclassified images need no attack, so only the questions cost."""
    with scoped_seed(seed):
        net = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, classes))
        images, labels = torch.rand(40, 1, 4, 4), torch.arange(40) % classes
    model = CountingModel(net.eval())
    wrong = net(images).argmax(1) != labels
    AutoAttack(version="short", steps=1)(model, images[wrong], labels[wrong], 0.01)
    assert model.forwards == wrong.sum() + 2 * min(16, int(wrong.sum()))
