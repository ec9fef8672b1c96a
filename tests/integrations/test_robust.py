"""The loss in a plain loop gets the results of `rampart train`."""

import copy

import pytest
import torch
from torch.nn.functional import cross_entropy

from rampart.attacks.apgd import Apgd
from rampart.attacks.frozen import local
from rampart.attacks.pgd import Pgd
from rampart.data.batches import epoch_batches
from rampart.errors import InvalidArgument, ModelError, RampartWarning, RunError
from rampart.integrations.robust import RobustLoss
from rampart.models.backbones import build_model
from rampart.objectives.adversarial import Trades
from rampart.objectives.fare import Fare
from rampart.recipes.build import make_start
from rampart.recipes.config.loading import load_config
from rampart.recipes.splits import make_splits
from rampart.recipes.train import train_run
from rampart.runs.history import History
from rampart.runtime import Noise
from rampart.schedules.adaptive import Adaptive
from rampart.schedules.auto import Auto
from rampart.schedules.hinge import Fix, TwoHinge
from rampart.skill import chance_of
from rampart.training.optimizers import lr_schedule
from rampart.units import Horizon

EPS = 8 / 255


@pytest.fixture
def model():
    return build_model(
        "rampart_glyphnet", num_classes=3, pretrained=False, in_chans=3, image_size=16
    ).train()


@pytest.mark.parametrize(
    ("schedule", "objective"),
    [("two-hinge", "trades"), ("{name: adaptive, pilot: 0}", "{name: fare, base: adversarial}")],
)
def test_a_plain_loop_repeats_the_history_of_rampart_train(
    schedule, objective, tiny_settings, tmp_path
):
    still = "data.augment={flip: 0, jitter: 0, rotation: 0}"
    settings = [*tiny_settings, still, f"schedule={schedule}", f"objective={objective}"]
    config = load_config(None, settings)
    rows = History(train_run(config, tmp_path / "run").history).rows()

    splits = make_splits(config)
    horizon = Horizon(3, rows[0]["step"])
    model, optimizer = make_start(config, splits)
    robust = RobustLoss(
        model,
        EPS,
        horizon,
        num_classes=3,
        schedule=config.components.schedule,
        objective=config.components.objective,
        attack=config.components.attack,
        seed=config.seed,
    )
    rates = lr_schedule(optimizer, horizon, config.optimizer.warmup)
    for epoch, row in enumerate(rows):
        losses = []
        for batch in epoch_batches(splits.train, 8, seed=config.seed, epoch=epoch):
            eps = robust.scheduler.eps
            model.train()
            loss = robust(batch.pixels(), batch.labels, batch.indices)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            rates.step()
            robust.step()
            losses.append(float(loss.detach()))
        assert eps == row["eps"]
        assert sum(losses) / len(losses) == pytest.approx(row["train_loss"], rel=1e-5)


def test_micro_batches_are_one_batch_to_the_schedule(model, dataset):
    images, labels, _ = dataset.tensors
    whole, parts = (RobustLoss(model, EPS, Horizon(2, 4), num_classes=3) for _ in range(2))
    whole(images, labels)
    whole.step()
    for micro_batch in (slice(0, 10), slice(10, 24)):
        parts(images[micro_batch], labels[micro_batch])
    parts.step()
    assert whole.state_dict() == parts.state_dict()


def test_noise_follows_the_sample_or_the_step(model, dataset):
    images, labels, indices = dataset.tensors
    attack = Pgd(steps=1, start="uniform")
    robust = RobustLoss(model.eval(), EPS, Horizon(2, 4), schedule=Fix(), attack=attack)
    order = torch.arange(23, -1, -1)
    forwards = robust(images, labels, indices)
    assert torch.allclose(robust(images[order], labels[order], indices[order]), forwards)
    first = robust(images, labels)
    robust.step()
    assert not torch.equal(robust(images, labels), first)


def test_the_state_continues_exactly(model, dataset):
    images, labels, _ = dataset.tensors

    def trained(robust, steps):
        for _ in range(steps):
            robust(images, labels)
            robust.step()
        return robust.scheduler.eps, robust.state_dict()

    one = RobustLoss(model, EPS, Horizon(4, 5), num_classes=3, schedule=Adaptive(min_skill=0.0))
    other = RobustLoss(model, EPS, Horizon(4, 5), num_classes=3, schedule=Adaptive(min_skill=0.0))
    _, state = trained(one, 7)
    other.load_state_dict(state)
    assert trained(one, 6) == trained(other, 6)


