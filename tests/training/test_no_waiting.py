"""No training step waits for its device: it reads no value, and sends no number one by one.

The device "meta" has shapes and no values, so torch refuses every read. It stands for a GPU here:
branches for the CPU alone are not taken.
"""

from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from rampart.attacks.apgd import Apgd
from rampart.attacks.catalogue import ATTACKS
from rampart.attacks.pgd import Fgsm, NFgsm, Pgd
from rampart.data.batches import Batch
from rampart.data.transforms import Augment
from rampart.models.backbones import build_model
from rampart.models.normalized import NormalizedModel
from rampart.objectives.adversarial import Adversarial, StandardObjective, Trades
from rampart.objectives.autolora import AutoLora
from rampart.objectives.catalogue import OBJECTIVES
from rampart.objectives.drawn import Drawn
from rampart.objectives.fare import Fare
from rampart.objectives.mart import Mart
from rampart.objectives.noisy_labels import NoisyLabels
from rampart.objectives.twins import Twins
from rampart.schedules.adaptive import Adaptive
from rampart.schedules.hinge import Fix, Standard
from rampart.schedules.scheduler import EpsilonScheduler
from rampart.strategies.catalogue import STRATEGIES
from rampart.training.callbacks.awp import Awp
from rampart.training.callbacks.ema import Ema
from rampart.training.one_process import OneProcess
from rampart.training.optimizers import adamw, lr_schedule
from rampart.training.state import Plan, Training
from rampart.training.step import read_losses, train_batch
from rampart.units import Horizon

META = torch.device("meta")
EPS = 8 / 255
#: Attacks for training that let every sample take all steps.
IN_STEP = {
    "fgsm": Fgsm(),
    "n-fgsm": NFgsm(),
    "pgd": Pgd(steps=2),
    "pgd-gaussian": Pgd(steps=2, start="gaussian", step_rule="absolute", step_size=1 / 255),
    "pgd-best": Pgd(steps=2, iterate="best", restarts=2),
    "pgd-l1": Pgd(steps=2, norm="l1"),
    "pgd-l2": Pgd(steps=2, norm="l2"),
    "apgd": Apgd(steps=3),
    "apgd-best": Apgd(steps=2, restarts=2),
    "apgd-l1": Apgd(steps=3, norm="l1"),
    "apgd-l2": Apgd(steps=3, norm="l2"),
}
#: They ask which samples are left, and compute no others.
ASKING = {"aa", "autoattack", "auto-attack", "fab", "plus", "rand", "short", "square", "standard"}


class Alone(OneProcess):
    """One process on a device without values."""

    def __init__(self, optimizer):
        self.device, self.optimizer, self._own, self._scaler = META, optimizer, optimizer, None
        self._accelerator = SimpleNamespace(autocast=nullcontext)


