"""Each row of the guide's table of what a model may do is what happens, at every entry."""

import re
import sys
import warnings
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image
from tests.contracts import unusual_models as models
from tests.contracts.model_behaviors import END, GUIDE, ROWS, START, Outcome, table
from tests.contracts.tables import with_table
from torch.nn.parameter import is_lazy

import rampart
from rampart.cli import main as cli
from rampart.errors import RampartWarning
from rampart.records.storage import load_record
from rampart.runtime import scoped_seed

EPS, COUNT = 16 / 255, 24


@cache
def task():
    """Return 8-bit images, with black pixels and some bright images, and the classes of `Net`."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(-40, 40, (COUNT, 3, models.SIDE, models.SIDE))
    pixels += rng.integers(60, 160, (COUNT, 3, 1, 1))
    pixels[:, :, :2, :2] = 0
    pixels[: models.BRIGHT] = 215 + pixels[: models.BRIGHT] // 8
    images = torch.from_numpy(pixels.astype(np.uint8))
    labels = models.Net()(images / 255).argmax(1)
    order = labels.argsort(stable=True)
    assert labels.bincount(minlength=models.CLASSES).min() > 1
    return images[order], labels[order]


def attack(model, _):
    return _attack(model, rampart.Pgd(steps=3))


def _attack(model, method):
    pixels, labels = task()
    images = pixels / 255
    found = method(model, images, labels, EPS)
    assert torch.equal(images, pixels / 255), "the images of the caller"
    assert ((found - images).abs() <= EPS + 1e-6).all(), "finite and in the ball"
    assert ((found >= 0) & (found <= 1)).all()
    return found.numpy()


def loss(model, _):
    pixels, labels = task()
    images = pixels / 255
    robust = rampart.RobustLoss(
        model,
        EPS,
        rampart.Horizon(1, 1),
        schedule=rampart.Fix(),
        attack=rampart.Pgd(steps=3),
    )
    value = robust(images, labels)
    value.backward()
    assert torch.equal(images, pixels / 255), "the images of the caller"
    slopes = [p.grad.double().norm() for p in model.parameters()]
    return torch.stack([value.detach().double(), *slopes]).numpy()


def finetune(model, folder):
    images, labels = task()
    parts = [(turned, labels) for turned in (images, images.flip(2), images.flip(3))]
    options = {"schedule": "fix", "attack": rampart.Pgd(steps=2), "epochs": 1, "batch_size": 8}
    options |= {"monitors": False, "progress": False, "evaluate": False, "output": folder / "run"}
    options |= {"augment": {"flip": 0.0, "jitter": 0.0, "rotation": 0.0}}
    (row,) = rampart.finetune(model, tuple(parts), EPS, **options).history
    return np.array([row["train_loss"], row["val_clean"], row["val_robust"]])


def evaluate(model, _, attack="apgd", **options):
    section = {"name": attack, **(options or {"steps": 3})}
    return rampart.evaluate(model, task(), EPS, section, strengths=[EPS / 4, EPS])


ENTRIES = {"attack": attack, "loss": loss, "training": finetune, "evaluation": evaluate}


def numbers(result):
    """Return the numbers of a result, in which two models are compared."""
    if isinstance(result, np.ndarray):
        return result
    # A model without a finite logit predicts no class, which the twin cannot do.
    return np.stack([result.predictions == result.labels, result.critical, result.distance])


def compare(result, clean, outcome):
    near = {"rtol": 1e-5, "atol": 1e-6} if outcome.rounded else {"rtol": 0, "atol": 0}
    np.testing.assert_allclose(numbers(result), numbers(clean), **near)


def verdicts(result):
    return {one["check"]: one["status"] for one in result.metadata["checks"]["verdicts"]}


def run(model, entry, folder):
    """Return what an entry returns, and the warnings; the model keeps its state."""
    with warnings.catch_warnings(record=True) as caught, scoped_seed(0):
        warnings.simplefilter("always", RampartWarning)
        before = state_of(model)
        result = entry(model, folder)
    if entry is not loss:
        assert state_of(model) == before
    return result, [str(one.message) for one in caught]


def state_of(model):
    """Return everything that an attack and an evaluation leave as they find it."""
    if any(is_lazy(weight) or weight.is_meta for weight in model.parameters()):
        return None
    values = {name: value.tolist() for name, value in model.state_dict().items()}
    parameters = [(p.requires_grad, p.grad) for p in model.parameters()]
    return values, parameters, [part.training for part in model.modules()]


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """Return the result of a clean twin at an entry; each is computed once."""

    @cache
    def result(twin, name):
        return run(twin(), ENTRIES[name], tmp_path_factory.mktemp("twin"))[0]

    return result


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Return a folder whose test split holds the images."""
    root = tmp_path_factory.mktemp("photos")
    images, labels = task()
    for split, turned in (("test", images), ("train", images.flip(2)), ("val", images.flip(3))):
        for number, (image, label) in enumerate(zip(turned, labels, strict=True)):
            file = root / split / "abc"[label] / f"{number:02}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(file)
    return root


