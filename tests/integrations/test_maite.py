"""Models, data and attacks in MAITE's protocols, against Rampart's own figures."""

import numpy as np
import pytest
import torch

from rampart.api.evaluate import evaluate
from rampart.attacks.pgd import Pgd
from rampart.data.splits import Split
from rampart.errors import DataError, InvalidArgument, UnknownName
from rampart.integrations.maite import (
    Accuracy,
    AttackedBatches,
    as_dataset,
    as_model,
    from_dataset,
    from_model,
)

NAMES = ["dark", "light"]


@pytest.fixture
def split():
    levels = np.linspace(0.2, 0.8, 12)
    images = torch.tensor(levels).float()[:, None, None, None].expand(-1, 3, 4, 4).clone()
    return Split.of_tensors(images, torch.tensor([int(one > 0.5) for one in levels]), NAMES)


def light(images):
    """Logits that tell dark from light; the margin is the distance from one half."""
    mean = images.mean((1, 2, 3))
    return torch.stack([0.5 - mean, mean - 0.5], 1)


def test_the_parts_have_the_methods_of_the_protocols(split):
    protocols = pytest.importorskip("maite.protocols.image_classification")
    assert isinstance(as_dataset(split), protocols.Dataset)
    assert isinstance(as_model(light, NAMES), protocols.Model)
    assert isinstance(Accuracy(), protocols.Metric)
    assert isinstance(AttackedBatches(Pgd(), light, "4/255"), protocols.Augmentation)


def test_a_datum_is_an_image_a_vector_and_a_name(split):
    data = as_dataset(split, "levels")
    image, target, about = data[-1]
    assert (image.shape, image.dtype, target.tolist()) == ((3, 4, 4), np.float32, [0, 1])
    assert image.max() == pytest.approx(0.8, abs=1 / 255)
    assert about == {"id": split.ids[-1]}
    assert data.metadata == {"id": "levels", "index2label": {0: "dark", 1: "light"}}
    with pytest.raises(IndexError):
        data[len(split)]


@pytest.mark.parametrize("batch_size", [5, 12])
def test_accuracy_under_attack_is_that_of_rampart(split, batch_size):
    tasks = pytest.importorskip("maite.tasks")
    attack = Pgd(steps=5, iterate="adversarial")
    found, _, _ = tasks.evaluate(
        model=as_model(light, NAMES),
        dataset=as_dataset(split),
        metric=Accuracy(),
        augmentation=AttackedBatches(attack, light, "40/255"),
        batch_size=batch_size,
    )
    own = evaluate(light, split, "40/255", attack=attack, strengths=["40/255"], checks=False)
    assert found["accuracy"] == own.curve().accuracy[-1]
    assert 0 < found["accuracy"] < 1
    assert (found["low"], found["high"]) == (own.curve().low[-1], own.curve().high[-1])


@pytest.mark.parametrize("outputs", ["logits", "probabilities"])
def test_a_model_and_data_of_maite_are_evaluated(split, outputs):
    def theirs(images):
        logits = light(torch.stack(list(images)))
        return list(logits if outputs == "logits" else logits.softmax(1))

    data = from_dataset(as_dataset(split))
    assert data.classes == NAMES
    settings = {"attack": "apgd", "strengths": ["20/255", "60/255"], "checks": False}
    found = evaluate(from_model(theirs, outputs), data, "60/255", **settings)
    own = evaluate(light, split, "60/255", **settings)
    assert found.critical.tolist() == own.critical.tolist()


def test_a_model_of_arrays_is_a_black_box(split):
    theirs = from_model(lambda images: [light(one[None])[0].numpy() for one in images], "logits")
    data = from_dataset(as_dataset(split))
    with pytest.raises(InvalidArgument, match="write evaluation.attack=square"):
        evaluate(theirs, data, "20/255", attack="apgd", checks=False)


def test_wrong_arguments_are_refused(split):
    with pytest.raises(UnknownName, match="outputs"):
        from_model(light, "scores")
    with pytest.raises(InvalidArgument, match="split"):
        as_dataset([1, 2])
    with pytest.raises(InvalidArgument, match="eps"):
        AttackedBatches(Pgd(), light, 4)
    with pytest.raises(DataError, match="no images"):
        Accuracy().compute()
    for target in ([[1.0]], [0.5, 0.5], 1.0):
        with pytest.raises(InvalidArgument, match="target"):
            Accuracy().update([[0.0, 1.0]], [target], [])
