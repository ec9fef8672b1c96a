import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rampart.errors import InvalidArgument, UnknownName
from rampart.losses import LOSSES, cross_entropy, dlr, kl, margin, targeted_dlr

NAMES = ["ce", "dlr", "margin", "targeted-ce", "targeted-dlr", "targeted-margin", "kl"]


def random_logits(classes: int, n: int = 16, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(n, classes, generator=generator, dtype=torch.float64)


def example_targets(name: str, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    if name.startswith("targeted"):
        return torch.stack([labels, (labels + 1) % logits.shape[1]], dim=1)
    return logits.roll(1, dims=0) if name == "kl" else labels


def test_the_registry_lists_every_loss() -> None:
    assert LOSSES.names() == NAMES
    with pytest.raises(UnknownName, match="targeted-dlr"):
        LOSSES.get("targeted_dlr")


def test_cross_entropy_equals_minus_log_probability() -> None:
    logits, labels = random_logits(5), torch.arange(16) % 5
    p = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(1, keepdims=True)
    expected = -np.log(p[np.arange(16), labels])
    np.testing.assert_allclose(cross_entropy(logits, labels), expected, rtol=1e-12)
    smoothed = 0.9 * expected - 0.1 * np.log(p).mean(1)
    np.testing.assert_allclose(cross_entropy(logits, labels, 0.1), smoothed, rtol=1e-12)


@pytest.mark.parametrize("classes", [3, 4, 10])
def test_dlr_equals_its_definition(classes: int) -> None:
    logits, labels = random_logits(classes), torch.arange(16) % classes
    for z, y, value in zip(logits.numpy(), labels.numpy(), dlr(logits, labels), strict=True):
        rival = np.delete(z, y).max()
        first, _, third = np.sort(z)[::-1][:3]
        assert value.item() == pytest.approx(-(z[y] - rival) / (first - third))


@pytest.mark.parametrize("classes", [4, 10])
def test_targeted_dlr_equals_its_definition(classes: int) -> None:
    logits, labels = random_logits(classes), torch.arange(16) % classes
    wanted = (labels + 2) % classes
    values = targeted_dlr(logits, labels, wanted)
    for z, y, t, value in zip(logits.numpy(), labels, wanted, values, strict=True):
        ranked = np.sort(z)[::-1]
        scale = ranked[0] - (ranked[2] + ranked[3]) / 2
        assert value.item() == pytest.approx(-(z[y] - z[t]) / scale)


def test_dlr_with_few_classes_keeps_a_useful_gradient() -> None:
    for classes in (2, 3):
        logits = random_logits(classes).requires_grad_()
        labels = torch.zeros(16, dtype=torch.int64)
        for value in (dlr(logits, labels), targeted_dlr(logits, labels, labels + 1)):
            (gradient,) = torch.autograd.grad(value.sum(), logits)
            if classes == 2:
                torch.testing.assert_close(value, margin(logits, labels))
                assert (gradient != 0).all()
            else:
                assert torch.isfinite(gradient).all()
                assert gradient.abs().sum() > 0


def test_one_class_has_no_margin() -> None:
    with pytest.raises(InvalidArgument, match="at least|K >= 2"):
        margin(torch.zeros(3, 1), torch.zeros(3, dtype=torch.int64))


@given(st.floats(0.1, 50), st.floats(-20, 20), st.integers(0, 1000))
def test_dlr_is_free_of_scale_and_shift(scale: float, shift: float, seed: int) -> None:
    logits, labels = random_logits(6, seed=seed), torch.arange(16) % 6
    moved = scale * logits + shift
    torch.testing.assert_close(dlr(moved, labels), dlr(logits, labels), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(
        targeted_dlr(moved, labels, (labels + 1) % 6),
        targeted_dlr(logits, labels, (labels + 1) % 6),
        rtol=1e-6,
        atol=1e-9,
    )


def test_kl_equals_the_sum_over_classes() -> None:
    clean, other = random_logits(7, seed=1), random_logits(7, seed=2)
    p, q = clean.softmax(1).numpy(), other.softmax(1).numpy()
    np.testing.assert_allclose(kl(clean, other), (p * np.log(p / q)).sum(1), rtol=1e-9)
    assert kl(clean, clean).abs().max() == 0
    assert (kl(clean, other) > 0).all()


@settings(max_examples=50)
@given(st.integers(2, 9), st.integers(0, 10_000))
def test_margin_and_dlr_are_positive_exactly_where_the_model_is_wrong(
    classes: int, seed: int
) -> None:
    logits, labels = random_logits(classes, seed=seed), torch.arange(16) % classes
    wrong = LOSSES.get("ce")().is_adv(logits, labels)
    assert ((margin(logits, labels) > 0) == wrong).all()
    assert ((dlr(logits, labels) > 0) == wrong).all()


@pytest.mark.parametrize("classes", [2, 3, 4, 6])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_the_values(name: str, classes: int) -> None:
    logits, labels = random_logits(classes, n=6), torch.arange(6) % classes
    loss, targets = LOSSES.get(name)(), example_targets(name, logits, labels)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: loss.value(z, targets), logits)


@pytest.mark.parametrize("name", NAMES)
def test_values_are_per_sample_and_in_full_precision(name: str) -> None:
    labels, loss = torch.arange(8) % 4, LOSSES.get(name)()
    torch.manual_seed(0)
    layer = nn.Linear(5, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = layer(torch.ones(8, 5))
        assert logits.dtype == torch.bfloat16
        value = loss.value(logits, example_targets(name, logits, labels))
    assert value.shape == (8,)
    assert value.dtype == torch.float32
    expected = loss.value(logits.double(), example_targets(name, logits.double(), labels))
    assert expected.dtype == torch.float64
    torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-6)


def test_any_wrong_class_is_adversarial_for_a_targeted_loss() -> None:
    logits = torch.eye(3)
    targets = torch.tensor([[0, 1], [0, 2], [2, 0]])
    for name in ("targeted-ce", "targeted-dlr", "targeted-margin"):
        assert LOSSES.get(name)().is_adv(logits, targets).tolist() == [False, True, False]


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_the_largest_targeted_margin_is_the_margin(classes: int) -> None:
    logits, labels = random_logits(classes), torch.arange(16) % classes
    loss = LOSSES.get("targeted-margin")()
    wanted = [(labels + shift) % classes for shift in range(1, classes)]
    values = [loss.value(logits, torch.stack([labels, t], 1)) for t in wanted]
    for t, value in zip(wanted, values, strict=True):
        expected = logits.numpy()[np.arange(16), t] - logits.numpy()[np.arange(16), labels]
        np.testing.assert_allclose(value, expected)
    torch.testing.assert_close(torch.stack(values).amax(0), margin(logits, labels))


def test_kl_is_adversarial_where_the_prediction_changes() -> None:
    clean = torch.tensor([[2.0, 1.0], [2.0, 1.0]])
    moved = torch.tensor([[1.0, 2.0], [5.0, 1.0]])
    assert LOSSES.get("kl")().is_adv(moved, clean).tolist() == [True, False]


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        ("ce", torch.zeros(3, dtype=torch.int64)),
        ("ce", torch.zeros(4)),
        ("dlr", torch.zeros(4, 2, dtype=torch.int64)),
        ("targeted-ce", torch.zeros(4, dtype=torch.int64)),
        ("targeted-dlr", torch.zeros(4, 3, dtype=torch.int64)),
        ("kl", torch.zeros(4)),
        ("kl", torch.tensor(1)),
    ],
)
def test_targets_of_another_form_are_refused(name: str, targets: torch.Tensor) -> None:
    with pytest.raises(InvalidArgument, match=r"targets=.*expected .* with N = 4"):
        LOSSES.get(name)().check(targets, 4)


def test_targeted_dlr_of_three_classes_can_reach_the_least_likely_one() -> None:
    """With z_t itself in the denominator the ratio would be -1, whatever the image."""
    logits = torch.tensor([[3.0, 2.0, 1.0]], requires_grad=True)
    targeted_dlr(logits, torch.tensor([0]), torch.tensor([2])).sum().backward()
    assert logits.grad is not None
    assert logits.grad.tolist() == [[-1, 0, 1]]
