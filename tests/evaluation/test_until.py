import numpy as np
import pytest
import torch

from rampart.data.splits import Split
from rampart.data.subset import drawing_order, numbers_of
from rampart.evaluation.results import COLUMNS, Results
from rampart.evaluation.until import evaluate_until
from rampart.evaluation.whole import Evaluation
from rampart.metrics.sequential import Until

N = 500
LABELS = np.arange(N) % 3
SPLIT = Split.of_tensors(torch.zeros(N, 1, 2, 2), torch.from_numpy(LABELS))
#: Contributions: zeros and ones.
VALUES = (np.random.default_rng(0).random(N) < 0.2).astype(float)
ORDER = drawing_order(SPLIT, stratified=True)


class Attacks:
    """A stand-in for the evaluation that remembers which images it attacked."""

    def __init__(self):
        self.attacked, self.calls = [], []

    def __call__(self, part):
        numbers = numbers_of(part)
        new = np.setdiff1d(numbers, self.attacked)
        self.attacked += new.tolist()
        self.calls.append(len(part))
        columns = {name: np.zeros(len(part), kind) for name, kind in COLUMNS.items()}
        # All are misclassified without an attack.
        own = {"indices": numbers, "predictions": columns["labels"] + 1}
        own["attacked_predictions"] = own["predictions"]
        own |= {name: np.full(len(part), -1) for name in ("stage", "run")}
        own["distance"] = np.full(len(part), np.nan)
        return Evaluation(Results(**{**columns, **own}), None, 1.0, len(part) - len(new))


def until(attacks, half_width, **options):
    def contributions(results):
        return VALUES[results.indices]

    rule = Until(half_width)
    return evaluate_until(attacks, SPLIT, ORDER, contributions, rule, **options)


def test_the_first_images_of_the_order_are_evaluated_until_the_interval_is_narrow():
    attacks = Attacks()
    reached = until(attacks, 0.06)
    n = Until(0.06).stop(VALUES[ORDER])
    assert sorted(numbers_of(reached.part)) == sorted(ORDER[:n])
    assert reached.evaluation.results.indices.tolist() == sorted(ORDER[:n])
    figures = reached.figures
    assert (figures["reached"], figures["images"], figures["available"]) == (True, n, N)
    assert figures["expected"] == pytest.approx(VALUES[ORDER[:n]].mean())
    assert figures["high"] - figures["low"] <= 0.12
    # Most looks are passed over, and the time of all calls counts.
    assert 1 < len(attacks.calls) < figures["looks"]
    assert reached.evaluation.seconds == len(attacks.calls)
    assert reached.evaluation.resumed == 0


def test_more_precision_goes_on_from_the_images_that_were_attacked():
    attacks = Attacks()
    first = len(until(attacks, 0.08).part)
    again = until(attacks, 0.06, at_least=first)
    assert again.figures == until(Attacks(), 0.06).figures
    assert len(attacks.attacked) == len(set(attacks.attacked))
    assert again.evaluation.resumed == first


def test_the_figures_say_that_the_images_did_not_suffice():
    figures = until(Attacks(), 0.01).figures
    assert (figures["reached"], figures["images"]) == (False, N)


def test_no_image_of_the_record_is_given_up():
    attacks = Attacks()
    assert len(until(attacks, 0.2, at_least=300).part) >= 300
