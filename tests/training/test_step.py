"""One optimizer step against the formula, computed by hand."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from rampart.attacks.apgd import Apgd
from rampart.data.batches import Batch
from rampart.data.transforms import Augment
from rampart.errors import Diverged
from rampart.objectives.adversarial import Adversarial
from rampart.recipes.accelerator import make_accelerator
from rampart.recipes.config.loading import load_config
from rampart.runtime import Noise, scoped_seed
from rampart.schedules.hinge import Fix, Standard
from rampart.schedules.scheduler import EpsilonScheduler
from rampart.training.optimizers import lr_schedule
from rampart.training.state import Plan, Progress, Run, Totals
from rampart.training.step import read_losses, train_batch, waited_for
from rampart.units import Horizon

EPS = 8 / 255


def make_run(schedule, **plan):
    with scoped_seed(0):
        model = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    optimizer = torch.optim.SGD([{"params": model.parameters(), "name": "head"}], lr=0.5)
    horizon = Horizon(2, 2)
    accelerator = make_accelerator(load_config(None, ["model=a", "data=b"]))
    prepared, optimizer = accelerator.prepare(model, optimizer)
    absent = {
        name: SimpleNamespace()
        for name in ("batches", "validate", "history", "checkpoints", "best", "reporter")
    }
    return Run(
        plan=Plan(seed=0, horizon=horizon, batch_size=8, **plan),
        accelerator=accelerator,
        model=prepared,
        objective=Adversarial(),
        attack=Apgd(steps=3),
        schedule=EpsilonScheduler(schedule, EPS, horizon),
        optimizer=optimizer,
        lr_schedule=lr_schedule(optimizer, horizon, 0.0),
        augment=Augment.none(),
        progress=Progress(),
        **absent,
    )


@pytest.fixture
def batch():
    noise = Noise.of(0, torch.arange(8), "test")
    images = (noise.uniform(3, 4, 4) * 255).to(torch.uint8)
    return Batch(images, torch.arange(8) % 3, torch.arange(100, 108))


def test_class_weights_multiply_the_losses(batch):
    """Equal to torch's weighted cross-entropy, whose sum is divided by the number of images."""
    weights = torch.tensor([0.5, 1.0, 3.0])
    run = make_run(Standard(), gradient_accumulation_steps=2)
    run.class_weights = weights
    reference = copy.deepcopy(run.bare_model)
    losses = cross_entropy(reference(batch.images / 255), batch.labels, weights, reduction="none")
    (losses.sum() / len(batch)).backward()
    expected = [p - 0.5 * p.grad for p in reference.parameters()]
    train_batch(run, batch)
    for parameter, value in zip(run.bare_model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter, value)
    assert run.progress.totals.loss == pytest.approx(float(losses.detach().sum()))


def test_a_repeated_image_has_noise_of_its_own(batch):
    """The first draw has the noise that it has without repeats."""
    again = replace(batch, repeats=torch.tensor([0, 0, 0, 0, 1, 1, 2, 0]))
    noise, other = (Noise.of(0, one.noise_keys, "attack", 3).uniform(4) for one in (batch, again))
    assert (noise == other).all(1).tolist() == (again.repeats == 0).tolist()
    same = replace(batch, indices=torch.full((3,), 5), repeats=torch.arange(3))
    assert len(set(same.noise_keys.tolist())) == 3


