from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from tasks import make_task
from test_results import same
from torch import nn

from rampart.attacks.apgd import Apgd
from rampart.attacks.fab import Fab
from rampart.attacks.pgd import Fgsm, Pgd
from rampart.attacks.square import Square
from rampart.data.batches import Batch
from rampart.errors import InvalidArgument, UnknownName
from rampart.evaluation.criterion import Criterion
from rampart.evaluation.critical import critical_strengths
from rampart.evaluation.default_grid import default_grid
from rampart.evaluation.results import Results
from rampart.metrics.curve import accuracy_curve
from rampart.runtime import scoped_seed
from rampart.threat import distance

LINF = default_grid(32 / 255, "linf")
L2 = default_grid(0.3, "l2")
#: One without stages, called strength by strength, and one that the engine carries out.
ATTACKS = [Fgsm(), Apgd(steps=4)]


def small_net() -> nn.Module:
    with scoped_seed(0):
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 24), nn.Tanh(), nn.Linear(24, 3))


def proven(found, model, images, grid, norm) -> bool:
    """Whether every adversarial example proves its critical strength."""
    rows = torch.from_numpy(found.adversarial_rows)
    adversarial_examples, images = torch.from_numpy(found.adversarial_examples), images[rows]
    eps = torch.tensor(grid)[found.critical[rows]]
    distances = distance(adversarial_examples, images, norm)
    inside = bool((distances <= eps * (1 + 1e-5) + 1e-6).all())
    boxed = 0 <= float(adversarial_examples.min()) <= float(adversarial_examples.max()) <= 1
    wrong = model(adversarial_examples).argmax(1).numpy() != found.labels[rows]
    np.testing.assert_allclose(distances, found.distance[rows], rtol=1e-5, atol=1e-6)
    on_the_way = (found.critical > 0) & (found.critical < len(grid))
    np.testing.assert_array_equal(found.adversarial_rows, np.flatnonzero(on_the_way))
    return inside and boxed and bool(wrong.all())


@pytest.mark.parametrize("attack", [Apgd(), Pgd(), Fgsm(start="none")])
def test_critical_strengths_equal_the_closed_form_for_a_linear_model_linf(task, attack):
    found = critical_strengths(task.model, task.batches(16), attack, LINF, seed=0)
    expected = task.critical(LINF, "linf")
    np.testing.assert_array_equal(found.critical, expected)
    # The task has misclassified samples, many critical strengths, and robust samples.
    assert {0, len(LINF)} <= set(expected)
    assert len(set(expected)) > 10


def test_critical_strengths_equal_the_closed_form_for_a_linear_model_l2(task):
    attack = Apgd(norm="l2", steps=20)
    found = critical_strengths(task.model, task.batches(16), attack, L2, seed=0)
    np.testing.assert_array_equal(found.critical, task.critical(L2, "l2"))
    assert set(found.critical) == set(range(len(L2) + 1))


@pytest.mark.parametrize("attack", ATTACKS)
def test_results_hold_samples_labels_and_predictions(task, attack):
    found = critical_strengths(task.model, task.batches(16), attack, (0.0,), seed=0)
    logits = task.model(task.images.float() / 255)
    np.testing.assert_array_equal(found.indices, np.arange(60))
    np.testing.assert_array_equal(found.labels, task.labels)
    np.testing.assert_array_equal(found.predictions, logits.argmax(1))
    np.testing.assert_array_equal(found.critical, (logits.argmax(1) == task.labels).int())
    assert (found.forwards_total, found.backwards_total) == (60, 0)


@pytest.mark.parametrize("mode", ["exact", "fast"])
@pytest.mark.parametrize("attack", [*ATTACKS, Square(queries=40)])
def test_attacked_predictions_are_those_at_the_adversarial_examples(attack, mode):
    task, model = make_task(classes=3), small_net()
    options = {"adversarial_examples": True, "mode": mode, "batch_size": 16}
    found = critical_strengths(model, task.batches(16), attack, LINF[:20], seed=2, **options)
    rows = found.adversarial_rows
    assert len(rows) > 3
    expected = found.predictions.copy()
    expected[rows] = model(torch.from_numpy(found.adversarial_examples)).argmax(1).numpy()
    np.testing.assert_array_equal(found.attacked_predictions, expected)


