"""Every entry reads the same outputs and refuses the same ones, in the same words."""

from collections import namedtuple
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

import rampart
from rampart.data.batches import Batch
from rampart.errors import ModelError, RampartWarning
from rampart.evaluation.accuracy import evaluate_accuracy
from rampart.evaluation.checks.model_checks import check_model
from rampart.evaluation.critical import critical_strengths
from rampart.models.external.exported import Exported
from rampart.models.external.loaded import callable_model
from rampart.runtime import Noise, scoped_seed
from rampart.units import Horizon

BYTES, *OTHERS = (255 * Noise.of(0, torch.arange(36), "images").uniform(3, 8, 8)).byte().split(12)
IMAGES, LABELS = BYTES / 255, torch.arange(12) % 2
BATCH = Batch(BYTES, LABELS, torch.arange(12))
EPS = 4 / 255


class Outputs(nn.Module):
    """A linear classifier of two classes; `wrap` makes its output from the logits."""

    def __init__(self, wrap=lambda logits: logits, in_eval=True):
        super().__init__()
        with scoped_seed(0):
            self.linear = nn.Linear(192, 2)
        self.wrap, self.in_eval = wrap, in_eval

    def forward(self, images):
        logits = self.linear(images.flatten(1))
        return self.wrap(logits) if self.in_eval or self.training else logits


def robust_loss(model):
    robust = rampart.RobustLoss(
        model, EPS, Horizon(1, 1), schedule=rampart.Fix(), attack=rampart.Apgd(steps=2)
    )
    return robust(IMAGES, LABELS)


def finetune(model):
    attack = rampart.Apgd(steps=2)
    run = rampart.finetune(
        model,
        tuple(TensorDataset(images, LABELS) for images in (BYTES, *OTHERS)),
        EPS,
        epochs=2,
        batch_size=4,
        schedule="two-hinge",
        attack=attack,
        evaluation={"attack": attack, "checks": False},
        monitors=False,
        progress=False,
    )
    return torch.cat([weights.flatten() for weights in run.model.parameters()])


def evaluate(model):
    data = TensorDataset(BYTES, LABELS)
    found = rampart.evaluate(model, data, EPS, rampart.Apgd(steps=2), checks=False)
    return torch.tensor(found.curve()[1])


def critical(model):
    found = critical_strengths(model, [BATCH], rampart.Apgd(steps=2), [0.0, EPS], seed=0)
    return torch.from_numpy(found.critical)


ENTRIES = {
    "attack": lambda model: rampart.Apgd(steps=2)(model, IMAGES, LABELS, EPS),
    "square": lambda model: rampart.Square(queries=3)(model, IMAGES, LABELS, EPS),
    "critical strengths": critical,
    "validation": lambda model: torch.tensor(
        evaluate_accuracy(model, [BATCH], rampart.Apgd(steps=2), EPS).robust_loss
    ),
    "checks": lambda model: torch.tensor(
        [v.value or 0 for v in check_model(model, IMAGES, LABELS, norm="linf", eps=EPS, seed=0)]
    ),
    "loss": robust_loss,
    "evaluate": evaluate,
    "finetune": finetune,
    "callable": lambda model: callable_model(model, input_size=(3, 8, 8)).model(IMAGES),
    "exported": lambda model: Exported(model, torch.float32, 1, None)(IMAGES),
}
READ = {
    "tuple of one": lambda logits: (logits,),
    "list of one": lambda logits: [logits],
    "hugging face": lambda logits: {"loss": None, "logits": logits},
    "object": lambda logits: SimpleNamespace(logits=logits),
    "auxiliary": lambda logits: namedtuple("GoogLeNetOutputs", ["logits", "aux"])(logits, -logits),
}
REFUSED = {
    "one logit": (lambda logits: logits[:, :1], r"torch.cat\(\[torch.zeros_like\(z\), z\], 1\)"),
    "one logit in a row": (lambda logits: logits[:, 0], r"torch.cat\(\[torch.zeros_like\(z\), z\]"),
    "tuple of two": (lambda logits: (logits, logits), "returns a tuple of 2 parts"),
    "dictionary": (lambda logits: {"out": logits}, "returns a dict of out"),
    "classes": (lambda logits: logits.argsort(), "numbers of type int64"),
    "too few": (lambda logits: logits[:-1], "one row for each image"),
    "three dimensions": (lambda logits: logits[:, :, None], "one row for each image"),
    "nothing": (lambda logits: None, "returns a NoneType"),
}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("form", READ)
def test_the_main_logits_are_read_by_every_entry(entry, form):
    ask = ENTRIES[entry]
    assert torch.equal(ask(Outputs(READ[form])), ask(Outputs()))


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("form", REFUSED)
def test_other_outputs_are_refused_by_every_entry_in_the_same_words(entry, form):
    wrap, message = REFUSED[form]
    with pytest.raises(ModelError, match=r"the model returns .*expected logits") as error:
        ENTRIES[entry](Outputs(wrap))
    assert error.match(message)


@pytest.mark.parametrize("entry", ["loss", "finetune"])
def test_auxiliary_outputs_in_train_mode_only_are_left_out(entry):
    ask = ENTRIES[entry]
    assert torch.equal(ask(Outputs(READ["auxiliary"], in_eval=False)), ask(Outputs()))


@pytest.mark.parametrize("entry", ["loss", "finetune"])
def test_a_tuple_in_train_mode_only_is_refused(entry):
    with pytest.raises(ModelError, match="returns a tuple of 2 parts"):
        ENTRIES[entry](Outputs(lambda logits: (logits, logits), in_eval=False))


def test_later_batches_are_read_too():
    calls = iter([True, False])

    def sometimes(logits):
        return logits if next(calls) else logits[:, :1]

    with pytest.raises(ModelError, match="one logit"):
        critical_strengths(Outputs(sometimes), [BATCH, BATCH], rampart.Apgd(steps=2), [0.0], seed=0)


def test_a_model_whose_logits_are_nan_is_not_unbreakable():
    """The argmax of NaN is class 0, so images of class 0 would be robust at every strength."""
    dark = BYTES // 4
    dark[4] = 255 - dark[4]

    class Overflowing(Outputs):
        def forward(self, images):
            logits = super().forward(images)
            return logits.masked_fill(images.mean((1, 2, 3))[:, None] > 0.5, torch.nan)

    labels = Outputs()(dark / 255).argmax(1)
    labels[4] = 0
    with pytest.warns(RampartWarning) as caught:
        found = rampart.evaluate(Overflowing(), (dark, labels), EPS, rampart.Apgd(steps=2))
    assert found.predictions[4] == -1
    assert found.critical[4] == 0
    assert found.curve()[1][0] == 11 / 12
    (counted,) = (str(one.message) for one in caught if "finite:" in str(one.message))
    assert "1 clean image and 0 adversarial examples of 12" in counted
    assert found.ids[4] in counted
    assert found.checks == "fail"