@pytest.mark.parametrize("schedule", [Standard(), Fix()])
@pytest.mark.parametrize("micro_batches", [1, 2, 4])
def test_a_step_follows_the_mean_gradient_at_the_perturbed_images(schedule, micro_batches, batch):
    run = make_run(schedule, gradient_accumulation_steps=micro_batches)
    reference = copy.deepcopy(run.bare_model)
    images = batch.images / 255
    if isinstance(schedule, Fix):
        noise = Noise.of(0, batch.indices, "attack", 0)
        images = Apgd(steps=3)(reference, images, batch.labels, EPS, noise)
    cross_entropy(reference(images), batch.labels).backward()
    expected = [p - 0.5 * p.grad for p in reference.parameters()]
    train_batch(run, batch)
    for parameter, value in zip(run.bare_model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter, value)
    passes = (8 * 5, 8 * 4) if isinstance(schedule, Fix) else (8, 8)
    assert (run.progress.totals.forwards, run.progress.totals.backwards) == passes
    assert run.schedule.steps_done == 1
    assert run.progress.used["eps"] == (EPS if isinstance(schedule, Fix) else 0)


def test_the_gradient_is_clipped_as_a_whole(batch):
    run = make_run(Standard(), clip_norm=1e-3, gradient_accumulation_steps=2)
    before = [p.detach().clone() for p in run.bare_model.parameters()]
    train_batch(run, batch)
    moved = [p - b for p, b in zip(run.bare_model.parameters(), before, strict=True)]
    length = torch.cat([m.flatten() for m in moved]).norm()
    torch.testing.assert_close(length, torch.tensor(0.5e-3), rtol=1e-2, atol=0)


def test_split_keeps_order_and_content(batch):
    micro_batches = batch.split(4)
    assert [len(micro_batch) for micro_batch in micro_batches] == [2, 2, 2, 2]
    assert torch.equal(
        torch.cat([micro_batch.indices for micro_batch in micro_batches]), batch.indices
    )
    assert torch.equal(
        torch.cat([micro_batch.images for micro_batch in micro_batches]), batch.images
    )


def test_the_rates_of_attacked_steps_have_their_own_factor(batch):
    """Equal to a run with that rate; steps at eps = 0 keep theirs, and so does the next step."""

    def after_a_step(schedule, rate=0.5, **plan):
        run = make_run(schedule, **plan)
        run.lr_schedule.base_lrs = [rate]
        for group in run.optimizer.param_groups:
            group["lr"] = rate
        train_batch(run, batch)
        return run

    scaled, plain = after_a_step(Fix(), ramp_lr_factor=0.25), after_a_step(Fix(), rate=0.125)
    assert torch.equal(scaled.model[1].weight, plain.model[1].weight)
    assert scaled.progress.used["lr_head"] == 0.125
    assert scaled.optimizer.param_groups[0]["lr"] == 4 * plain.optimizer.param_groups[0]["lr"]
    clean = after_a_step(Standard(), ramp_lr_factor=0.25)
    assert torch.equal(clean.model[1].weight, after_a_step(Standard()).model[1].weight)
    assert clean.progress.used["lr_head"] == 0.5


def test_losses_that_are_read_together_have_the_same_sum(batch):
    """As a GPU reads them; a CPU reads each before the backward pass."""

    def total(limit):
        run = make_run(Fix(), gradient_accumulation_steps=2)
        run.losses.limit = limit
        for _ in range(3):
            train_batch(run, batch)
        read_losses(run)
        return run.progress.totals

    assert total(limit=4) == total(limit=1)
    assert total(limit=100).loss > 0


@pytest.mark.parametrize(("limit", "steps"), [(1, 0), (2, 1), (100, 3)])
def test_a_loss_that_is_not_finite_stops_the_run_when_it_is_read(limit, steps, batch):
    run = make_run(Standard())
    run.losses.limit = limit
    with torch.no_grad():
        run.bare_model[1].weight.fill_(torch.inf)

    def train():
        for _ in range(3):
            train_batch(run, batch)
        read_losses(run)

    with pytest.raises(Diverged, match="at step 1"):
        train()
    assert run.step == steps


def test_a_step_counts_how_long_it_waits_for_its_images(batch, monkeypatch):
    totals, now = Totals(), [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    def slow():
        for seconds in (1.0, 2.0):
            now[0] += seconds
            yield batch

    for _ in waited_for(slow(), totals):
        now[0] += 10.0
    assert totals.data_seconds == 3.0