def test_a_schedule_gets_the_validation_accuracy_that_it_needs(model, dataset):
    images, labels, _ = dataset.tensors
    robust = RobustLoss(model, EPS, Horizon(9, 1), schedule=Auto(patience=1))
    for _ in range(8):
        robust(images, labels)
        robust.step()
        robust.observe(0.9)
    assert robust.scheduler.eps > 0


def test_validation_in_inference_mode_does_not_disturb(model, dataset):
    images, labels, _ = dataset.tensors
    with torch.inference_mode():
        attacked = Apgd(steps=2)(model, images, labels, EPS, 0)
        right = model(attacked).argmax(1) == labels
    assert right.shape == (24,)
    RobustLoss(model, EPS, Horizon(1, 1), schedule=Fix())(images, labels).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_bf16(model, dataset):
    images, labels, _ = dataset.tensors
    robust = RobustLoss(model, EPS, Horizon(1, 1), schedule=Fix(), objective=Trades())
    exact = float(robust(images, labels).detach())
    with torch.autocast("cpu", torch.bfloat16):
        loss = robust(images, labels)
    loss.backward()
    assert loss.dtype == torch.float32
    assert float(loss.detach()) == pytest.approx(exact, rel=0.05)
    assert float(loss.detach()) != pytest.approx(exact, rel=1e-6), "it was in float32"


@pytest.mark.parametrize("objective", [None, Trades(), Fare(base="adversarial")])
def test_a_compiled_model_is_not_compiled_at_every_step(model, dataset, objective):
    images, labels, _ = dataset.tensors
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    compiled = torch.compile(model, backend=backend)
    schedule = TwoHinge.at_fractions(0.2, 0.6)
    robust = RobustLoss(compiled, EPS, Horizon(2, 5), schedule=schedule, objective=objective)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    counts = []
    for _ in range(10):
        model.train()
        robust(images, labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        robust.step()
        counts.append(len(graphs))
    assert 0 < counts[-1] <= 4, "clean and attacked, in train and in eval mode"
    assert counts[-1] == counts[4], "nothing new once an attack has been made"


def test_the_loss_equals_its_formula(model, dataset):
    images, labels, indices = dataset.tensors
    robust = RobustLoss(model, EPS, Horizon(1, 1), schedule=Fix(), attack=Apgd(steps=2), seed=3)
    loss = robust(images, labels, indices)
    other = copy.deepcopy(model)
    points = Apgd(steps=2)(other, images, labels, EPS, Noise.of(3, indices, "attack", 0))
    torch.testing.assert_close(loss, cross_entropy(other(points), labels))


def test_a_step_without_a_loss_is_refused(model):
    with pytest.raises(InvalidArgument, match="a loss since the last step"):
        RobustLoss(model, EPS, Horizon(1, 1), schedule=Fix()).step()


@pytest.mark.parametrize("objective", [Trades(), Fare(), Fare(base="trades")])
def test_an_attack_that_would_stay_where_it_starts_is_refused(model, objective):
    horizon, still = Horizon(1, 1), Pgd(start="none")
    with pytest.raises(InvalidArgument, match="attack.start=none"):
        RobustLoss(model, EPS, horizon, schedule=Fix(), objective=objective, attack=still)
    own = Trades(inner="ce")
    RobustLoss(model, EPS, horizon, schedule=Fix(), objective=own, attack=still)


def test_adaptive_needs_the_number_of_classes(model):
    for num_classes in (None, 1):
        with pytest.raises(InvalidArgument, match="num_classes="):
            RobustLoss(model, EPS, Horizon(5, 1), num_classes=num_classes)
    with pytest.raises(InvalidArgument, match="chance="):
        RobustLoss(model, EPS, Horizon(5, 1), chance=1.0)


def test_a_constant_prediction_has_no_skill_if_chance_is_given(model):
    """Half of the labels are of one class, which the model predicts for all images."""
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 2, 2])
    with torch.no_grad():
        model.backbone.head.weight.zero_()
        model.backbone.head.bias.copy_(torch.tensor([1.0, 0.0, 0.0]))
    images, waits = torch.rand(8, 3, 16, 16), Adaptive(start=0.75, deadline=0.8)
    reached = {}
    for chance in (None, chance_of(labels)):
        robust = RobustLoss(
            model,
            EPS,
            Horizon(5, 4),
            num_classes=3,
            chance=chance,
            schedule=waits,
            attack=Pgd(steps=1),
        )
        for _ in range(15):
            robust(images, labels)
            robust.step()
        reached[chance] = robust.scheduler.alpha
    assert reached == {None: 1.0, 0.5: 0.0}


