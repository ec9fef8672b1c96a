"""The interface of attacks, tested on every attack in the registry."""

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from rampart.attacks.algorithm import Problem
from rampart.attacks.apgd import Apgd
from rampart.attacks.base import Attack, CountingModel, with_fewer_steps
from rampart.attacks.catalogue import ATTACKS
from rampart.attacks.pgd import Fgsm, Pgd
from rampart.errors import InvalidArgument, ModelError, UnknownName
from rampart.losses import LOSSES
from rampart.runtime import Noise, scoped_seed
from rampart.threat import distance

#: One strength serves every norm here; under L1 it is unusually weak.
pytestmark = pytest.mark.filterwarnings("ignore:eps=.* in l1:rampart.errors.RampartWarning")

NORMS = ["linf", "l2", "l1"]
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("fgsm", {}),
    ("fgsm", {"start": "none"}),
    ("n-fgsm", {}),
    ("pgd", {"steps": 3}),
    ("pgd", {"steps": 3, "start": "gaussian", "iterate": "adversarial", "restarts": 2}),
    ("pgd", {"steps": 3, "step_rule": "absolute", "step_size": "20/255", "iterate": "best"}),
    ("apgd", {"steps": 4}),
    ("apgd", {"steps": 4, "iterate": "best", "restarts": 2, "loss": "dlr"}),
    ("apgd", {"steps": 4, "iterate": "adversarial", "restarts": 3}),
    ("apgd", {"steps": 4, "start": "none"}),
    ("fab", {"steps": 4}),
    ("fab", {"steps": 3, "targets": 2, "restarts": 2, "iterate": "adversarial"}),
    ("fab", {"steps": 3, "targets": 0, "restarts": 2}),
    ("square", {"queries": 30}),
    ("short", {"steps": 3, "targets": 2}),
    ("standard", {"steps": 3, "targets": 2, "queries": 5}),
    ("plus", {"steps": 3, "targets": 1, "queries": 5}),
    ("rand", {"steps": 3, "draws": 2}),
    ("square", {"queries": 12, "iterate": "best", "restarts": 2, "loss": "ce"}),
]
every_attack = pytest.mark.parametrize(
    "attack",
    [ATTACKS.build(name, {"norm": norm, **o}) for name, o in VARIANTS for norm in NORMS],
    ids=repr,
)


def small_model(seed: int = 0, classes: int = 5) -> nn.Sequential:
    with scoped_seed(seed, "model"):
        model = nn.Sequential(
            nn.Conv2d(2, 6, 3),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Flatten(),
            nn.Linear(6 * 9, classes),
        )
        model(torch.rand(32, 2, 5, 5))  # to set the running statistics
    return model.eval()


