"""Every planted fault is caught by its check; sound networks of many kinds pass all checks."""

import functools
import json
import math

import pytest
import timm
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from rampart.attacks.base import CountingModel
from rampart.attacks.pgd import Pgd
from rampart.errors import InvalidArgument, ModelError
from rampart.evaluation.checks.answers import check_logits, check_mode
from rampart.evaluation.checks.checked_model import CheckedModel
from rampart.evaluation.checks.model_checks import MODEL_CHECKS, check_model
from rampart.evaluation.checks.normalization import check_normalization
from rampart.evaluation.checks.verdict import Verdict, overall
from rampart.losses import cross_entropy
from rampart.models.glyphnet import GlyphNet
from rampart.models.normalized import NormalizedModel
from rampart.runtime import scoped_seed

EPS = 0.1


def conv() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 16, 10),
    )


def transformer() -> nn.Module:
    return timm.models.VisionTransformer(
        img_size=8, patch_size=2, in_chans=1, num_classes=10, embed_dim=16, depth=1, num_heads=2
    )


BUILDERS = {
    "conv": conv,
    "linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10)),
    "group norm": lambda: GlyphNet(10, norm="group"),
    "batch norm": lambda: GlyphNet(10, norm="batch"),
    "transformer": transformer,
}
EPOCHS = {"conv": 3, "linear": 6, "group norm": 2, "batch norm": 2, "transformer": 8}


@functools.cache
def digits() -> tuple[Tensor, Tensor]:
    pixels, labels = load_digits(return_X_y=True)
    images = torch.as_tensor(pixels / 16, dtype=torch.float32).view(-1, 1, 8, 8)
    return images, torch.as_tensor(labels, dtype=torch.int64)


@functools.cache
def trained(kind: str, eps: float = 0.0) -> nn.Module:
    """A network trained on all but the first 200 digits; adversarially if eps > 0."""
    images, labels = (part[200:] for part in digits())
    with scoped_seed(0, kind):
        model = BUILDERS[kind]()
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        for _ in range(EPOCHS[kind]):
            for batch in torch.randperm(len(images)).split(64):
                x, y = images[batch], labels[batch]
                x = Pgd(steps=2)(model, x, y, eps, 0) if eps else x
                optimizer.zero_grad()
                cross_entropy(model(x), y).mean().backward()
                optimizer.step()
    return model.eval()


class Wrapper(nn.Module):
    """A model with a function before or after."""

    def __init__(self, inner, before=None, after=None):
        super().__init__()
        self.inner, self.before, self.after = inner, before, after
        self.eval()

    def forward(self, x):
        x = self.before(x) if self.before else x
        logits = self.inner(x)
        return self.after(logits) if self.after else logits


def ask(model, *, images=None, labels=None, eps=EPS, norm="linf", seed=0, **options):
    """The verdicts on 32 digits, by name; this also checks their form."""
    x, y = (part[:32] for part in digits())
    images, labels = x if images is None else images, y if labels is None else labels
    verdicts = check_model(model, images, labels, norm=norm, eps=eps, seed=seed, **options)
    assert tuple(verdict.check for verdict in verdicts) == MODEL_CHECKS
    for verdict in verdicts:
        json.dumps(verdict.as_dict(), allow_nan=False)
        assert verdict.message.endswith((".", "?"))
    return {verdict.check: verdict for verdict in verdicts}


def faults(verdicts: dict[str, Verdict]) -> dict[str, str]:
    return {k: v.status for k, v in verdicts.items() if v.status in ("warn", "fail")}


SOUND = [(kind, 0.0, "linf", 0.1) for kind in BUILDERS]
SOUND += [("conv", 0.0, "l2", 0.5)]
SOUND += [
    (kind, 0.1, norm, eps)
    for kind in ("conv", "linear")
    for norm, eps in (("linf", 0.03), ("linf", 0.1), ("linf", 0.3), ("l2", 0.5), ("l1", 3.0))
]


@pytest.mark.parametrize(("kind", "adversarial", "norm", "eps"), SOUND)
def test_sound_networks_pass_every_check(kind, adversarial, norm, eps):
    verdicts = ask(trained(kind, adversarial), norm=norm, eps=eps)
    assert {k: v.status for k, v in verdicts.items()} == dict.fromkeys(MODEL_CHECKS, "pass")


