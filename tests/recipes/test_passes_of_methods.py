"""The passes of methods that consist of an objective and a strategy, as training counts them."""

import pytest

from rampart.attacks.pgd import Pgd
from rampart.objectives.adversarial import Adversarial, Trades
from rampart.objectives.autolora import AutoLora
from rampart.objectives.drawn import Drawn
from rampart.objectives.mart import Mart
from rampart.recipes.passes import step_passes


def test_a_drawn_defense_costs_the_mean_of_the_defenses():
    attack = Pgd(steps=2)
    each = [step_passes(one, attack, True) for one in (Adversarial(), Trades(), Mart())]
    assert len(set(each)) == 3
    assert step_passes(Drawn(), attack, True) == pytest.approx(sum(each) / 3)
    assert step_passes(Drawn(), attack, False) == 2


def test_autolora_passes_clean_and_perturbed_images():
    pytest.importorskip("peft")
    attack = Pgd(steps=2)
    assert step_passes(AutoLora(), attack, True) == step_passes(Adversarial(), attack, True) + 2
    assert step_passes(AutoLora(), attack, False) == 4