class Refusing(TorchDispatchMode):
    """Refuses to copy numbers from the host to the device."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function is torch.ops.aten._to_copy.default:
            assert (args[0].device == META) == (result.device == META), "numbers are copied"
        return result


def refusing(name, made):
    """Refuse a tensor of host numbers; no dispatch mode sees the device of those."""

    def make(data, *args, device=None, **options):
        assert device is None or torch.device(device) != META, f"torch.{name} copies to the device"
        return made(data, *args, device=device, **options)

    return make


@contextmanager
def no_copies():
    with pytest.MonkeyPatch.context() as patch, Refusing():
        for name in ("tensor", "as_tensor"):
            patch.setattr(torch, name, refusing(name, getattr(torch, name)))
        yield


@pytest.fixture(autouse=True)
def device_without_values(monkeypatch):
    # Networks without values are refused, except here.
    monkeypatch.setattr("rampart.attacks.frozen.require_weights", lambda module: None)
    monkeypatch.setattr(NormalizedModel, "require_features", lambda self: None)


def make_network(objective):
    if objective.anchors or objective.needs_strategy:
        options = {"in_chans": 3}
        return build_model(
            "rampart_glyphnet", num_classes=3, pretrained=False, options=options, image_size=16
        )
    layers = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))
    network = nn.Sequential(*layers)
    network(torch.zeros(2, 3, 16, 16))
    return NormalizedModel(network, (0.5,) * 3, (0.5,) * 3, 16)


def make_training(schedule=None, objective=None, attack=None, callbacks=(), **plan):
    objective = objective or Adversarial()
    model = make_network(objective)
    if objective.needs_strategy:
        pytest.importorskip("peft")
        STRATEGIES.build(objective.needs_strategy).prepare(model, 0)
    model.to(META)
    optimizer = adamw(
        model.named_parameters(),
        [],
        backbone_lr=1e-3,
        head_lr=1e-3,
        backbone_weight_decay=0.1,
        head_weight_decay=0.1,
    )
    horizon = Horizon(1, 4)
    return Training(
        plan=Plan(seed=0, horizon=horizon, batch_size=8, clip_norm=1.0, **plan),
        accelerator=Alone(optimizer),
        model=model,
        objective=objective.bind(model),
        attack=attack or Apgd(steps=2),
        schedule=EpsilonScheduler(schedule or Fix(), EPS, horizon, chance=1 / 3),
        optimizer=optimizer,
        lr_schedule=lr_schedule(optimizer, horizon, 0.0),
        augment=Augment(),
        hooks={type(one).__name__: one.begin(model) for one in callbacks},
    )


def batch():
    images = torch.zeros(8, 3, 16, 16, dtype=torch.uint8, device=META)
    numbers = torch.zeros(8, dtype=torch.int64, device=META)
    return Batch(images, numbers, numbers)


def take_steps(**parts):
    run, again = make_training(**parts), batch()
    # Constants are copied to a device once.
    train_batch(run, again)
    with no_copies():
        train_batch(run, again)
    assert run.step == 2
    return run


@pytest.mark.parametrize("name", IN_STEP)
def test_a_step_reads_nothing_with_every_attack(name):
    take_steps(attack=IN_STEP[name])


def test_the_list_of_attacks_is_complete():
    assert {
        name.split("-")[0] if name.startswith(("pgd", "apgd")) else name for name in IN_STEP
    } | (ASKING) >= set(ATTACKS.names())


@pytest.mark.parametrize(
    "objective",
    [
        *(StandardObjective(), Trades(), Mart(), Fare(), Fare(base="standard"), Twins()),
        *(Drawn(), AutoLora()),
        NoisyLabels().guided(torch.eye(3)[[0, 1, 2, 0]], torch.tensor([0, 1, 2, 1])),
    ],
    ids=lambda one: f"{type(one).__name__}-{getattr(one, 'base', '')}",
)
def test_a_step_reads_nothing_with_every_objective(objective):
    take_steps(objective=objective)


def test_the_list_of_objectives_is_complete():
    listed = {"standard", "adversarial", "trades", "mart", "fare", "twins", "drawn", "autolora"}
    listed |= {"noisy-labels"}
    assert set(OBJECTIVES.names()) == listed


@pytest.mark.parametrize("callback", [Ema(), Awp()])
def test_a_step_reads_nothing_with_every_callback(callback):
    take_steps(callbacks=[callback])


def test_a_step_at_eps_0_in_micro_batches_reads_nothing():
    take_steps(schedule=Standard(), gradient_accumulation_steps=2)


def test_the_guard_notices_what_waits():
    """An attack whose samples leave, an accuracy that a schedule needs, and reading the losses."""
    with pytest.raises((NotImplementedError, RuntimeError)):
        take_steps(attack=Apgd(steps=2, iterate="adversarial"))
    with pytest.raises(RuntimeError, match="meta"):
        take_steps(schedule=Adaptive())
    with pytest.raises((NotImplementedError, RuntimeError), match="meta"):
        read_losses(take_steps())
    for copy in (lambda: torch.tensor(0.5, device=META), lambda: torch.zeros(2).to(META)):
        with no_copies(), pytest.raises(AssertionError, match="cop"):
            copy()


def test_an_attack_that_is_called_checks_its_images_and_one_in_a_step_does_not():
    model, images = make_training().model, batch().pixels()
    with pytest.raises(RuntimeError, match="meta"):
        Pgd(steps=1)(model, images, batch().labels, EPS)
