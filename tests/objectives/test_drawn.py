"""A defense for each step: the draw, its options and what is refused."""

import pytest
import torch
from torch import nn

from rampart import Horizon, RobustLoss
from rampart.attacks.pgd import Pgd
from rampart.errors import InvalidArgument, ModelError, UnknownName
from rampart.objectives.catalogue import OBJECTIVES
from rampart.objectives.drawn import Drawn
from rampart.objectives.mart import Mart
from rampart.schedules.hinge import Fix


def test_the_defense_follows_seed_and_step():
    one, other = Drawn(), Drawn()
    draws = [one.draw(0, step) for step in range(300)]
    assert draws == [other.draw(0, step) for step in range(300)]
    assert draws != [other.draw(1, step) for step in range(300)]
    assert all(70 < draws.count(defense) < 130 for defense in range(3))


def test_options_of_a_defense_and_the_common_smoothing():
    drawn = Drawn(0.1, defenses=({"name": "trades", "beta": 6}, "mart"))
    trades, mart = drawn.variants
    assert (trades.beta, trades.label_smoothing) == (6, 0.1)
    assert mart == Mart(0.1)


def test_a_recorded_configuration_states_every_option():
    dumped = OBJECTIVES.dump(OBJECTIVES.build("drawn", {"defenses": "adversarial, mart"}))
    assert dumped["defenses"][1] == {"name": "mart", "label_smoothing": 0.0, "beta": 5.0}
    built = OBJECTIVES.build("drawn", {"defenses": list(dumped["defenses"])})
    assert OBJECTIVES.dump(built) == dumped
    assert hash(built) == hash(OBJECTIVES.build("drawn", {"defenses": list(dumped["defenses"])}))


def test_every_defense_is_bound():
    model = nn.Linear(2, 2)
    assert Drawn().bind(model).variants == Drawn().variants


def test_the_attack_has_to_serve_every_defense():
    assert Drawn().chooses_loss
    with pytest.raises(InvalidArgument, match="attack.start"):
        Drawn().check_attack(Pgd(start="none"))
    Drawn(defenses=("adversarial", "mart")).check_attack(Pgd(start="none"))


@pytest.mark.parametrize(
    ("defenses", "message"),
    [
        (["mart"], "two defenses or more"),
        (["mart", "mart"], "each name once"),
        (["mart", "standard"], "standard"),
        (["mart", {"beta": 6}], "a name"),
    ],
)
def test_impossible_defenses(defenses, message):
    with pytest.raises(InvalidArgument, match=message):
        OBJECTIVES.build("drawn", {"defenses": defenses})


ALONE = ("adversarial", "trades", "mart")


@pytest.mark.parametrize("name", [name for name in OBJECTIVES.names() if name not in ALONE])
def test_a_defense_that_needs_more_than_the_model_and_the_batch_is_refused(name):
    with pytest.raises(InvalidArgument, match=f"defenses={name}"):
        Drawn(defenses=("mart", name))


@pytest.mark.parametrize("flag", ["needs_guidance", "remembers", "anchors", "needs_batch_norm"])
def test_an_own_defense_that_says_so_is_refused(flag, monkeypatch):
    monkeypatch.setattr(Mart, flag, True)
    with pytest.raises(InvalidArgument, match="defenses=mart"):
        Drawn()


def test_unknown_names_and_options():
    with pytest.raises(UnknownName, match="mart"):
        Drawn(defenses=("adversarial", "mrat"))
    with pytest.raises(UnknownName, match="beta"):
        Drawn(defenses=("adversarial", {"name": "trades", "bta": 1}))


def test_the_loss_of_no_step_is_refused():
    with pytest.raises(ModelError, match="draw"):
        Drawn()(nn.Linear(2, 2), torch.zeros(1, 2), torch.tensor([0]), None)


def test_a_loop_of_its_own_draws_by_its_steps():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    attack = Pgd(steps=1)
    robust = RobustLoss(
        model, 0.1, Horizon(1, 30), schedule=Fix(), objective=Drawn(), attack=attack, seed=5
    )
    images, labels, found, expected = torch.rand(4, 3, 2, 2), torch.tensor([0, 1, 2, 0]), [], []
    for step in range(8):
        objective = Drawn().variants[Drawn().draw(5, step)]
        alone = RobustLoss(
            model, 0.1, Horizon(1, 30), schedule=Fix(), objective=objective, attack=attack, seed=5
        )
        alone.scheduler.steps_done = step
        found.append(robust(images, labels).item())
        expected.append(alone(images, labels).item())
        robust.step()
    assert found == expected
    assert len({Drawn().draw(5, step) for step in range(8)}) == 3