@pytest.mark.parametrize("kind", list(BUILDERS))
def test_untrained_networks_raise_no_alarm(kind):
    with scoped_seed(1, kind):
        model = BUILDERS[kind]().eval()
    assert faults(ask(model)) == {}


def test_a_network_that_predicts_one_class_raises_no_alarm():
    """This is the result of suboptimal transfer: robust, useless and not masked."""
    offset = torch.zeros(10).scatter(0, torch.tensor([3]), 5.0)
    collapsed = Wrapper(trained("conv"), after=lambda logits: 1e-3 * logits + offset)
    found = ask(collapsed, eps=0.3)
    assert faults(found) == {}
    assert found["gradients"].status == "pass"
    assert found["masking"].status == found["unbounded"].status == "skipped"


def test_black_images_with_a_border_pass():
    images = torch.zeros(32, 1, 8, 8)
    images[:, :, 0] = digits()[0][:32, :, 4]
    assert "pixels" not in faults(ask(trained("conv"), images=images))


# One fault each, and the check that must report it.


def test_catches_randomness():
    noisy = Wrapper(trained("conv"), before=lambda x: x + 0.02 * torch.randn_like(x))
    found = ask(noisy)
    assert found["determinism"].status == "fail"
    assert "evaluation.attack=rand" in found["determinism"].message
    assert found["batch"].status == found["masking"].status == "skipped"


def test_catches_dropout_in_eval_mode():
    model = Wrapper(trained("conv"), after=lambda z: nn.functional.dropout(z, 0.5, training=True))
    assert ask(model)["determinism"].status == "fail"


def test_catches_a_random_resize():
    def resized(x):
        size = int(torch.randint(5, 9, ()))
        return nn.functional.interpolate(nn.functional.interpolate(x, size=(size, size)), size=8)

    assert ask(Wrapper(trained("conv"), before=resized))["determinism"].status == "fail"


@pytest.mark.parametrize(
    ("after", "status"),
    [
        (lambda z: z.softmax(1), "fail"),
        (lambda z: (z / 10).softmax(1).half(), "fail"),
        (lambda z: z.log_softmax(1), "warn"),
        (lambda z: z.sigmoid(), "warn"),
        (lambda z: (z - 1).sigmoid().half(), "warn"),
        (lambda z: torch.where(z > 3, math.nan, z), "fail"),
        (lambda z: torch.where(z > 3, math.inf, z), "fail"),
        (lambda z: 0 * z + torch.arange(10), "warn"),
    ],
)
def test_catches_outputs_other_than_logits(after, status):
    assert ask(Wrapper(trained("conv"), after=after))["logits"].status == status


@pytest.mark.parametrize("grid_indices", [4, 16])
def test_catches_rounding_without_a_gradient(grid_indices):
    rounded = Wrapper(trained("conv"), before=lambda x: (grid_indices * x).round() / grid_indices)
    found = ask(rounded)
    assert (found["gradients"].status, found["gradients"].value) == ("fail", 1.0)


def test_catches_a_cross_entropy_rounded_to_zero():
    found = ask(Wrapper(trained("conv"), after=lambda z: 1000 * z))
    assert faults(found) == {"gradients": "warn"}
    assert "DLR" in found["gradients"].message


def test_catches_saturated_logits():
    found = ask(Wrapper(trained("conv"), after=lambda z: torch.tanh(100 * (z - z.mean()))))
    assert found["gradients"].status == "fail"


def test_catches_a_model_without_gradients():
    model = trained("conv")
    found = ask(lambda x: model(x).detach())
    assert found["gradients"].status == "fail"
    assert found["mode"].status == "skipped"
    black_box = ask(lambda x: model(x).detach(), differentiable=False)
    assert faults(black_box) == {}
    assert black_box["gradients"].status == "skipped"


def ripple(size, frequency):
    return Wrapper(trained("conv", 0.1), before=lambda x: x + size * torch.sin(frequency * x))


@pytest.mark.parametrize(
    ("size", "frequency"), [(0.05, 200), (0.02, 200), (0.02, 500), (0.05, 1000), (0.05, 60)]
)
def test_catches_a_ripple_on_the_input(size, frequency):
    found = ask(ripple(size, frequency))
    assert {"slope", "masking"} & faults(found).keys()


