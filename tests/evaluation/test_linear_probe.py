import copy
import re

import numpy as np
import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy

from oracles import linear_critical_eps, linear_model
from rampart.attacks.pgd import Pgd
from rampart.data.splits import InMemory, Split
from rampart.errors import InvalidArgument, ModelError
from rampart.evaluation.inference import ROWS
from rampart.evaluation.linear_probe import (
    FRACTIONS,
    HeadInputs,
    LinearProbeResult,
    measure_linear_probe,
)
from rampart.evaluation.ridge import ridge_head
from rampart.models.backbones import build_model
from rampart.runtime import scoped_seed

EPS = 24 / 255


def split_of(images, labels, prefix):
    names = [f"class {label}" for label in range(int(labels.max()) + 1)]
    ids = [f"{prefix}-{i}" for i in range(len(labels))]
    return Split(ids, labels.numpy(), names, InMemory(images))


def to_bytes(pixels):
    return (pixels * 255).round().clamp(0, 255).to(torch.uint8)


def blobs(n, seed, prefix, classes=3):
    """Noisy images (n, 1, 4, 4) around one point per class, away from black and white."""
    generator = torch.Generator().manual_seed(seed)
    centers = torch.rand(classes, 16, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(classes, (n,), generator=generator)
    pixels = 0.4 + 0.2 * centers[labels] + 0.04 * torch.randn(n, 16, generator=generator)
    return split_of(to_bytes(pixels).view(n, 1, 4, 4), labels, prefix)


def two_kinds_of_evidence(n, seed, prefix):
    """One pixel is correct in 80 % of the images; 15 weak ones together are always correct.

    After Tsipras et al. 2019 (arXiv 1805.12152), equation 3: eps/4 already turns the weak ones.
    """
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    sign = (2 * labels - 1)[:, None]
    believed = 1 - 2 * (torch.rand(n, 1, generator=generator) < 0.2).float()
    weak = 0.02 * (sign + torch.randn(n, 15, generator=generator))
    pixels = 0.5 + torch.cat([0.3 * sign * believed, weak], 1)
    return split_of(to_bytes(pixels).view(n, 1, 4, 4), labels, prefix)


class Tiny(nn.Module):
    """A network with one feature."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 1), nn.Flatten()
        )
        self.head = nn.Linear(1, 2)

    def forward(self, images):
        return self.head(self.body((images - 0.5) / 0.05))


def pretrained(eps):
    split = two_kinds_of_evidence(256, 0, "source")
    images, labels = split.pixels.images / 255, torch.from_numpy(split.labels)
    with scoped_seed(0):
        model = Tiny()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-2)
    rate = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0, 100)
    for step in range(100):
        optimizer.zero_grad()
        points = Pgd(steps=2)(model, images, labels, eps, step)
        cross_entropy(model(points), labels).backward()
        optimizer.step()
        rate.step()
    return model


def test_pretraining_decides_where_the_ramp_starts():
    train, held_out = (two_kinds_of_evidence(128, seed, str(seed)) for seed in (1, 2))
    standard = measure_linear_probe(pretrained(0.0), train, held_out, EPS)
    robust = measure_linear_probe(pretrained(EPS), train, held_out, EPS)
    assert standard.accuracy[0] > 0.95
    assert standard.start == 0
    assert "not robust" in standard.verdict
    assert robust.accuracy[0] == pytest.approx(0.8, abs=0.1), "the one robust pixel's"
    assert robust.start == 1
    assert "no ramp" in robust.verdict
    assert robust.passes > standard.passes, "misclassified images are not attacked again"


@pytest.mark.parametrize(("norm", "eps", "reached"), [("linf", 0.04, 1.0), ("l2", 0.15, 0.97)])
def test_accuracy_of_a_linear_model_equals_the_closed_form(norm, eps, reached):
    """The features of a linear layer are the pixels, so the head's critical strengths are known.

    Steps from a random point end in the corner of the Linf ball, and near the pole of the L2 ball.
    """
    train, held_out = blobs(60, 1, "a", classes=2), blobs(90, 2, "b", classes=2)
    model = linear_model(torch.zeros(2, 16), torch.zeros(2))
    found = measure_linear_probe(model, train, held_out, eps, norm)
    pixels = train.pixels.images.flatten(1) / 255
    weight, bias = ridge_head(pixels, torch.from_numpy(train.labels), 2)
    images, labels = held_out.pixels.images.double() / 255, torch.from_numpy(held_out.labels)
    critical = linear_critical_eps(weight, bias, images, labels, norm)
    fractions = torch.tensor(found.fractions, dtype=torch.float64)[:, None] * eps
    least, most = ((critical > part * fractions).double().mean(1) for part in (1.0, reached))
    accuracy = torch.tensor(found.accuracy, dtype=torch.float64)
    assert (least - 1e-9 <= accuracy).all()
    assert (accuracy <= most + 1e-9).all()
    assert 0.2 < found.retained[2] < 0.9, "neither trivial"
    assert found.chance == max(np.bincount(held_out.labels)) / 90


@pytest.fixture(scope="module")
def small():
    """A convolutional model with BatchNorm, in training, and images for it."""
    options = {"norm": "batch"}
    model = build_model(
        "rampart_glyphnet", num_classes=3, pretrained=False, options=options, image_size=8
    )
    return model.train(), blobs_of_side_8(40, 1, "a"), blobs_of_side_8(24, 2, "b")


def blobs_of_side_8(n, seed, prefix):
    split = blobs(n, seed, prefix)
    images = split.pixels.images.repeat_interleave(2, 2).repeat_interleave(2, 3)
    return split_of(images, torch.from_numpy(split.labels), prefix)


def test_the_model_does_not_change(small):
    model, *splits = small
    model.backbone.stem.eval()
    model.backbone.head.weight.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    measure_linear_probe(model, *splits, 0.02)
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert model.training
    assert not model.backbone.stem.training
    frozen_ones = [name for name, p in model.named_parameters() if not p.requires_grad]
    assert frozen_ones == ["backbone.head.weight"]
    assert all(p.grad is None for p in model.parameters())
    assert not any(m._forward_pre_hooks for m in model.modules())
    model.backbone.head.weight.requires_grad_(True)


def test_only_seed_and_features_change_the_result(small):
    model, train, held_out = small
    whole = measure_linear_probe(model, train, held_out, 0.02, seed=3)
    assert measure_linear_probe(model, train, held_out, 0.02, seed=3, batch_size=7) == whole
    other = copy.deepcopy(model).eval()
    nn.init.normal_(other.backbone.head.weight)
    assert measure_linear_probe(other, train, held_out, 0.02, seed=3) == whole, (
        "the fresh head says nothing"
    )
    with torch.no_grad():
        other.backbone.stem.weight.mul_(-1)
    assert measure_linear_probe(other, train, held_out, 0.02, seed=3).accuracy != whole.accuracy


def test_passes_count_all_images_and_not_what_fills_batches(small):
    model, train, held_out = small
    rows = []
    hook = model.backbone.stem.register_forward_pre_hook(lambda _, args: rows.append(len(args[0])))
    found = measure_linear_probe(model, train, held_out, 0.02)
    hook.remove()
    assert set(rows) == {ROWS}
    assert found.forwards < sum(rows) < 2 * found.forwards
    assert found.passes == found.forwards + found.backwards


def test_robust_images_cost_all_steps():
    train, held_out = blobs(60, 1, "a"), blobs(20, 2, "b")
    found = measure_linear_probe(
        linear_model(torch.zeros(3, 16), torch.zeros(3)), train, held_out, 1e-6
    )
    right = round(20 * found.accuracy[0])
    assert found.accuracy == (right / 20,) * 5
    # PGD with a query of the last iterate: 11 forwards, 10 backwards, one query of the result.
    assert (found.forwards, found.backwards) == (60 + 20 + 4 * 12 * right, 4 * 10 * right)


def test_the_seed_selects_images_of_large_splits():
    train, held_out = blobs(1100, 1, "a"), blobs(300, 2, "b")
    model = linear_model(torch.zeros(3, 16), torch.zeros(3))
    found = measure_linear_probe(model, train, held_out, 0.2)
    assert found.images == 128
    assert found == measure_linear_probe(model, train, held_out, 0.2)
    assert found != measure_linear_probe(model, train, held_out, 0.2, seed=1)


@pytest.mark.parametrize("name", ["test_vit", "test_resnet", "test_convnext"])
def test_features_are_the_pre_logits_of_timm(name):
    model = build_model(name, num_classes=5, pretrained=False, image_size=64).eval()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    backbone, normalized = model.backbone, (images - model.mean) / model.std
    expected = backbone.forward_head(backbone.forward_features(normalized), pre_logits=True)
    np.testing.assert_array_equal(HeadInputs(model)(images).detach(), expected.detach())


def test_two_heads_have_the_features_of_both():
    backbone = timm.create_model(
        "deit_tiny_distilled_patch16_224", depth=1, embed_dim=12, img_size=32, num_classes=3
    ).eval()
    images = torch.zeros(2, 3, 32, 32)
    tokens = backbone.forward_features(images)
    expected = torch.cat([tokens[:, 0], tokens[:, 1]], 1).detach()
    np.testing.assert_array_equal(HeadInputs(backbone)(images).detach(), expected)


class Bypassed(Tiny):
    def forward(self, images):
        return images.flatten(1)[:, :2]


def test_a_model_without_features_is_refused():
    split = blobs(20, 1, "a")
    convolution = nn.Sequential(nn.Conv2d(1, 3, 4), nn.Flatten())
    for model, words in (
        (convolution, "no linear layer"),
        (lambda images: images.flatten(1), "torch module"),
        (Bypassed(), "does not call its head"),
    ):
        with pytest.raises(ModelError, match=words):
            measure_linear_probe(model, split, split, 0.1)
    with pytest.raises(InvalidArgument, match="eps="):
        measure_linear_probe(Tiny(), split, split, 0.0)


def known(*accuracy, chance=0.1, images=100):
    return LinearProbeResult((0.0, *FRACTIONS), accuracy, chance, 4 / 255, images)


@pytest.mark.parametrize(
    ("accuracy", "start"),
    [
        ((0.9, 0.9, 0.9, 0.9, 0.9), 1.0),
        ((0.9, 0.8, 0.7, 0.6, 0.5), 1.0),
        ((0.9, 0.8, 0.6, 0.4, 0.2), 0.625),
        ((0.9, 0.5, 0.1, 0.0, 0.0), 0.25),
        ((0.9, 0.49, 0.1, 0.0, 0.0), 0.0),
        # Three standard errors above chance are 19 %.
        ((0.19, 0.19, 0.19, 0.19, 0.19), 0.0),
        ((0.20, 0.20, 0.20, 0.20, 0.20), 1.0),
        ((0.05, 0.05, 0.0, 0.0, 0.0), 0.0),
    ],
)
def test_the_ramp_starts_where_half_of_the_accuracy_remains(accuracy, start):
    assert known(*accuracy).start == pytest.approx(start)


@pytest.mark.parametrize(
    ("accuracy", "words"),
    [
        (
            (0.9, 0.3, 0.1, 0.0, 0.0),
            r"not robust: at 1/255 .* 25% .*90%",
        ),
        ((0.9, 0.9, 0.9, 0.9, 0.5), "robust: at 4/255 .* keeps 50% .* no ramp is needed"),
        ((0.9, 0.8, 0.6, 0.4, 0.2), "partly robust: .* the ramp starts at 62% of 4/255"),
        ((0.15, 0.1, 0.1, 0.1, 0.1), "15%.* not clearly above chance .10%., so .* at 0"),
    ],
)
def test_the_verdict_is_one_sentence(accuracy, words):
    verdict = known(*accuracy).verdict
    assert verdict.endswith(".")
    assert ". " not in verdict
    assert re.search(words, verdict), verdict


accuracies = st.lists(st.floats(0, 1), min_size=5, max_size=5).map(lambda a: sorted(a)[::-1])


@given(accuracies, st.floats(0.01, 0.9), st.integers(0, 4), st.floats(0, 1))
def test_more_robust_models_never_start_lower(accuracy, chance, index, raised):
    found = known(*accuracy, chance=chance)
    assert all(0 <= part <= 1 for part in found.retained)
    assert list(found.retained) == sorted(found.retained, reverse=True)
    assert found.start == 0 or 0.25 <= found.start <= 1
    if index:
        better = list(accuracy)
        better[index] = accuracy[index] + raised * (accuracy[index - 1] - accuracy[index])
        assert known(*better, chance=chance).start >= found.start - 1e-12
