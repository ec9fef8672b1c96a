"""The engine against closed forms, against independent runs, and under other batch orders."""

from collections.abc import Iterable, Sequence

import numpy as np
import pytest
import torch
from tasks import Task, make_task
from test_critical import proven
from test_results import same
from torch import Tensor, nn

from oracles import linear_critical_eps
from rampart.attacks.base import Attack
from rampart.attacks.catalogue import ATTACKS
from rampart.data.batches import Batch
from rampart.evaluation.critical import critical_strengths
from rampart.evaluation.default_grid import default_grid
from rampart.evaluation.engine.engine import Engine, collect_results
from rampart.evaluation.engine.engine import Task as Work
from rampart.evaluation.engine.sample_state import SampleState
from rampart.evaluation.engine.stage_batch import StageBatch
from rampart.evaluation.inference import QueriedModel
from rampart.evaluation.results import Results
from rampart.runtime import Noise, scoped_seed
from rampart.units import Norm

EPS: dict[Norm, float] = {"linf": 20 / 255, "l2": 0.3, "l1": 0.9}
SMALL = {"standard": {"steps": 8, "queries": 10}, "plus": {"steps": 6, "queries": 10}}


def attack_suite(name: str, norm: Norm = "linf", **options) -> Attack:
    return ATTACKS.build(name, {**SMALL.get(name, {}), "norm": norm, **options})


class Centered(nn.Module):
    def forward(self, images):
        return images - 0.5


def net(seed: int, classes: int = 5) -> nn.Module:
    """A convolutional network with random weights, which is not robust."""
    with scoped_seed(seed):
        conv, head = nn.Conv2d(1, 6, 3, stride=2, bias=False), nn.Linear(54, classes)
    return nn.Sequential(Centered(), conv, nn.ReLU(), nn.Flatten(), head)


