"""A network whose BatchNorm cancels the attack in train mode, and others."""

import json

import pytest
import torch
from torch import nn

from rampart.attacks.pgd import Fgsm
from rampart.data.batches import Batch
from rampart.training.monitors.batch_norm import BatchNormMismatch

EPS, N = 26 / 255, 32
LABELS = torch.arange(N) % 2
#: Class 0 is the gray level 77, class 1 is 179.
IMAGES = (77 + 102 * LABELS).view(N, 1, 1, 1).expand(N, 1, 4, 4).to(torch.uint8)
BATCH = Batch(IMAGES, LABELS, torch.arange(N))
#: Both classes are half of each part.
PARTS = (slice(0, 8), slice(8, N))


class Gray(nn.Module):
    """The normalized gray level decides."""

    def __init__(self, norm, slope=8.0):
        super().__init__()
        self.norm = norm
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, images):
        margin = self.slope * self.norm(images).mean((1, 2, 3))
        return torch.stack([-margin, margin], 1)


def batch_norm(mean, var, eps=1e-5):
    norm = nn.BatchNorm2d(1, eps)
    norm.running_mean.fill_(mean)
    norm.running_var.fill_(var)
    return norm


def shifting():
    """Nearly constant features: the attack moves them, and the batch's statistics move along."""
    return Gray(batch_norm(128 / 255, 0.04), 1.0)


def steady():
    """A variance that hardly counts: train mode sees what eval mode sees."""
    return Gray(batch_norm(128 / 255, 0.04, eps=1.0), 8.0)


def observed(model, mode="eval", memory=None):
    attack = Fgsm(start="none", step_size=1, mode=mode)
    monitor = BatchNormMismatch(attack, (BATCH,), 0)
    return monitor.observe(model, {"eps": EPS}, {} if memory is None else memory)


def test_the_figure_is_the_ratio_of_the_rises():
    """In closed form: FGSM moves every gray level by eps towards the other class."""
    gray = IMAGES[:, 0, 0, 0] / 255 - 128 / 255
    side = 2.0 * LABELS - 1
    moved = gray - EPS * side

    def loss(margin):
        return nn.functional.softplus(-2 * margin * side).mean()

    in_eval = loss(moved / 0.04**0.5) - loss(gray / 0.04**0.5)
    # Normalized by its own batch, each group is where it was: at -1 and 1.
    in_train = loss((moved - moved.mean()) / moved.std(correction=0)) - loss(
        (gray - gray.mean()) / gray.std(correction=0)
    )
    found = observed(shifting())
    assert float(in_eval) > 0.1
    assert found.figures["monitor_carried"] == pytest.approx(float(in_train / in_eval), abs=1e-3)
    assert found.figures["monitor_carried"] == pytest.approx(0, abs=1e-2)


def test_the_whole_rise_carries_over_if_both_modes_agree():
    assert observed(steady()).figures["monitor_carried"] == pytest.approx(1, abs=0.05)


def test_a_lasting_mismatch_raises_one_alert():
    memory = {}
    assert not observed(shifting(), memory=memory).alerts, "one epoch may be an accident"
    (alert,) = observed(shifting(), memory=memory).alerts
    assert alert.code == "batch-norm-mismatch"
    for part in ("26/255", "32 training images", "model.batch_norm=frozen", "attack.mode=train"):
        assert part in alert.message
    assert not observed(shifting(), memory=memory).alerts


def test_a_mismatch_that_returns_has_to_last_again():
    memory = {}
    models = [shifting(), shifting(), steady(), shifting(), shifting()]
    said = [bool(observed(model, memory=memory).alerts) for model in models]
    assert said == [False, True, False, False, True]


@pytest.mark.parametrize("mode", ["train", "unchanged"])
def test_an_attack_in_train_mode_gets_no_advice_to_be_one(mode):
    memory = {"in a row": 1}
    # In train mode every group is at -1 or 1 and has no gradient, so nothing carries over.
    (alert,) = observed(shifting(), mode, memory).alerts
    assert "attack.mode" not in alert.message


def test_micro_batches_count_by_their_images():
    """Two micro-batches that see what one sees give its figure, in whatever sizes."""
    halves = tuple(Batch(IMAGES[at], LABELS[at], torch.arange(N)[at]) for at in PARTS)
    attack = Fgsm(start="none", step_size=1)
    found = [
        BatchNormMismatch(attack, micro_batches, 0)
        .observe(shifting(), {"eps": EPS}, {})
        .figures["monitor_carried"]
        for micro_batches in ((BATCH,), halves)
    ]
    assert found[1] == pytest.approx(found[0], abs=1e-4)


def test_nothing_is_measured_without_batch_norm_or_attack():
    assert observed(Gray(nn.Identity())).figures == {}
    monitor = BatchNormMismatch(Fgsm(start="none"), (BATCH,), 0)
    assert monitor.observe(shifting(), {"eps": 0.0}, {}).figures == {}


def test_the_model_does_not_change():
    model = nn.Sequential(nn.Dropout(), shifting()).train()
    model[1].norm.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    drawn = torch.get_rng_state()
    observed(model, mode="train")
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert [model.training, model[0].training, model[1].norm.training] == [True, True, False]
    assert drawn.equal(torch.get_rng_state())


def budgeted(attack, share, micro_batches=(BATCH,)):
    return BatchNormMismatch(attack, micro_batches, 0, share)


@pytest.mark.parametrize(
    ("mode", "passes"), [("eval", 2 + 4), ("train", 2 * 2 + 4)], ids=["eval", "train"]
)
def test_the_passes_are_counted_and_points_in_eval_mode_found_once(mode, passes):
    attack = Fgsm(start="none", step_size=1, mode=mode)
    seen = BatchNormMismatch(attack, (BATCH,), 0).observe(steady(), {"eps": EPS}, {})
    assert seen.passes == N * passes


def test_it_waits_until_its_share_pays_for_a_micro_batch_and_takes_them_in_turn():
    parts = tuple(Batch(IMAGES[at], LABELS[at], torch.arange(N)[at]) for at in PARTS)
    seen = []

    class Watched(Fgsm):
        def _run(self, problem):
            seen.append(len(problem))
            return super()._run(problem)

    watched = Watched(start="none", step_size=1)
    half = (parts[0], Batch(*(part[8:16] for part in (IMAGES, LABELS, torch.arange(N)))))
    monitor, memory = budgeted(watched, 0.1, half), {}
    # A micro-batch costs 8 x 6 = 48, and an epoch earns 30.
    row = {"eps": EPS, "forwards": 200, "backwards": 100}
    passes = []
    for _ in range(6):
        passes.append(monitor.observe(steady(), row, memory).passes)
        memory = json.loads(json.dumps(memory))
    assert passes == [0, 48, 0, 48, 48, 0]
    assert sum(passes) <= 0.1 * 300 * 6
    assert seen == [8, 8, 8]
    # A phase without an attack saves for later, and both are measured at once.
    monitor.observe(steady(), {**row, "eps": 0.0, "forwards": 1000}, memory)
    assert monitor.observe(steady(), row, memory).passes == 2 * 48
