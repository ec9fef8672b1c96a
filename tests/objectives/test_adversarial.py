import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rampart.attacks.catalogue import ATTACKS
from rampart.errors import InvalidArgument, ModelError, UnknownName
from rampart.losses import CrossEntropy, Kl, Loss
from rampart.objectives.adversarial import Adversarial, StandardObjective, Trades
from rampart.objectives.base import Incomplete
from rampart.objectives.catalogue import OBJECTIVES
from rampart.runtime import scoped_seed

IMAGES = torch.rand(8, 1, 4, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(8) % 3


def net(batch_norm: bool = True) -> nn.Sequential:
    with scoped_seed(0, "model"):
        middle: nn.Module = nn.BatchNorm2d(4) if batch_norm else nn.Identity()
        return nn.Sequential(nn.Conv2d(1, 4, 3), middle, nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))


class Recorder:
    """Perturbs by a fixed shift, and records its arguments."""

    def __init__(self) -> None:
        self.calls: list[tuple[Tensor, Loss | None]] = []

    def __call__(self, images: Tensor, targets: Tensor, loss: Loss | None) -> Tensor:
        self.calls.append((targets, loss))
        return (images + 0.1).clamp(0, 1)


def shifted() -> Tensor:
    return (IMAGES + 0.1).clamp(0, 1)


def expected_ce(logits: Tensor, smoothing: float = 0.0) -> Tensor:
    return F.cross_entropy(logits, LABELS, reduction="none", label_smoothing=smoothing)


#: Each has a file of its own, and a loss only once it has what it lacks.
INCOMPLETE = [one for one in OBJECTIVES.names() if issubclass(OBJECTIVES.get(one), Incomplete)]
ANCHORLESS = [name for name in OBJECTIVES.names() if name not in INCOMPLETE]


def test_the_registry_lists_every_objective() -> None:
    listed = ["standard", "adversarial", "trades", "mart", "fare", "twins", "drawn", "autolora"]
    # The order follows the first import.
    assert sorted(OBJECTIVES.names()) == sorted([*listed, "noisy-labels"])


@pytest.mark.parametrize("name", INCOMPLETE)
def test_an_incomplete_objective_says_what_it_lacks(name: str) -> None:
    with pytest.raises(ModelError, match=f"objective={name} has .*: call "):
        OBJECTIVES.build(name)(net(), IMAGES, LABELS, None)


def test_objectives_say_whether_they_remember() -> None:
    remembering = [name for name in OBJECTIVES.names() if OBJECTIVES.get(name).remembers]
    assert sorted(remembering) == ["autolora", "noisy-labels"]


@pytest.mark.parametrize("name", ANCHORLESS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_without_an_attack_every_objective_equals_standard_training(
    name: str, smoothing: float
) -> None:
    objective = OBJECTIVES.build(name, {"label_smoothing": smoothing})
    terms = objective(net(), IMAGES, LABELS, None)
    torch.testing.assert_close(terms.loss, expected_ce(net()(IMAGES), smoothing))
    assert torch.equal(terms.correct, net()(IMAGES).argmax(1) == LABELS)


def test_standard_training_ignores_the_attack() -> None:
    recorder = Recorder()
    terms = StandardObjective()(net(), IMAGES, LABELS, recorder)
    assert not recorder.calls
    torch.testing.assert_close(terms.loss, expected_ce(net()(IMAGES)))


def test_adversarial_training_is_cross_entropy_at_the_perturbed_images() -> None:
    recorder = Recorder()
    terms = Adversarial(label_smoothing=0.1)(net(), IMAGES, LABELS, recorder)
    logits = net()(shifted())
    torch.testing.assert_close(terms.loss, expected_ce(logits, 0.1))
    ((targets, loss),) = recorder.calls
    assert torch.equal(targets, LABELS)
    assert loss is None


@pytest.mark.parametrize("beta", [0.0, 1.0, 6.0])
def test_trades_against_a_direct_evaluation(beta: float) -> None:
    model = net()
    terms = Trades(beta=beta, label_smoothing=0.05)(model, IMAGES, LABELS, Recorder())
    other = net()
    clean, perturbed = other(IMAGES), other(shifted())
    p, q = clean.softmax(1), perturbed.softmax(1)
    divergence = (p * (p.log() - q.log())).sum(1)
    direct = expected_ce(clean, 0.05) + beta * divergence
    torch.testing.assert_close(terms.loss, direct)
    # The same gradient too, through both arguments of the divergence, and both forwards
    # in the running statistics.
    terms.loss.mean().backward()
    direct.mean().backward()
    for ours, theirs in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)
    assert model[1].num_batches_tracked == 2
    torch.testing.assert_close(model[1].running_mean, other[1].running_mean)