def test_catches_useless_gradients():
    found = ask(ripple(0.05, 1000))
    assert found["slope"].status == found["masking"].status == "fail"


def test_catches_gradients_of_another_image():
    model = trained("conv", 0.1)

    def lying(x):
        """The right value with the gradient of the image upside down."""
        wrong = model(x.flip(2))
        return model(x).detach() + wrong - wrong.detach()

    assert ask(Wrapper(lying))["slope"].status == "fail"


def test_catches_steep_rounding():
    def stairs(x):
        step = (8 * x).floor()
        return (step + torch.sigmoid(60 * (8 * x - step - 0.5))) / 8

    assert ask(Wrapper(trained("conv", 0.1), before=stairs))["slope"].status in ("warn", "fail")


def test_catches_robustness_to_an_unbounded_attack():
    model = trained("conv", 0.1)
    turned = Wrapper(lambda x: 2 * model(x).detach() - model(x))
    found = ask(turned)
    assert found["unbounded"].status == "fail"
    assert found["slope"].value == pytest.approx(-1, abs=0.05)


def test_catches_train_mode_with_an_effect():
    with scoped_seed(0, "mode"):
        model = nn.Sequential(*trained("conv"), nn.Dropout(0.5)).train()
    assert faults(ask(model)) == {"mode": "warn"}
    assert model.training


def test_train_mode_without_effect_passes():
    model = nn.Sequential(*trained("conv")).train()
    assert faults(ask(model)) == {}


def test_catches_one_submodule_in_train_mode():
    model = GlyphNet(10, norm="batch")
    model.load_state_dict(trained("batch norm").state_dict())
    model.eval().blocks[0].norm1.train()
    found = ask(model)["mode"]
    assert found.status == "warn"
    assert "BatchNorm2d" in found.message


class Stubborn(nn.Dropout):
    def train(self, mode=True):
        return super().train(True)


class Relapsing(nn.Dropout):
    """It returns to train mode in its forward."""

    def forward(self, x):
        self.train()
        return super().forward(x)


class Noise(nn.Module):
    """Random in either mode."""

    def forward(self, x):
        return x + 0.02 * torch.randn_like(x)


@pytest.mark.parametrize("part", [Stubborn, Relapsing])
def test_catches_a_model_that_ignores_eval_mode(part):
    model = nn.Sequential(*trained("conv"), part(0.5)).eval()
    before = [one.training for one in model.modules()]
    found = ask(model)
    assert found["mode"].status == "fail"
    assert part.__name__ in found["mode"].message
    assert [one.training for one in model.modules()] == before


def test_train_mode_is_not_blamed_for_randomness():
    """The network is random in eval mode too, so its mode explains nothing."""
    for last in (nn.Identity(), nn.Dropout(0.5), Stubborn(0.0)):
        found = ask(nn.Sequential(Noise(), *trained("conv"), last).train())
        assert found["determinism"].status == "fail"
        assert found["mode"].status == "skipped"
        assert "eval mode differ too" in found["mode"].message


def test_a_part_that_stays_in_train_mode_without_effect_passes():
    found = ask(nn.Sequential(*trained("conv"), Stubborn(0.0)))
    assert found["mode"].status == "pass"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: 255 * x, "divide bytes by 255"),
        (lambda x: (x - 0.5) / 0.5, "normalization"),
        (lambda x: x / 255, "twice"),
        (lambda x: torch.full_like(x, math.nan), "pixels go"),
    ],
)
def test_catches_images_on_another_scale(change, words):
    found = ask(trained("conv"), images=change(digits()[0][:32]))
    assert found["pixels"].status == "fail"
    assert words in found["pixels"].message


@pytest.mark.parametrize(
    ("kind", "before", "words"),
    [
        ("linear", lambda x: x / 255, "0 to 255"),
        ("batch norm", lambda x: (x + 1) / 2, "-1 to 1"),
        ("batch norm", lambda x: 0.226 * x + 0.449, "ImageNet"),
    ],
)
def test_catches_a_model_of_another_range(kind, before, words):
    """Networks for inputs 255 x, or 2 x - 1, that get x."""
    found = ask(Wrapper(trained(kind), before=before))["pixels"]
    assert found.status == "warn"
    assert words in found.message


