import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from rampart.attacks.pgd import Fgsm, Pgd
from rampart.errors import InvalidArgument
from rampart.evaluation.accuracy import (
    Accuracy,
    accuracy_in_turn,
    evaluate_accuracy,
    merge_accuracy,
)
from rampart.metrics.curve import accuracy_curve

EPS = 8 / 255


def test_clean_figures_equal_their_definition(task):
    found = evaluate_accuracy(task.model, task.batches(16))
    logits = task.model(task.images.float() / 255)
    assert found.n == 60
    assert found.clean == pytest.approx((logits.argmax(1) == task.labels).float().mean().item())
    assert found.clean_loss == pytest.approx(cross_entropy(logits, task.labels).item(), rel=1e-5)
    assert (found.robust, found.robust_loss) == (None, None)
    assert found.figures().keys() == {"val_clean", "val_clean_loss"}


def test_robust_accuracy_equals_the_closed_form(task):
    found = evaluate_accuracy(task.model, task.batches(16), Pgd(), EPS)
    expected = accuracy_curve(task.critical((0.0, EPS), "linf"), 1)
    assert (found.clean, found.robust) == pytest.approx(tuple(expected))
    assert found.robust < found.clean
    assert found.robust_loss > found.clean_loss
    assert list(found.figures()) == ["val_clean", "val_robust", "val_clean_loss", "val_robust_loss"]


def test_attacks_in_turn_leave_what_withstands_all_of_them(task):
    attacks, several = (Fgsm(start="none"), Pgd()), [task.batches(16), task.batches(60)]
    alone = [evaluate_accuracy(task.model, task.batches(16), one, EPS) for one in attacks]
    found, passes = accuracy_in_turn(task.model, several[0], attacks, EPS)
    # The model is linear, so PGD fools all that a single step fools.
    assert found == pytest.approx([alone[0].robust, alone[1].robust])
    assert found[0] < alone[0].clean
    assert passes < sum(one.passes for one in alone)
    assert accuracy_in_turn(task.model, several[1], attacks, EPS) == (found, passes)
    back, _ = accuracy_in_turn(task.model, task.batches(16), attacks[::-1], EPS)
    assert back == pytest.approx([alone[1].robust] * 2), "a weaker attack adds nothing"


def test_attacks_in_turn_need_no_image_that_withstands(task):
    strong = Pgd(), Pgd()
    assert accuracy_in_turn(task.model, task.batches(16), strong, 0.9)[0] == [0, 0]


def test_the_attack_runs_in_eval_mode(task):
    """An attack on batch statistics would be weaker in eval mode."""
    norm = nn.BatchNorm2d(task.images.shape[1])
    model = nn.Sequential(norm, task.model)
    norm.running_mean.fill_(0.3)
    norm.running_var.fill_(0.2)
    found = [
        evaluate_accuracy(model.train(), task.batches(16), Pgd(mode=mode), EPS)
        for mode in ("eval", "train")
    ]
    assert found[0] == found[1]
    modes = set()
    norm.register_forward_hook(lambda norm, *_: modes.add(norm.training))
    accuracy_in_turn(model.train(), task.batches(16), [Pgd(mode="train")], EPS)
    assert modes == {False}


def test_an_attack_at_eps_zero_gives_the_clean_figures(task):
    found = evaluate_accuracy(task.model, task.batches(16), Pgd(), 0.0)
    assert (found.robust, found.robust_loss) == (found.clean, found.clean_loss)


def test_a_sample_misclassified_when_clean_is_not_robust(task):
    class Correcting(Fgsm):
        def _run(self, problem):
            return problem.images + torch.where(problem.images > 0.5, -0.5, 0.5)

    found = evaluate_accuracy(task.model, task.batches(16), Correcting(), 1.0)
    assert found.robust <= found.clean


def test_batch_size_and_processes_do_not_change_the_accuracy(task):
    whole = evaluate_accuracy(task.model, task.batches(60), Pgd(), EPS, seed=1)
    small = evaluate_accuracy(task.model, task.batches(7), Pgd(), EPS, seed=1)
    rows = torch.arange(60)
    fractions = [
        evaluate_accuracy(task.model, task.batches(8, part), Pgd(), EPS, seed=1)
        for part in (rows[:13], rows[13:], rows[:0])
    ]
    for other in (small, merge_accuracy(fractions)):
        assert other.n == whole.n
        assert other.figures() == pytest.approx(whole.figures(), rel=1e-6)


def test_merging_clean_figures_gives_no_robust_ones():
    merged = merge_accuracy([Accuracy(1, 1.0, None, 0.0, None), Accuracy(3, 0.0, None, 2.0, None)])
    assert merged == Accuracy(4, 0.25, None, 1.5, None)


def test_the_model_is_restored(task):
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(16, 2)).train()
    mean = model[0].running_mean.clone()
    first = evaluate_accuracy(model, task.batches(16), Pgd(steps=2), EPS)
    assert model.training
    assert model[2].training
    assert torch.equal(model[0].running_mean, mean)
    assert first == evaluate_accuracy(model.eval(), task.batches(16), Pgd(steps=2), EPS)


def test_accuracy_is_in_single_precision_under_autocast(task):
    plain = evaluate_accuracy(task.model, task.batches(16))
    with torch.autocast("cpu", torch.bfloat16):
        assert evaluate_accuracy(task.model, task.batches(16)) == plain


def test_a_strength_without_an_attack_is_refused(task):
    with pytest.raises(InvalidArgument, match="attack=None"):
        evaluate_accuracy(task.model, task.batches(16), None, EPS)


def test_an_empty_data_set_is_refused():
    nothing = evaluate_accuracy(nn.Flatten(), [])
    assert math.isnan(nothing.clean)
    with pytest.raises(InvalidArgument, match="no images"):
        merge_accuracy([nothing])