def batch(n: int = 8, seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(n, 2, 5, 5, generator=generator, dtype=dtype)
    # Some pixels on the border of the box.
    return (1.2 * images - 0.1).clamp(0, 1), torch.arange(n) % 5


def refuse(images: Tensor) -> Tensor:
    raise AssertionError("the model was called")


@every_attack
def test_without_noise_the_seed_is_0(attack: Attack) -> None:
    model, (images, labels) = small_model(), batch()
    assert torch.equal(
        attack(model, images, labels, 0.1), attack(model, images, labels, 0.1, noise=0)
    )


def test_the_variants_cover_the_registry() -> None:
    assert {name for name, _ in VARIANTS} == set(ATTACKS.names())


@every_attack
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_results_lie_in_ball_and_box(attack: Attack, seed: int, strengths: list[float]) -> None:
    images, labels = batch(4, seed)
    eps = torch.tensor(strengths)
    result = attack(small_model(seed), images, labels, eps, seed)
    assert (result >= 0).all()
    assert (result <= 1).all()
    radius = attack.reach * eps
    assert (distance(result, images, attack.norm) <= radius * (1 + 1e-5) + 1e-6).all()
    assert torch.equal(result[eps == 0], images[eps == 0])
    assert result.dtype == images.dtype
    assert not result.requires_grad


@every_attack
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_the_ball_holds_in_the_type_of_the_images(attack: Attack, dtype: torch.dtype) -> None:
    """In bf16 an image has 8 bits, and 4/255 is three steps of the type near white."""
    images, labels = batch(16)
    images, eps = images.to(dtype), {"linf": 4 / 255, "l2": 0.15, "l1": 0.9}[attack.norm]
    points = attack(small_model().to(dtype), images, labels, eps)
    assert points.dtype == dtype
    assert (points >= 0).all()
    assert (points <= 1).all()
    moved = distance(points.double(), images.double(), attack.norm)
    assert (moved <= attack.reach * eps * (1 + 1e-5) + 1e-6).all()
    assert (moved > 0).any()


def test_in_bf16_the_model_judges_the_points_that_are_returned() -> None:
    images, labels = batch(16)
    images, seen = images.bfloat16(), list[Tensor]()
    model = small_model().bfloat16()

    def ask(points: Tensor) -> Tensor:
        seen.append(points.detach())
        return model(points)

    points = ATTACKS.build("apgd", {"steps": 5, "iterate": "best"})(ask, images, labels, 0.05)
    assert {one.dtype for one in seen} == {torch.bfloat16}
    known = torch.stack(seen)
    assert (known == points).flatten(2).all(2).any(0).all()


@every_attack
def test_every_attack_raises_the_loss(attack: Attack) -> None:
    """An attack that does nothing would pass the tests above."""
    images, _ = batch(32)
    model = small_model()
    labels = model(images).argmax(1)
    loss, eps = LOSSES.get(attack.loss)(), {"linf": 0.2, "l2": 1.0, "l1": 4.0}[attack.norm]
    before = loss.value(model(images), labels)
    after = loss.value(model(attack(model, images, labels, eps, 0)), labels)
    assert after.mean() > before.mean() + 0.01


@every_attack
def test_eps_0_changes_nothing(attack: Attack) -> None:
    images, labels = batch()
    for eps in (0.0, torch.zeros(8), torch.tensor(0.0)):
        result = attack(refuse, images, labels, eps, 0)
        assert torch.equal(result, images)
        assert result.data_ptr() != images.data_ptr()


@every_attack
def test_samples_with_eps_0_cost_no_pass(attack: Attack) -> None:
    images, labels = batch()
    eps = torch.tensor([0.0, 0.1] * 4)
    model, alone = CountingModel(small_model()), CountingModel(small_model())
    noise = Noise.like(images, 1)
    mixed = attack(model, images, labels, eps, noise)
    part = attack(alone, images[1::2], labels[1::2], 0.1, noise.select(eps > 0))
    assert torch.equal(mixed[::2], images[::2])
    assert torch.equal(mixed[1::2], part)
    assert (model.forwards, model.backwards) == (alone.forwards, alone.backwards)
    assert model.forwards > 0


@every_attack
@pytest.mark.parametrize("mode", ["eval", "train", "unchanged"])
@pytest.mark.parametrize("found", ["eval", "train", "mixed"])
def test_the_model_is_restored(attack: Attack, mode: str, found: str) -> None:
    attack = ATTACKS.build(
        ATTACKS.name_of(attack),
        {k: v for k, v in ATTACKS.dump(attack).items() if k != "name"} | {"mode": mode},
    )
    model = small_model().train(found != "eval")
    if found == "mixed":
        model[1].eval()
    model[0].bias.requires_grad_(False)
    model[0].weight.grad = torch.ones_like(model[0].weight)
    images, labels = batch()
    modes = [m.training for m in model.modules()]
    trained = [p.requires_grad for p in model.parameters()]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    output: list[bool] = []
    model[1].register_forward_hook(lambda m, i, o: output.append(m.training))

    attack(model, images, labels, 0.1, 0)

    expected = {"eval": False, "train": True, "unchanged": found == "train"}[mode]
    assert output
    assert set(output) == {expected}
    assert [m.training for m in model.modules()] == modes
    assert [p.requires_grad for p in model.parameters()] == trained
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name
    assert torch.equal(model[0].weight.grad, torch.ones_like(model[0].weight))
    assert all(p.grad is None for p in list(model.parameters())[1:])


def test_the_model_is_restored_after_an_error() -> None:
    class Fails(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(2)
            self.calls = 0

        def forward(self, images: Tensor) -> Tensor:
            self.calls += 1
            if self.calls == 2:
                raise RuntimeError("out of memory")
            return self.norm(images).flatten(1)

    model = Fails().train()
    images, labels = batch()
    with pytest.raises(RuntimeError, match="out of memory"):
        ATTACKS.build("pgd", {"mode": "train"})(model, images, labels, 0.1, 0)
    assert all(m.training for m in model.modules())
    assert all(p.requires_grad for p in model.parameters())
    assert not model.norm.running_mean.any()
    assert model.norm.num_batches_tracked == 0


@every_attack
def test_a_result_does_not_depend_on_the_batch(attack: Attack) -> None:
    images, labels = batch(dtype=torch.float64)
    model = small_model().double()
    noise = Noise.of(3, torch.arange(8), "attack")
    eps = torch.linspace(0.02, 0.3, 8, dtype=torch.float64)
    together = attack(model, images, labels, eps, noise)
    for i in range(8):
        one = torch.tensor([i])
        alone = attack(model, images[one], labels[one], eps[one], noise.select(one))
        torch.testing.assert_close(alone[0], together[i], rtol=0, atol=1e-9)


@every_attack
def test_the_same_noise_gives_the_same_result(attack: Attack) -> None:
    images, labels = batch()
    before = torch.random.get_rng_state()
    first = attack(small_model(), images, labels, 0.2, 5)
    assert torch.equal(first, attack(small_model(), images, labels, 0.2, Noise.like(images, 5)))
    assert torch.equal(first, attack(small_model(), images, labels, torch.full((8,), 0.2), 5))
    assert torch.equal(before, torch.random.get_rng_state())
    # FAB starts at the image and draws nothing; it is the last stage of "plus".
    fixed = getattr(attack, "start", "") == "none" or ATTACKS.name_of(attack) in ("fab", "plus")
    if not fixed:
        assert not torch.equal(first, attack(small_model(), images, labels, 0.2, 6))


@every_attack
def test_the_callers_gradient_mode_does_not_matter(attack: Attack) -> None:
    images, labels = batch()
    model = small_model()
    expected = attack(model, images, labels, 0.1, 0)
    with torch.no_grad():
        assert torch.equal(attack(model, images, labels, 0.1, 0), expected)
        assert not torch.is_grad_enabled()
    with torch.inference_mode():
        result = attack(model, images.clone(), labels.clone(), torch.full((8,), 0.1), 0)
        assert torch.equal(result, expected)
        assert torch.is_inference_mode_enabled()
    assert torch.equal(attack(model, images.clone().requires_grad_(), labels, 0.1, 0), expected)


@every_attack
def test_losses_stay_in_fp32_under_autocast(
    attack: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds: set[tuple[torch.dtype, torch.dtype]] = set()
    cls = LOSSES.get(attack.loss)
    value = cls.value

    def spy(self: Any, logits: Tensor, targets: Tensor) -> Tensor:
        result = value(self, logits, targets)
        kinds.add((logits.dtype, result.dtype))
        return result

    monkeypatch.setattr(cls, "value", spy)
    images, labels = batch()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = attack(small_model(), images, labels, 0.1, 0)
    assert kinds == {(torch.bfloat16, torch.float32)}
    assert result.dtype == torch.float32
    assert (distance(result, images, attack.norm) <= 0.1 * attack.reach + 1e-6).all()


def test_passes_count_samples_in_each_direction() -> None:
    images, labels = batch()
    model = CountingModel(small_model())
    ATTACKS.build("pgd", {"steps": 7})(model, images, labels, 0.1, 0)
    assert (model.forwards, model.backwards) == (56, 56)
    with torch.no_grad():
        model(images[:3])
    assert (model.forwards, model.backwards) == (59, 56)
    model(images[:3]).sum().backward()
    assert (model.forwards, model.backwards) == (62, 59)


def test_a_counting_model_is_frozen_too() -> None:
    inner = small_model().train()
    images, labels = batch()
    state = {name: value.clone() for name, value in inner.state_dict().items()}
    ATTACKS.build("apgd")(CountingModel(inner), images, labels, 0.1, 0)
    assert inner[1].training
    assert all(torch.equal(v, state[k]) for k, v in inner.state_dict().items())


def test_labels_become_clean_logits_in_the_mode_of_the_attack() -> None:
    images, labels = batch()
    model = small_model().train()
    attack = ATTACKS.build("apgd", {"steps": 3})
    kl = LOSSES.get("kl")()
    model.eval()
    clean = model(images).detach()
    model.train()
    counted = CountingModel(model)
    expected = attack(model, images, clean, 0.1, 0, loss=kl)
    assert torch.equal(attack(counted, images, labels, 0.1, 0, loss=kl), expected)
    assert (counted.forwards, counted.backwards) == (8 * (1 + 4), 8 * 3)


def test_a_loss_given_to_the_call_replaces_the_attacks_own() -> None:
    images, labels = batch()
    model, dlr = small_model(), LOSSES.get("dlr")()
    given_one = ATTACKS.build("apgd")(model, images, labels, 0.1, 0, loss=dlr)
    named = ATTACKS.build("apgd", {"loss": "dlr"})(model, images, labels, 0.1, 0)
    assert torch.equal(given_one, named)
    assert not torch.equal(named, ATTACKS.build("apgd")(model, images, labels, 0.1, 0))


@pytest.mark.parametrize("name", LOSSES.names())
def test_every_loss_can_be_attacked(name: str) -> None:
    images, labels = batch(32)
    targets = labels
    if name.startswith("targeted"):
        targets = torch.stack([labels, (labels + 1) % 5], dim=1)
    loss, model = LOSSES.get(name)(), small_model()
    result = ATTACKS.build("apgd", {"loss": name})(model, images, targets, 0.2, 0)
    if name == "kl":
        targets = model(images)
    before, after = (loss.value(model(x), targets) for x in (images, result))
    assert after.mean() > before.mean() + 0.005


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eps": 4}, r"eps=4: .*write 4/255"),
        ({"eps": -0.1}, r"eps=-0.1"),
        ({"eps": torch.full((8,), 4.0)}, r"eps=4: .*\[0, 1\].*write 4/255"),
        ({"eps": torch.full((8,), torch.nan)}, r"eps=nan"),
        ({"eps": torch.full((7,), 0.1)}, r"eps=float32 \(7,\): .*\(8,\)"),
        ({"eps": torch.ones(8, dtype=torch.int64)}, r"eps=int64"),
        ({"images": torch.full((8, 2, 5, 5), 128.0)}, r"images=pixels from 128 to 128"),
        ({"images": torch.full((8, 2, 5, 5), torch.nan)}, r"images=pixels from nan"),
        ({"images": torch.zeros(8, 2, 5, 5, dtype=torch.uint8)}, r"images=uint8.*by 255"),
        ({"images": torch.zeros(8, 50)}, r"images=float32 \(8, 50\)"),
        ({"targets": torch.zeros(7, dtype=torch.int64)}, r"targets=int64 \(7,\)"),
        ({"targets": torch.zeros(8, 5)}, r"targets=float32 \(8, 5\)"),
        ({"noise": Noise(torch.zeros(3, dtype=torch.int64))}, r"noise=3 keys: expected 8"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, str) else "",
)
def test_an_error_names_the_wrong_argument(change: dict[str, Any], message: str) -> None:
    images, labels = batch()
    call = {"images": images, "targets": labels, "eps": 0.1, "noise": 0} | change
    with pytest.raises(InvalidArgument, match=message):
        ATTACKS.build("pgd")(refuse, **call)


def test_a_model_without_gradient_is_refused() -> None:
    images, labels = batch()
    with pytest.raises(ModelError, match="differentiable"):
        ATTACKS.build("pgd")(lambda x: x.detach().flatten(1), images, labels, 0.1, 0)
    with pytest.raises(ModelError, match=r"expected logits \(8, K\)"):
        ATTACKS.build("pgd")(lambda x: x, images, labels, 0.1, 0)


def test_unknown_options_are_refused() -> None:
    for option in ({"norm": "l3"}, {"loss": "cee"}, {"mode": "evaluation"}):
        with pytest.raises((UnknownName, InvalidArgument)):
            ATTACKS.build("pgd", option)


def test_an_empty_batch_comes_back_empty() -> None:
    images, labels = batch()
    for name in ATTACKS.names():
        assert len(ATTACKS.build(name)(refuse, images[:0], labels[:0], torch.zeros(0), 0)) == 0


@pytest.mark.parametrize("name", ATTACKS.names())
def test_a_dumped_attack_can_be_built_again(name: str) -> None:
    attack = ATTACKS.build(name, {"norm": "l2"})
    options = ATTACKS.dump(attack)
    assert ATTACKS.build(options.pop("name"), options) == attack


@dataclass(frozen=True)
class Careless(Attack):
    """An attack that ignores the ball and [0, 1]."""

    def _run(self, problem: Problem) -> Tensor:
        return problem.images + 3.0


@pytest.mark.parametrize("norm", NORMS)
def test_points_outside_ball_and_box_are_projected(norm: Any) -> None:
    images, labels = batch()
    eps = torch.linspace(0, 0.4, 8)
    result = Careless(norm=norm)(small_model(), images, labels, eps, 0)
    assert result.max() <= 1
    # Under L1 the rounding errors of all pixels add up.
    assert (distance(result, images, norm) <= eps * (1 + 1e-5) + 1e-6).all()
    assert not torch.equal(result, images)


@given(alpha=st.floats(0, 1), steps=st.integers(1, 50))
def test_fewer_steps_while_eps_is_small(alpha, steps):
    taken = with_fewer_steps(Pgd(steps=steps), alpha).steps
    assert min(2, steps) <= taken <= steps
    if steps >= 2:
        assert taken == max(2, math.ceil(steps * alpha - 1e-9))


def test_fewer_steps_change_nothing_else():
    attack = Apgd(steps=10, restarts=2, norm="l2")
    assert with_fewer_steps(attack, 0.3) == Apgd(steps=3, restarts=2, norm="l2")
    assert with_fewer_steps(attack, 1.0) is attack
    assert with_fewer_steps(Fgsm(), 0.1) == Fgsm()