@pytest.mark.parametrize(("inner", "kind"), [("kl", Kl), ("ce", CrossEntropy)])
def test_trades_chooses_the_loss_of_its_attack(inner: Any, kind: type) -> None:
    recorder = Recorder()
    Trades(inner=inner)(net(), IMAGES, LABELS, recorder)
    ((targets, loss),) = recorder.calls
    assert torch.equal(targets, LABELS)
    assert isinstance(loss, kind)


#: Attacks with a fixed loss.
OWN_LOSS = ("fab", "short", "standard", "plus", "rand")
#: Every attack and stage as usual, but fewer steps of each: their number does not matter here.
SHORT = {"queries": 100, "steps": 10, "draws": 2}


@pytest.mark.parametrize("attack", ATTACKS.names())
@pytest.mark.parametrize("name", ["adversarial", "trades", "mart"])
def test_objectives_train_with_every_attack(name: str, attack: str) -> None:
    """The attack itself changes no statistics and no gradients."""
    if name == "trades" and attack in OWN_LOSS:
        with pytest.raises(InvalidArgument, match="loss="):
            ATTACKS.build(attack)(net(), IMAGES, LABELS, 0.1, 0, loss=Kl())
        return
    options = {key: value for key, value in SHORT.items() if ATTACKS.takes(attack, key)}
    method, objective, model = ATTACKS.build(attack, options), OBJECTIVES.build(name), net().train()
    asked: list[Tensor] = []

    def perturb(images: Tensor, targets: Tensor, loss: Loss | None) -> Tensor:
        before = copy.deepcopy(model.state_dict())
        asked.append(method(model, images, targets, 0.1, 0, loss=loss))
        assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
        return asked[-1]

    terms = objective(model, IMAGES, LABELS, perturb)
    assert model[1].num_batches_tracked == (1 if name == "adversarial" else 2)
    terms.loss.mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters() if p.ndim > 1)
    if (attack, name) != ("fgsm", "trades"):
        assert not torch.equal(asked[0], IMAGES)


@pytest.mark.parametrize("name", [name for name in ANCHORLESS if name != "standard"])
def test_correct_refers_to_the_images_of_the_training_loss(name: str) -> None:
    model = nn.Flatten()
    images, labels = torch.eye(3).view(3, 1, 1, 3), torch.tensor([0, 1, 2])

    def swap_the_first_two(images: Tensor, _targets: Tensor, _loss: Loss | None) -> Tensor:
        return images[[1, 0, 2]]

    clean = OBJECTIVES.build(name)(model, images, labels, None).correct
    perturbed = OBJECTIVES.build(name)(model, images, labels, swap_the_first_two).correct
    assert clean.tolist() == [True, True, True]
    assert perturbed.tolist() == [False, False, True]


def test_terms_are_per_sample_and_the_loss_is_fp32_under_autocast() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for name in ANCHORLESS:
            terms = OBJECTIVES.build(name)(net(), IMAGES, LABELS, Recorder())
            assert terms.loss.dtype == torch.float32
            assert terms.loss.requires_grad
            assert terms.loss.shape == terms.correct.shape == (8,)


def test_an_attack_before_the_forward_does_not_change_gradients_under_autocast() -> None:
    """Training must not reuse weights that autocast has cached while they were frozen."""
    model = net(batch_norm=False)
    method = ATTACKS.build("apgd", {"steps": 2})
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = Trades()(
            model, IMAGES, LABELS, lambda x, t, loss: method(model, x, t, 0.1, 0, loss=loss)
        )
    terms.loss.mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_impossible_options_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="beta=-1"):
        Trades(beta=-1)
    with pytest.raises(InvalidArgument, match="label_smoothing=1"):
        StandardObjective(label_smoothing=1)
    with pytest.raises(UnknownName, match="inner"):
        Trades(inner="mse")  # type: ignore[arg-type]