def test_a_model_that_refuses_other_ranges_passes():
    def refusing(x):
        if x.min() < 0 or x.max() > 1:
            raise ValueError("pixels in [0, 1], please")
        return x

    assert faults(ask(Wrapper(trained("conv"), before=refusing))) == {}


#: Means and deviations of usual normalizations.
NORMALIZATIONS = {
    "half": (0.5, 0.5),
    "ImageNet": (0.449, 0.226),
    "CLIP": (0.458, 0.269),
    "MNIST": (0.1307, 0.3081),
    "SVHN": (0.4377, 0.198),
}


def normalize(name):
    mean, std = NORMALIZATIONS[name]
    return lambda x: (x - mean) / std


@pytest.mark.parametrize("kind", ["conv", "batch norm", "transformer"])
@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_catches_a_second_normalization(name, kind):
    once = normalize(name)
    network = Wrapper(trained(kind), before=once)
    assert ask(network)["normalization"].status == "pass"
    found = ask(Wrapper(network, before=once))["normalization"]
    assert found.status == "warn"
    assert "leave out mean and std" in found.message
    assert found.value > found.limit


def test_catches_mean_and_std_on_a_model_that_normalizes_inside():
    inside = Wrapper(trained("conv"), before=normalize("ImageNet"))
    outside = NormalizedModel(inside, [0.449], [0.226], 8).eval()
    assert faults(ask(outside))["normalization"] == "warn"


@pytest.mark.parametrize(
    "before",
    [
        lambda x: 255 * x,
        lambda x: 255 * x - 123.7,
        lambda x: (255 * x - 114.5) / 57.6,
        lambda x: x * 2 - 1,
        lambda x: (x - x.mean((2, 3), True)) / x.std((2, 3), keepdim=True),
    ],
    ids=["bytes", "centered bytes", "normalized bytes", "-1 to 1", "by image"],
)
def test_one_conversion_of_the_pixels_is_no_second_normalization(before):
    found = ask(Wrapper(trained("conv"), before=before))
    assert "normalization" not in faults(found)


def test_a_normalization_that_suits_dark_images_passes():
    images = digits()[0][:32] / 5
    suited = Wrapper(trained("conv"), before=lambda x: (x - images.mean()) / images.std())
    found = ask(suited, images=images)["normalization"]
    assert (found.status, found.value > found.limit) == ("pass", True)


def test_the_first_layer_of_a_function_is_unknown():
    model = trained("conv")
    assert ask(lambda x: model(x))["normalization"].status == "skipped"


@pytest.mark.parametrize("seed", range(20))
def test_healthy_networks_are_not_taken_for_others(seed):
    """Untrained and little trained, with two to ten classes and each normalization."""
    images, labels = digits()
    for classes in (2, 3, 10):
        chosen = labels < classes
        x, y = images[chosen], labels[chosen]
        names = list(NORMALIZATIONS)
        before = normalize(names[seed % len(names)])
        with scoped_seed(seed, classes):
            body = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, classes))
        model = Wrapper(body, before=before)
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        for _ in range(3):
            subject = CheckedModel.of(model, x[:32], y[:32], "linf", EPS, 0)
            assert check_logits(subject).status == "pass"
            assert check_normalization(subject).status == "pass"
            assert check_mode(model.train(seed % 2 == 0), x[:32]).status == "pass"
            for batch in torch.arange(32, len(x)).split(64):
                optimizer.zero_grad()
                cross_entropy(model(x[batch]), y[batch]).mean().backward()
                optimizer.step()


@pytest.mark.parametrize(
    "before",
    [
        lambda x: x - x.mean(0),
        lambda x: nn.functional.batch_norm(x, None, None, training=True),
        lambda x: x * (1 + 0.1 * torch.arange(len(x)).view(-1, 1, 1, 1) / len(x)),
        lambda x: x * min(len(x), 32) / 32,
    ],
    ids=["mean", "batch norm", "position", "size"],
)
def test_catches_logits_that_depend_on_the_batch(before):
    assert ask(Wrapper(trained("conv"), before=before))["batch"].status == "fail"