def test_a_minimum_norm_attack_names_the_class_that_it_found(task):
    model = small_net()
    found = critical_strengths(model, task.batches(16), Fab(steps=10), LINF[:20], seed=2)
    assert found.found.sum() > 3
    assert (found.attacked_predictions[found.found] != found.labels[found.found]).all()


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("size", [1, 7])
def test_results_do_not_depend_on_the_batch_size(task, attack, size):
    model, grid = small_net(), LINF[:8]
    whole = critical_strengths(model, task.batches(60), attack, grid, seed=3)
    parts = critical_strengths(model, task.batches(size), attack, grid, seed=3)
    assert same(whole, parts)
    assert len(set(whole.critical)) > 4


@pytest.mark.parametrize("attack", ATTACKS)
def test_results_of_two_processes_merge_into_the_whole(task, attack):
    model, grid = small_net(), LINF[:8]
    whole = critical_strengths(model, task.batches(16), attack, grid, seed=3)
    fractions = [
        critical_strengths(model, task.batches(16, torch.arange(start, 60, 2)), attack, grid, 3)
        for start in (1, 0)
    ]
    empty = critical_strengths(model, [], attack, grid, seed=3)
    assert same(Results.merge([*fractions, empty]), whole)


@pytest.mark.parametrize(
    ("attack", "forwards", "backwards"),
    [
        # Five strengths: one step each, and one query of the result.
        (Fgsm(), 5 * 2, 5),
        # A run fails once, for any number of strengths.
        (Apgd(steps=3), 4, 4),
        (Pgd(steps=3), 4, 4),
    ],
)
def test_only_robust_samples_are_attacked_and_passes_are_counted(task, attack, forwards, backwards):
    class Unbreakable(nn.Module):
        def forward(self, images):
            return torch.tensor([1.0, 0.0]) + 0 * images.flatten(1)[:, :2]

    robust = (task.labels == 0).numpy()
    found = critical_strengths(Unbreakable(), task.batches(16), attack, LINF[:6], seed=0)
    assert 0 < robust.sum() < 60
    np.testing.assert_array_equal(found.forwards, 1 + forwards * robust)
    np.testing.assert_array_equal(found.backwards, backwards * robust)
    np.testing.assert_array_equal(found.critical == 6, robust)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_every_adversarial_example_proves_its_critical_strength(task, attack, norm):
    model, grid = small_net(), default_grid({"linf": 16 / 255, "l2": 0.4, "l1": 1.0}[norm], norm)
    attack = replace(attack, norm=norm)
    found = critical_strengths(model, task.batches(60), attack, grid, 3, adversarial_examples=True)
    assert proven(found, model, task.images / 255, grid, norm)


def test_a_near_adversarial_example_counts_for_the_smaller_strength(task):
    """An attack without stages may find an image of a small ball at a larger strength."""

    @dataclass(frozen=True)
    class Late(Cheat):
        def __call__(self, model, images, targets, eps, noise, loss=None):
            return Fgsm(start="none")(model, images, targets, eps / 2, noise)

    found = critical_strengths(task.model, task.batches(60), Late(0), LINF, 0)
    late = found.critical[found.found]
    half = np.ceil(found.distance[found.found] * 255 - 1e-3)
    np.testing.assert_array_equal(late, half)


def test_the_curve_never_rises(task):
    found = critical_strengths(small_net(), task.batches(16), Apgd(steps=2), LINF, seed=0)
    assert (np.diff(accuracy_curve(found.critical, len(LINF) - 1)) <= 0).all()


def test_the_model_is_restored(task):
    batch_norm = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten())
    model = nn.Sequential(batch_norm, nn.Dropout(), nn.Linear(8, 2)).train()
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    critical_strengths(model, task.batches(16), Apgd(steps=2), LINF[:3], seed=0)
    assert [m.training for m in model.modules()] == [True] * 5 + [False, True]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


@dataclass(frozen=True)
class Cheat:
    """Returns any points; attacks of the registry cannot leave the ball."""

    shift: float
    norm: str = "linf"

    def stages(self):
        return ()

    def __call__(self, model, images, targets, eps, noise, loss=None):
        return images + self.shift


