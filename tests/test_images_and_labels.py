"""One check and one conversion for the images and labels of every entry."""

import pytest
import torch

from rampart.attacks.base import Attack
from rampart.attacks.catalogue import ATTACKS
from rampart.data.batches import Batch
from rampart.errors import InvalidArgument
from rampart.evaluation.accuracy import evaluate_accuracy
from rampart.evaluation.critical import critical_strengths
from rampart.images_and_labels import as_labels, check_batch, fit_labels, require_classes
from rampart.integrations.robust import RobustLoss
from rampart.schedules.hinge import Fix
from rampart.units import Horizon

KINDS = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]
#: Labels of a batch of four images that are no classes of a model of three.
BAD = [(0, 1, 2, 3), (0, 1, 2, -1), (-100, 0, 1, 2)]


def images():
    return torch.rand(4, 3, 4, 4, generator=torch.Generator().manual_seed(0))


def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3))


def batches(*labels):
    pixels = (255 * images()).round().to(torch.uint8)
    return [Batch(pixels, y, torch.arange(4)) for y in labels]


def loss_of(network):
    return RobustLoss(network, "8/255", Horizon(1, 9), schedule=Fix())


def attack_each(attack):
    eps = {"linf": 0.1, "l1": 1.5}[attack.norm]
    return lambda labels: [attack(model(), images(), y, eps) for y in labels]


#: Attacks with options that make them fast.
FAST = {
    "fgsm": {},
    "pgd": {"steps": 2},
    "apgd": {"steps": 2},
    "fab": {"steps": 2},
    "square": {"queries": 3},
    "short": {"steps": 2},
}
#: Every entry that takes batches of labels, as a function of the labels of its batches.
ENTRIES = {
    **{
        f"{name} {norm}": attack_each(ATTACKS.build(name, {"norm": norm, **options}))
        for name, options in FAST.items()
        for norm in ("linf", "l1")
    },
    "fab, untargeted": attack_each(ATTACKS.build("fab", {"targets": 0, "steps": 2})),
    "clean logits": attack_each(ATTACKS.build("pgd", {"loss": "kl", "steps": 2})),
    "engine": lambda labels: critical_strengths(
        model(), batches(*labels), ATTACKS.build("apgd", {"steps": 3}), (0, 0.1), 0
    ),
    "an attack without stages": lambda labels: critical_strengths(
        model(), batches(*labels), ATTACKS.build("fgsm"), (0, 0.1), 0
    ),
    "clean accuracy": lambda labels: evaluate_accuracy(model(), batches(*labels)),
    "accuracy": lambda labels: evaluate_accuracy(
        model(), batches(*labels), ATTACKS.build("pgd", {"steps": 2}), 0.1
    ),
    "loss": lambda labels: list(map(loss_of(model()).__call__, [images()] * 9, labels)),
    "validation": lambda labels: list(map(loss_of(model()).perturbed, [images()] * 9, labels)),
}


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize("bad", BAD)
def test_labels_that_are_no_classes_are_refused_at_every_batch(name, bad):
    good = torch.tensor([0, 1, 2, 0])
    ENTRIES[name]([good, good])
    for labels in ([torch.tensor(bad)], [good, torch.tensor(bad)]):
        with pytest.raises(InvalidArgument, match=r"^(labels|targets)=(-1|-100|3): expected"):
            ENTRIES[name](labels)


@pytest.mark.parametrize("kind", KINDS)
def test_integers_of_every_size_are_labels(kind):
    labels = torch.tensor([0, 1, 2, 0])
    for name in ("apgd", "fab", "square"):
        attack: Attack = ATTACKS.build(name, FAST[name])
        expected = attack(model(), images(), labels, 0.1)
        assert torch.equal(attack(model(), images(), labels.to(kind), 0.1), expected)
    assert loss_of(model())(images(), labels.to(kind)) == loss_of(model())(images(), labels)
    found = evaluate_accuracy(model(), batches(labels.to(kind)))
    assert found == evaluate_accuracy(model(), batches(labels))
    attack = ATTACKS.build("apgd", FAST["apgd"])
    results = [
        critical_strengths(model(), batches(y), attack, (0, 0.1), 0)
        for y in (labels, labels.to(kind))
    ]
    assert results[0].critical.tolist() == results[1].critical.tolist()


@pytest.mark.parametrize("labels", [torch.zeros(4), torch.zeros(4, dtype=torch.bool)])
def test_other_numbers_are_no_labels(labels):
    assert as_labels(labels, images()) is labels
    with pytest.raises(InvalidArgument, match="targets"):
        ATTACKS.build("apgd")(model(), images(), labels, 0.1)
    with pytest.raises(InvalidArgument, match="labels"):
        loss_of(model())(images(), labels)
    with pytest.raises(InvalidArgument, match="labels"):
        fit_labels(labels, torch.zeros(4, 3))


def test_a_check_reads_the_device_once(monkeypatch):
    """A GPU waits at every read."""
    reads = []
    for name in ("item", "tolist", "__int__", "__float__", "__bool__"):
        own = getattr(torch.Tensor, name)
        monkeypatch.setattr(
            torch.Tensor, name, lambda self, own=own: (reads.append(self), own(self))[1]
        )
    seen = check_batch(images(), torch.tensor([0, 1, 6]), others=[torch.tensor(0.25)])
    assert len(reads) == 1
    assert seen.classes == 7
    assert seen.others == (0.25,)


def test_an_empty_batch_needs_no_class():
    assert check_batch(images()[:0], torch.zeros(0, dtype=torch.int64)).classes == 0
    require_classes(3, 3)
    with pytest.raises(InvalidArgument, match="labels=3: expected 0 to 2"):
        require_classes(4, 3)


@pytest.mark.parametrize("kind", [torch.int32, torch.uint8, torch.float8_e4m3fn])
def test_pixels_of_other_types_are_refused(kind):
    with pytest.raises(InvalidArgument, match="images="):
        check_batch(images().to(kind))