def test_catches_a_strength_that_cannot_matter():
    """A strength of Linf under L2: every correct image would be robust."""
    found = ask(trained("conv"), norm="l2", eps=1e-3)["strength"]
    assert (found.status, found.limit) == ("warn", 0.1)
    assert 0 <= found.value < 0.1
    assert "0.00902 to 0.577" in found.message


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.4), ("l2", 4.0), ("l1", 100.0)])
def test_catches_an_unusual_strength_also_without_gradients(norm, eps):
    for options in ({}, {"differentiable": False}):
        found = ask(trained("conv"), norm=norm, eps=eps, **options)["strength"]
        assert (found.status, found.value) == ("warn", eps)
        assert "strong" in found.message


# Side effects, cost and arguments.


def test_model_and_generator_are_restored():
    model = GlyphNet(10, norm="batch", drop_rate=0.5).train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = torch.get_rng_state()
    with torch.inference_mode():
        ask(model)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(m.training for m in model.modules())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_the_seed_determines_the_verdicts_even_for_a_random_model():
    noisy = Wrapper(trained("conv"), before=lambda x: x + 0.02 * torch.randn_like(x))
    first = ask(noisy, seed=1)
    torch.randn(3)
    assert ask(noisy, seed=1) == first
    assert ask(noisy, seed=2) != first


def test_the_cost_is_as_documented():
    model = trained("conv", 0.1)
    sound, worst = CountingModel(model), CountingModel(lambda x: 2 * model(x).detach() - model(x))
    ask(sound, eps=0.01)
    ask(worst, eps=0.01)
    assert 190 * 32 < sound.forwards <= 211 * 32
    assert 30 * 32 < sound.backwards <= 45 * 32
    assert 250 * 32 < worst.forwards <= 271 * 32
    assert 80 * 32 < worst.backwards <= 100 * 32


@pytest.mark.parametrize("eps", [0.0, 1.0])
def test_any_strength_is_accepted(eps):
    found = ask(trained("conv"), eps=eps)
    assert faults(found) == ({"strength": "warn"} if eps else {})
    assert (found["slope"].status == "skipped") == (eps == 0)


def test_too_few_images_skip_all_checks():
    images, labels = (part[:3] for part in digits())
    found = ask(trained("conv"), images=images, labels=labels)
    assert {verdict.status for verdict in found.values()} == {"skipped"}
    assert overall(found.values()) == "warn"


def test_other_models_than_classifiers_are_refused():
    with pytest.raises(ModelError, match="expected logits"):
        ask(nn.Identity().eval())
    with pytest.raises(InvalidArgument, match="eps"):
        ask(trained("conv"), eps=8.0)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_names_gradients_that_are_not_finite(norm):
    """The digits have black pixels, where the derivative of the root is infinite."""
    rooted = ask(Wrapper(trained("conv"), before=lambda x: x.sqrt()), norm=norm)
    assert rooted["gradients"].status == "warn"
    assert rooted["gradients"].value == 1.0
    assert "not finite" in rooted["gradients"].message
    smooth = ask(Wrapper(trained("conv"), before=lambda x: (x + 1e-3).sqrt()), norm=norm)
    assert smooth["gradients"].status == "pass"


def test_names_a_backward_pass_that_fails():
    model = trained("conv")

    def reentrant(x):
        return checkpoint(model, x, use_reentrant=True) if x.requires_grad else model(x)

    found = ask(reentrant)
    assert found["gradients"].status == "fail"
    assert "use_reentrant=False" in found["gradients"].message


def test_a_model_that_writes_into_its_input_is_named():
    inner = trained("conv")
    found = ask(Wrapper(inner, before=lambda x: x.mul_(0.9)))
    assert faults(found) == {"input": "warn"}
    assert "Wrapper writes into its input" in found["input"].message
    twin = ask(Wrapper(inner, before=lambda x: x * 0.9))
    assert {k: v for k, v in found.items() if k != "input"} == {
        k: v for k, v in twin.items() if k != "input"
    }


@pytest.mark.parametrize(("norm", "eps"), [("linf", 1e-9), ("l2", 1e-6), ("l1", 1e-6)])
def test_rounding_is_not_taken_for_masking(norm, eps):
    verdicts = ask(trained("conv"), norm=norm, eps=eps)
    assert faults(verdicts) == {"strength": "warn"}
    assert verdicts["slope"].status == verdicts["masking"].status == "skipped"