def photos(model: nn.Module, n: int, seed: int = 0) -> Batch:
    """Images (n, 1, 8, 8) of which the model gets some wrong."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (n, 1, 8, 8), generator=generator, dtype=torch.uint8)
    labels = model(images / 255).argmax(1)
    labels[::9] = (labels[::9] + 1) % 2
    return Batch(images, labels, torch.arange(n))


def parts(batch: Batch, rows: Tensor, size: int) -> Iterable[Batch]:
    return [Batch(batch.images[r], batch.labels[r], batch.indices[r]) for r in rows.split(size)]


# Closed forms


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("name", ["apgd", "standard", "plus"])
def test_critical_strengths_of_two_classes_equal_the_closed_form(name, norm):
    if (name, norm) == ("apgd", "l1"):
        pytest.skip("APGD changes few pixels at a time: on so small a budget it stops short")
    task, grid = make_task(), default_grid(EPS[norm], norm)
    found = critical_strengths(task.model, task.batches(60), attack_suite(name, norm), grid, 0)
    np.testing.assert_array_equal(found.critical, task.critical(grid, norm))
    assert len(set(found.critical)) > 5


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize(("name", "steps"), [("short", 25), ("standard", 12)])
@pytest.mark.parametrize("classes", [3, 7])
def test_critical_strengths_of_several_classes_equal_the_closed_form(classes, name, steps, norm):
    """Up to 1 %: with few steps an attack ends close to the nearest point."""
    if (name, norm) == ("short", "l1"):
        pytest.skip("as above")
    task, grid = make_task(classes), default_grid(EPS[norm], norm)
    attack = attack_suite(name, norm, steps=steps)
    found = critical_strengths(
        task.model, task.batches(60), attack, grid, 0, adversarial_examples=True
    )
    assert (task.critical(grid, norm) <= found.critical).all()
    assert (found.critical <= np.searchsorted(grid, 1.01 * nearest(task, norm))).all()
    assert proven(found, task.model, task.images / 255, grid, norm)


def nearest(task: Task, norm: Norm) -> np.ndarray:
    weight, bias = task.weight.double(), task.bias.double()
    return linear_critical_eps(weight, bias, task.images.double() / 255, task.labels, norm).numpy()


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_fab_finds_the_smallest_distance_on_any_grid(norm, mode):
    task, grid = make_task(3), (0.0, 0.1 * EPS[norm], 2 * EPS[norm])
    attack = attack_suite("fab", norm, steps=30)
    batches = task.batches(60)
    found = critical_strengths(
        task.model, batches, attack, grid, 0, mode=mode, adversarial_examples=True
    )
    coarse = found.critical == 2
    ratio = found.distance[coarse] / nearest(task, norm)[coarse]
    assert coarse.sum() > 30
    assert ratio.min() > 0.9999
    assert ratio.max() < 1.02
    assert proven(found, task.model, task.images / 255, grid, norm)


# Comparison with independent runs


@pytest.mark.parametrize(
    ("name", "norm"), [("apgd", "linf"), ("short", "l2"), ("standard", "linf")]
)
def test_never_weaker_than_the_attack_at_each_strength_alone(name, norm):
    """Up to noise: 1 of 90 samples, because random starts differ."""
    grid = default_grid({"linf": 8 / 255, "l2": 0.3}[norm], norm)
    options = {"iterate": "adversarial"} if name == "apgd" else {}
    attack, claimed, alone = attack_suite(name, norm, steps=6, **options), [], []
    for seed in range(3):
        model = net(seed)
        batch = photos(model, 30, seed)
        found = critical_strengths(model, [batch], attack, grid, seed, adversarial_examples=True)
        assert proven(found, model, batch.pixels(), grid, norm)
        claimed.append([(found.critical > grid_index).sum() for grid_index in range(1, len(grid))])
        alone.append([robust(model, batch, attack, eps) for eps in grid[1:]])
    difference = np.sum(claimed, 0) - np.sum(alone, 0)
    assert difference.max() <= 1
    # If it were much stronger, the attack alone would be faulty.
    assert difference.min() >= -5
    assert claimed[0][-1] < claimed[0][0]


def robust(model: nn.Module, batch: Batch, attack: Attack, eps: float) -> int:
    images, labels = batch.pixels(), batch.labels
    points = attack(model, images, labels, eps, Noise.of(7, batch.indices, "alone"))
    right = (model(images).argmax(1) == labels) & (model(points).argmax(1) == labels)
    return int(right.sum())


# Independence of batch size and order


#: Short runs, so that one row is enough to wait for.
SHORT = {"steps": 3, "targets": 2, "queries": 5}


@pytest.mark.parametrize(
    ("name", "options", "norm", "mode"),
    [
        ("apgd", {"steps": 4, "restarts": 2}, "linf", "exact"),
        ("standard", SHORT, "linf", "fast"),
        ("standard", SHORT, "l1", "fast"),
        ("plus", {"steps": 2, "targets": 1, "queries": 2}, "linf", "exact"),
    ],
)
def test_no_column_depends_on_the_batch_size_or_the_order(name, options, norm, mode):
    model, attack, n = net(1), attack_suite(name, norm, **options), 10
    grid = default_grid({"linf": 8 / 255, "l2": 0.3, "l1": 2.0}[norm], norm)
    batch = photos(model, n)

    def evaluate(batch_size: int, order: Sequence[int] | Tensor, size: int = 7) -> Results:
        batches = parts(batch, torch.as_tensor(order), size)
        options = {"mode": mode, "batch_size": batch_size, "adversarial_examples": True}
        return critical_strengths(model, batches, attack, grid, 0, **options)

    whole = evaluate(64, range(n))
    for batch_size in (1, 7, 256):
        assert same(evaluate(batch_size, range(n)), whole)
    shuffled = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    assert same(evaluate(7, shuffled, size=n), whole)
    is_adv = np.flatnonzero(whole.found)
    for some in ([is_adv[0]], [n - 2, 4, is_adv[1]], range(1, n, 2)):
        assert same(evaluate(64, some), whole.select(sorted(some)))
    assert len(set(whole.critical)) > 3
    assert not whole.pruned.any() or mode == "fast"


def test_memory_holds_no_more_samples_than_the_stage_batches():
    model, read, done = net(1), [0], 0
    batch = photos(model, 30)

    def stream():
        for one in parts(batch, torch.arange(30), 4):
            read[0] += len(one)
            yield one

    for samples in engine(model, "standard", batch_size=4).run(stream()):
        done += len(samples)
        assert read[0] - done <= 4 * 5 + 4
    assert done == 30


def engine(
    model,
    name: str,
    batch_size: int,
    stage_batch: type[StageBatch] = StageBatch,
    norm: Norm = "linf",
) -> Engine:
    attack, grid = attack_suite(name, norm, steps=4), default_grid(EPS[norm], norm)
    work = Work(attack.stages(), norm, grid, seed=0)
    return Engine(QueriedModel(model), work, batch_size, torch.device("cpu"), stage_batch)


def flown(engine: Engine, batch: Batch) -> list[SampleState]:
    return [sample for samples in engine.run([batch]) for sample in samples]


# Single samples


def test_the_passes_of_the_samples_add_up_to_those_of_the_model():
    model = net(2)
    queried, attack = QueriedModel(model), attack_suite("plus", steps=3, targets=2)
    grid, batch = default_grid(8 / 255, "linf"), photos(model, 20)
    for prune in (False, True):
        work = Work(attack.stages(), "linf", grid, 0, prune)
        before = queried.passes
        done = flown(Engine(queried, work, 8, torch.device("cpu")), batch)
        found = collect_results(done, adversarial_examples=False)
        spent = [now - then for now, then in zip(queried.passes, before, strict=True)]
        assert [found.forwards_total, found.backwards_total] == spent


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_rounding_at_the_boundary_of_a_large_ball_loses_no_image(norm):
    """The rounding error of a distance over many pixels exceeds any fixed tolerance."""
    eps = {"linf": 0.5, "l2": 15.0, "l1": 200.0}[norm]
    hits = []

    class Rim(StageBatch):
        def _descend(self, *arguments) -> bool:
            hits.append(super()._descend(*arguments))
            return hits[-1]

    with scoped_seed(0):
        model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 2))
    images = torch.randint(100, 150, (40, 3, 32, 32), dtype=torch.uint8)
    batch = Batch(images, model(images / 255).argmax(1), torch.arange(40))
    work = Work(attack_suite("apgd", norm).stages(), norm, (0.0, eps), 0)
    samples = flown(Engine(QueriedModel(model), work, 16, torch.device("cpu"), Rim), batch)
    assert len(hits) > 20
    assert all(hits)
    assert all(sample.progress.critical < 3 for sample in samples)


def test_the_nearest_class_at_the_weakest_point_is_tried_first():
    """Ten classes; the nearest class is not the likeliest on the clean image."""
    seen: list[int] = []

    class Watching(StageBatch):
        def _problem_of(self, samples: Sequence[SampleState]):
            problem = super()._problem_of(samples)
            if self.stage.targets:
                seen.extend(problem.targets[:, 1].tolist())
            return problem

    # Class 1 is likelier than class 2 but does not depend on the pixels.
    weight = torch.zeros(3, 16)
    weight[0], weight[2] = 1, -1
    task = Task(weight, torch.tensor([0.0, 6.0, 14.0]), torch.full((5, 1, 4, 4), 128), None)
    model = task.model
    assert model(task.images / 255)[0].argsort(descending=True).tolist() == [0, 1, 2]
    batch = Batch(task.images.byte(), torch.zeros(5, dtype=torch.int64), torch.arange(5))
    attack = attack_suite("short", steps=3)
    work = Work(attack.stages(), "linf", (0.0, 3 / 255), 0)
    samples = flown(Engine(QueriedModel(model), work, 8, torch.device("cpu"), Watching), batch)
    assert seen == [2] * 5 + [1] * 5
    assert all(sample.progress.critical == 2 for sample in samples)


@pytest.mark.parametrize("classes", [2, 3, 4, 9])
@pytest.mark.parametrize("name", ["apgd", "short", "standard", "plus", "rand"])
def test_few_classes_work_in_every_attack_suite(classes, name):
    model = net(0, classes)
    batch, grid = photos(model, 20), (0.0, 4 / 255, 8 / 255, 24 / 255)
    attack = attack_suite(name, steps=4, **({"draws": 2} if name == "rand" else {}))
    found = critical_strengths(
        model, [batch], attack, grid, 0, mode="fast", adversarial_examples=True
    )
    assert proven(found, model, batch.pixels(), grid, "linf")
    for number, stage in enumerate(attack.stages()):
        assert found.run[found.stage == number].max(initial=0) < stage.runs(classes)