def named(rows):
    return [pytest.param(row, id=row.model.__name__) for row in rows]


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize("row", named(ROWS))
def test_the_entry_does_what_the_table_says(row, name, twins, tmp_path):
    outcome: Outcome = getattr(row, name)
    if outcome.error:
        with pytest.raises(getattr(rampart.errors, outcome.error), match=outcome.says):
            run(row.model(), ENTRIES[name], tmp_path)
        return
    result, warned = run(row.model(), ENTRIES[name], tmp_path)
    if outcome.twin:
        compare(result, twins(row.twin, name), outcome)
    if name == "loss":
        assert np.isnan(result[0]) == outcome.nan
    if name == "evaluation":
        clean = verdicts(twins(row.twin, name)) if outcome.twin else {}
        found = verdicts(result)
        # Checks that make no sense after the reported one are skipped.
        skipped = {
            check: "skipped" for check in found if outcome.checks and found[check] == "skipped"
        }
        assert {**clean, **skipped, **outcome.reported}.items() <= found.items()
    else:
        assert bool(warned) == outcome.warns, warned
        assert all(re.search(outcome.says, text) for text in warned)


@pytest.mark.parametrize("row", named(ROWS))
def test_the_command_does_the_same(row, photos, tmp_path, monkeypatch, capsys):
    outcome, reference = row.named or row.evaluation, f"{models.__file__}:{row.model.__name__}"
    settings = [f"data={photos}", f"data.image_size={models.SIDE}", f"threat.eps={EPS}"]
    settings += [f"evaluation.strengths=[{EPS / 4},{EPS}]", "evaluation.attack.steps=3"]
    call = ["rampart", "evaluate", reference, *settings, "-o", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", call)
    try:
        status = cli.main()
    except SystemExit as stop:
        status = stop.code
    said = capsys.readouterr()
    if outcome.error:
        assert status == 2
        assert re.search(outcome.says, said.err)
        return
    assert not status, said.err
    found = load_record(tmp_path)
    for check, verdict in outcome.reported.items():
        assert verdicts(found)[check] == verdict
        assert f"{verdict} {check}" in said.out
    if outcome.twin:
        own, _ = run(row.model(), evaluate, None)
        np.testing.assert_array_equal(numbers(found), numbers(own))
        assert verdicts(found) == verdicts(own)


@pytest.mark.parametrize("row", named(row for row in ROWS if row.attack.square))
def test_square_needs_no_gradient(row):
    method = rampart.Square(queries=10)
    np.testing.assert_array_equal(_attack(row.model(), method), _attack(row.twin(), method))
    found, twin = (evaluate(model(), None, "square", queries=10) for model in (row.model, row.twin))
    np.testing.assert_array_equal(numbers(found), numbers(twin))


def test_the_table_of_the_guide_is_that_of_the_rows():
    text = GUIDE.read_text(encoding="utf-8")
    assert table() in text, "run `python -m tests.contracts.model_behaviors`"
    assert with_table(text, table(), START, END) == text
    stale = text.replace(f"| {ROWS[1].text} |", "| another row |")
    assert stale != text
    assert with_table(stale, table(), START, END) == text
