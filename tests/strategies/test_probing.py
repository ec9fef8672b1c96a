"""Which weights change at which strength."""

import copy

import pytest
import torch

from rampart.errors import InvalidArgument
from rampart.models.backbones import build_model
from rampart.models.weights import parameter_groups
from rampart.schedules.catalogue import SCHEDULES
from rampart.schedules.scheduler import EpsilonScheduler
from rampart.strategies.base import drop_gradients, set_modes
from rampart.strategies.probing import AdversarialHeadFirst, HeadFirst, LinearProbe
from rampart.training.optimizers import adamw
from rampart.units import Horizon


@pytest.fixture
def model():
    return build_model(
        "rampart_glyphnet", num_classes=3, pretrained=False, options={"norm": "batch"}, image_size=8
    )


def moved_by_a_step(model, strategy, alpha, probing=False):
    """Return the names of the parameters and buffers that one step changes."""
    rates = {"backbone_lr": 0.1, "head_lr": 0.1}
    optimizer = adamw(
        *parameter_groups(model), **rates, backbone_weight_decay=0.1, head_weight_decay=0.1
    )
    before = copy.deepcopy(model.state_dict())
    set_modes([strategy], model, alpha, probing)
    assert model.training
    model(torch.rand(4, 1, 8, 8)).logsumexp(1).sum().backward()
    drop_gradients([strategy], model, alpha, probing)
    optimizer.step()
    return {name for name, value in model.state_dict().items() if not value.equal(before[name])}


def test_linear_probing_changes_only_the_head_at_any_strength(model):
    strategy = LinearProbe()
    strategy.prepare(model, 0)
    for alpha in (0.0, 1.0):
        assert moved_by_a_step(model, strategy, alpha) == {
            "backbone.head.weight",
            "backbone.head.bias",
        }


def test_only_the_head_changes_while_eps_is_0(model):
    moved = moved_by_a_step(model, HeadFirst(), 0.0)
    assert moved == {"backbone.head.weight", "backbone.head.bias"}
    later = moved_by_a_step(model, HeadFirst(), 0.01)
    assert "backbone.stem.weight" in later
    assert "backbone.stem_norm.running_mean" in later


@pytest.mark.parametrize("schedule", ["two-hinge", "switch", "adaptive", "plateau", "auto"])
def test_schedules_with_a_phase_at_0_are_accepted(schedule):
    check(HeadFirst(), schedule)


def check(strategy, schedule, interval="step", **options):
    # The default of adaptive has a pilot.
    options = {"pilot": 0.0, **options} if schedule == "adaptive" else options
    scheduler = EpsilonScheduler(
        SCHEDULES.build(schedule, options), 8 / 255, Horizon(10, 5), interval, chance=1 / 3
    )
    strategy.check(scheduler)


def test_a_pilot_is_refused():
    with pytest.raises(InvalidArgument, match=r"schedule\.pilot=0\.2"):
        check(HeadFirst(), "adaptive", pilot=0.2)


def test_an_adaptive_schedule_that_does_not_wait_is_refused():
    with pytest.raises(InvalidArgument, match=r"strategies=lp-ft.*schedule\.start"):
        check(HeadFirst(), "adaptive", start=0.0)
    with pytest.raises(InvalidArgument, match=r"strategies=lp-ft.*schedule\.start"):
        check(HeadFirst(), "adaptive", start=1e-6)


def test_a_whole_epoch_at_0_is_a_phase_at_0():
    check(HeadFirst(), "linear", interval="epoch")
    with pytest.raises(InvalidArgument, match=r"strategies=\[linear-probe\]"):
        check(HeadFirst(), "two-hinge", interval="epoch", start=0.95, end=0.99)


@pytest.mark.parametrize("schedule", ["fix", "linear", "linear-warmup", "uniform"])
def test_schedules_without_a_phase_at_0_are_refused(schedule):
    with pytest.raises(InvalidArgument, match=r"strategies=lp-ft.*schedule\.start"):
        check(HeadFirst(), schedule)


def test_a_schedule_that_stays_at_0_is_refused():
    with pytest.raises(InvalidArgument, match=r"strategies=\[linear-probe\]"):
        check(HeadFirst(), "standard")


def test_only_the_head_changes_in_the_probe_of_roli():
    """At full strength; after the probe everything changes at any strength."""
    model = build_model(
        "rampart_glyphnet", num_classes=3, pretrained=False, options={"norm": "batch"}, image_size=8
    )
    strategy = AdversarialHeadFirst()
    head = {"backbone.head.weight", "backbone.head.bias"}
    assert moved_by_a_step(model, strategy, 1.0, probing=True) == head
    for alpha in (0.0, 1.0):
        later = moved_by_a_step(model, strategy, alpha)
        assert {*head, "backbone.stem.weight", "backbone.stem_norm.running_mean"} < later


@pytest.mark.parametrize(
    ("probe", "epochs", "expected"),
    [(0.5, 120, 60), (0.5, 15, 8), (0.01, 15, 1), (0.99, 15, 14), (0.25, 3, 1), (0.5, 2, 1)],
)
def test_the_probe_of_roli_is_a_fraction_of_the_epochs(probe, epochs, expected):
    assert AdversarialHeadFirst(probe).probe_epochs(epochs) == expected


def test_roli_refuses_a_pilot_a_run_without_an_attack_and_an_impossible_probe():
    with pytest.raises(InvalidArgument, match=r"schedule\.pilot=0\.2.*roli"):
        check(AdversarialHeadFirst(), "adaptive", pilot=0.2)
    with pytest.raises(InvalidArgument, match=r"strategies=roli.*threat\.eps"):
        AdversarialHeadFirst().check(EpsilonScheduler(SCHEDULES.build("fix"), 0, Horizon(2, 2)))
    with pytest.raises(InvalidArgument, match="probe=1"):
        AdversarialHeadFirst(1.0)
    check(AdversarialHeadFirst(), "fix")
    check(AdversarialHeadFirst(), "adaptive")