def test_warnings_of_the_schedule_are_shown(model):
    with pytest.warns(UserWarning, match="schedule.patience"):
        RobustLoss(model, EPS, Horizon(4, 1), schedule=Auto())


def test_the_frozen_copy_is_in_the_state(model, dataset):
    images, labels, indices = dataset.tensors
    schedule, objective = Fix(), Fare(base="standard")
    whole = RobustLoss(model, EPS, Horizon(2, 1), schedule=schedule, objective=objective)
    state = copy.deepcopy(whole.state_dict())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.1)
    again = RobustLoss(model, EPS, Horizon(2, 1), schedule=schedule, objective=objective)
    expected = whole(images, labels, indices)
    other = again(images, labels, indices)
    assert float(other.detach()) != pytest.approx(float(expected.detach()))
    again.load_state_dict(state)
    torch.testing.assert_close(again(images, labels, indices), expected)


@pytest.mark.parametrize("state", [{}, {"scheduler": {}}])
def test_another_state_is_refused(model, state):
    robust = RobustLoss(
        model, EPS, Horizon(2, 1), schedule=Fix(), objective=Fare(base="adversarial")
    )
    with pytest.raises(RunError, match="frozen_copy"):
        robust.load_state_dict(state)


@pytest.mark.parametrize("schedule", [Fix(), TwoHinge.at_fractions(0.5, 1.0)])
@pytest.mark.parametrize(
    ("images", "labels", "indices"),
    [
        (lambda x: 255 * x, lambda y: y, lambda n: n),
        (lambda x: (255 * x).byte(), lambda y: y, lambda n: n),
        (lambda x: x, lambda y: torch.eye(3)[y], lambda n: n),
        (lambda x: x, lambda y: y.float(), lambda n: n),
        (lambda x: x, lambda y: y, lambda n: n.tolist()),
        (lambda x: x, lambda y: y, lambda n: n[:3]),
    ],
)
def test_an_invalid_batch_is_refused_at_every_strength(
    model, dataset, schedule, images, labels, indices
):
    x, y, n = dataset.tensors
    robust = RobustLoss(model, EPS, Horizon(2, 5), schedule=schedule)
    with pytest.raises(InvalidArgument, match="expected"):
        robust(images(x), labels(y), indices(n))


@pytest.mark.parametrize(
    ("name", "value"),
    [("model", len), ("horizon", 5), ("schedule", "adaptive"), ("objective", "mart")],
)
def test_arguments_of_another_kind_are_refused(model, name, value):
    given = {"model": model, "horizon": Horizon(1, 1), "schedule": Fix(), name: value}
    made = rf".*rampart\.{name.upper()}S\.build\('{value}'\)\.$" if isinstance(value, str) else ""
    with pytest.raises(InvalidArgument, match=f"{name}={made}"):
        RobustLoss(eps=EPS, **given)


def test_a_loss_without_gradients_does_not_count(model, dataset):
    images, labels, _ = dataset.tensors
    robust = RobustLoss(model, EPS, Horizon(1, 1), schedule=Fix())
    with torch.no_grad():
        robust(images, labels)
    with pytest.raises(InvalidArgument, match="a loss since the last step"):
        robust.step()


def test_images_under_attack_in_validation(model, dataset):
    images, labels, indices = dataset.tensors
    robust = RobustLoss(model, EPS, Horizon(2, 5), schedule=TwoHinge.at_fractions(0.5, 1.0))
    with torch.inference_mode():
        points = robust.perturbed(images, labels, indices)
    assert float((points - images).abs().max()) == pytest.approx(EPS, abs=1e-6)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(0))
    moved = robust.perturbed(images[order], labels[order], indices[order])
    torch.testing.assert_close(moved, points[order])
    attacked = cross_entropy(model.eval()(points), labels)
    assert attacked > cross_entropy(model(images), labels)


def test_validation_attacks_the_network_in_eval_mode(dataset):
    images, labels, indices = dataset.tensors
    norm = build_model("resnet18", num_classes=3, pretrained=False, image_size=16).train()
    points = [
        RobustLoss(
            norm, EPS, Horizon(1, 1), schedule=Fix(), attack=Pgd(steps=2, mode=mode)
        ).perturbed(images, labels, indices)
        for mode in ("eval", "train")
    ]
    assert points[0].equal(points[1])
    assert norm.training


