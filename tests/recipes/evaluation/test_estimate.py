"""The cost that is announced before an evaluation, against the passes that it takes."""

import pytest
from evaluating import evaluate

from rampart.progress.lines import Lines
from rampart.progress.work import showing
from rampart.recipes.config.loading import load_config
from rampart.recipes.evaluation import estimate as module
from rampart.recipes.evaluation.estimate import Timing
from rampart.recipes.passes import cost_of_steps

#: The default strengths, k/255.
ALL = ("evaluation.strengths=[]", "evaluation.checks=false")


@pytest.fixture
def announced(network, tmp_path, monkeypatch):
    """Evaluate; return the record, the estimates and the sentences that a display was shown."""
    monkeypatch.setattr(module, "WORTH", 0.0)

    def call(*settings, **changes):
        made, said, plain = [], [], module.estimate

        def keep(*arguments):
            made.append(plain(*arguments))
            return made[-1]

        monkeypatch.setattr(module, "estimate", keep)
        with showing(Lines(said.append)):
            record = evaluate(network, tmp_path, *settings, **changes)
        return record, made, said

    return call


@pytest.mark.parametrize("eps", ["8/255", "120/255"], ids=["weak", "strong"])
def test_the_passes_lie_in_the_announced_range(announced, eps):
    """Of a model that withstands weak attacks, and hardly any strong one."""
    record, (made,), (said,) = announced(*ALL, f"threat.eps={eps}")
    low, high = made.passes
    assert low <= record.forwards.sum() + record.backwards.sum() <= high
    assert made.images == len(record)
    assert said == str(made)
    assert 0 < made.seconds[0] <= made.seconds[1]


def test_an_announcement_changes_no_result(announced, network, tmp_path):
    record, _, _ = announced(*ALL, "threat.eps=30/255")
    silent = evaluate(network, tmp_path, *ALL, "threat.eps=30/255", overwrite=True)
    assert (record.critical == silent.critical).all()
    assert record.metadata["rows"] == silent.metadata["rows"]


def test_the_sentence_says_what_it_is_based_on(announced):
    _, (made,), (said,) = announced(*ALL, "threat.eps=8/255")
    assert f"of which {made.basis.withstand} withstand a short attack at 1/255" in said
    assert f"estimated from {made.basis.images} images" in said


def test_a_short_evaluation_is_not_announced(network, tmp_path):
    said = []
    with showing(Lines(said.append)):
        evaluate(network, tmp_path, *ALL, "threat.eps=8/255")
    assert said == []


def test_nothing_is_timed_without_a_display(network, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "time_images", None)
    evaluate(network, tmp_path, *ALL, "threat.eps=8/255")


def test_without_gradients_the_range_starts_at_one_pass(announced, monkeypatch):
    timing = Timing(images=15, withstand=None, right=15, seconds=0.5)
    monkeypatch.setattr(module, "time_images", lambda subject: timing)
    record, (made,), (said,) = announced(*ALL, "threat.eps=8/255")
    assert made.passes[0] == len(record)
    assert made.seconds[0] == pytest.approx(0.5 * len(record))
    assert "of which 15 are classified correctly" in said


def test_steps_cost_what_the_schedule_makes_them_cost():
    """Two-hinge: clean up to a quarter, then under PGD, at 2 and at 2 * 5 + 2 passes."""
    pgd = ("attack=pgd", "attack.steps=5", "training.attack_steps=constant", "training.epochs=8")
    config = load_config(None, ["model=resnet18", "data=cars", "schedule=two-hinge", *pgd])
    cost = cost_of_steps(config, 800)
    first, rest = cost(190) / 190, (cost(800) - cost(300)) / 500
    assert rest / first == pytest.approx(12 / 2, rel=0.02)
    assert cost(0) == 0