@pytest.mark.parametrize("shift", [0.01, -0.9, float("nan")])
def test_an_attack_that_leaves_the_ball_stops_the_evaluation(task, shift):
    with pytest.raises(InvalidArgument, match=r"attack=Cheat: expected images within linf 1/255"):
        critical_strengths(task.model, task.batches(16), Cheat(shift), LINF, seed=0)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_grid_of_gray_levels_is_refused(task, attack):
    """Every image would be broken at 1, all of the pixel range, in place of 1/255."""
    with pytest.raises(InvalidArgument, match="grid=8.*write 8/255"):
        critical_strengths(task.model, task.batches(16), attack, range(9), seed=0)


def test_only_misclassified_images_count_as_success(task):
    found = critical_strengths(task.model, task.batches(16), Cheat(0.0), LINF, seed=0)
    assert set(found.critical) == {0, len(LINF)}


def test_progress_is_reported(task):
    seen = []
    critical_strengths(task.model, task.batches(25), Apgd(), (0.0,), 0, on_progress=seen.append)
    assert seen == [25, 50, 60]


class Noisy(nn.Module):
    """A linear model with noise from torch's default generator, like dropout."""

    def __init__(self, model: nn.Module, scale: float = 0.1) -> None:
        super().__init__()
        self.model, self.scale = model, scale

    def forward(self, images):
        return self.model(images + self.scale * torch.randn(images.shape))


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_stochastic_model_is_reproducible_and_the_generator_is_restored(task, attack):
    model = Noisy(task.model)

    def evaluate(seed=0):
        return critical_strengths(model, task.batches(16), attack, LINF, seed)

    torch.manual_seed(1)
    before = torch.get_rng_state()
    found = evaluate()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert same(evaluate(), found)
    assert not same(evaluate(seed=1), found)


def test_a_grid_that_does_not_ascend_is_refused(task):
    with pytest.raises(InvalidArgument, match="grid="):
        critical_strengths(task.model, task.batches(16), Apgd(), (0.0, 0.2, 0.1), seed=0)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mode": "quick"}, UnknownName, "unknown mode 'quick'"),
        ({"batch_size": 0}, InvalidArgument, "batch_size=0: expected at least 1"),
        (
            {"criterion": Criterion(top_k=2)},
            InvalidArgument,
            "attack=Fgsm: expected an attack with stages",
        ),
        ({"attack": Fgsm(mode="train")}, InvalidArgument, "attack.mode=train: expected eval"),
    ],
)
def test_invalid_options_are_refused(task, options, error, message):
    options = {"attack": Fgsm(), "seed": 0, **options}
    with pytest.raises(error, match=message):
        critical_strengths(task.model, task.batches(16), grid=LINF, **options)


def test_a_grid_of_strength_0_alone_applies_the_criterion():
    task = make_task(3)
    found = critical_strengths(
        task.model, task.batches(16), Apgd(), (0.0,), 0, criterion=Criterion(top_k=2)
    )
    second = task.model(task.images / 255).argsort(1)[:, -2].numpy()
    in_two = (found.predictions == found.labels) | (second == found.labels)
    np.testing.assert_array_equal(found.critical, in_two)
    assert (second == found.labels).any()


def test_a_point_clipped_at_the_pixel_box_counts_for_the_smaller_ball():
    """A step from black and white pixels is clipped and ends far inside its ball."""
    weight = torch.randn(2, 12, generator=torch.Generator().manual_seed(0))
    images = (torch.rand(40, 3, 2, 2, generator=torch.Generator().manual_seed(1)) > 0.5) * 255

    def model(pixels):
        return pixels.flatten(1) @ weight.T

    batch = Batch(images.byte(), model(images / 255).argmax(1), torch.arange(40))
    grid = default_grid(2.0, "l2")
    found = critical_strengths(model, [batch], Fgsm(norm="l2"), grid, 0)
    is_adv = found.stage >= 0
    assert is_adv.sum() > 20
    below = np.array(grid)[found.critical[is_adv] - 1]
    assert (found.distance[is_adv] >= below - 1e-6).all()