def test_a_compiled_wrapper_is_unwrapped(model):
    class Wrapper(torch.nn.parallel.DistributedDataParallel):
        def __init__(self, module):
            torch.nn.Module.__init__(self)
            self.module = module

    compiled = torch.compile(Wrapper(model), backend="eager")
    assert local(compiled) is model


@pytest.mark.parametrize(
    ("num_classes", "labels", "message"),
    [
        (4, (0, 2), "num_classes=4: expected 3"),
        (None, (0, 3), "labels=3: expected 0 to 2"),
        (None, (-1, 2), "labels=-1: expected"),
    ],
)
def test_classes_beyond_those_of_the_model_are_refused(
    model, dataset, num_classes, labels, message
):
    images, lowest_to_highest = dataset.tensors[0], torch.linspace(*labels, 24).round().long()
    robust = RobustLoss(model, EPS, Horizon(1, 1), schedule=Fix(), num_classes=num_classes)
    with pytest.raises(InvalidArgument, match=message):
        robust(images, lowest_to_highest)


def test_a_model_without_logits_is_refused(dataset):
    model = torch.nn.Conv2d(3, 3, 1)
    robust = RobustLoss(model, EPS, Horizon(1, 1), schedule=Fix())
    with pytest.raises(ModelError, match=r"shape \(1, 3, 16, 16\)"):
        robust(*dataset.tensors[:2])


def test_the_logits_of_a_dictionary_are_read(model, dataset):
    class Output(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, images):
            return {"loss": None, "logits": self.inner(images)}

    losses = [
        RobustLoss(one, EPS, Horizon(1, 1), schedule=Fix())(*dataset.tensors[:2])
        for one in (model, Output())
    ]
    assert torch.equal(*losses)


def test_a_model_without_weights_to_train_is_refused(model, dataset):
    images, labels, _ = dataset.tensors
    robust = RobustLoss(model.requires_grad_(False), EPS, Horizon(1, 1), schedule=Fix())
    with pytest.raises(ModelError, match="requires_grad_"):
        robust(images, labels)
    with torch.no_grad():
        assert robust(images, labels).isfinite()


def test_the_images_of_the_caller_are_left(model, dataset):
    class InPlace(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, images):
            return self.inner(images.sub_(0.5).div_(0.25))

    images, labels, _ = dataset.tensors
    before = images.clone()
    for schedule in (Fix(), TwoHinge.at_fractions(0.5, 1.0)):
        robust = RobustLoss(InPlace(), EPS, Horizon(1, 1), schedule=schedule)
        with pytest.warns(RampartWarning, match="InPlace writes into its input"):
            robust(images, labels)
        robust(images, labels)
        robust.perturbed(images, labels)
        assert torch.equal(images, before)


def test_an_empty_micro_batch_does_not_check_the_classes(model, dataset):
    images, labels, _ = dataset.tensors
    robust = RobustLoss(model, EPS, Horizon(1, 1), schedule=TwoHinge.at_fractions(0.5, 1.0))
    robust(images[:0], labels[:0])
    with pytest.raises(InvalidArgument, match="labels=5: expected 0 to 2"):
        robust(images, labels + 3)


class Rooted(torch.nn.Module):
    """The gradient of its weight is infinite at black pixels."""

    def __init__(self, model):
        super().__init__()
        self.model, self.weight = model, torch.nn.Parameter(torch.ones(1))

    def forward(self, images):
        return self.model((self.weight * images).sqrt())


@pytest.mark.parametrize("schedule", [Fix(), TwoHinge.at_fractions(0.5, 1.0)])
def test_training_that_has_become_nan_is_a_warning(model, dataset, schedule):
    images, labels, _ = dataset.tensors
    images = images.clone()
    images[:, :, 0, 0] = 0
    network = Rooted(model)
    robust = RobustLoss(network, EPS, Horizon(1, 5), schedule=schedule)
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    loss = robust(images, labels)
    assert loss.isfinite()
    loss.backward()
    assert not network.weight.grad.isfinite().all()
    optimizer.step()
    robust.step()
    robust(images, labels)
    with pytest.warns(RampartWarning, match=r"the loss of the last batch is nan.*sqrt"):
        robust(images, labels)


def test_the_loss_shows_its_settings(model):
    robust = RobustLoss(model, "4/255", Horizon(2, 5), schedule=Fix())
    text = repr(robust)
    assert text.startswith("RobustLoss(eps=4/255, norm=linf, eps now 4/255 after 0 steps of 10")
    assert "schedule=Fix(" in text
    assert "attack=Apgd(" in text
