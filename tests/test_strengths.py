"""The usual strengths of each norm, and slips at every door of the library."""

import doctest
import warnings

import pytest
import torch
from torch import nn

import rampart
from rampart import strengths
from rampart.attacks.apgd import Apgd
from rampart.cli.overrides import ordered
from rampart.errors import InvalidArgument, RampartWarning
from rampart.integrations.robust import RobustLoss
from rampart.recipes.config.loading import change_config, load_config
from rampart.strengths import find_slip, usual_strengths
from rampart.units import NORMS, Horizon, parse_eps

#: Published strengths: norm, shape of the images, strength.
PUBLISHED = [
    ("linf", (3, 32, 32), 8 / 255),
    ("linf", (3, 224, 224), 1 / 255),
    ("linf", (3, 224, 224), 16 / 255),
    ("l2", (3, 32, 32), 0.25),
    ("l2", (3, 32, 32), 0.5),
    ("l2", (1, 28, 28), 2.0),
    ("l2", (3, 224, 224), 0.5),
    ("l2", (3, 224, 224), 2.0),
    ("l2", (3, 224, 224), 3.0),
    ("l1", (3, 32, 32), 12.0),
    ("l1", (3, 224, 224), 75.0),
    ("l1", (3, 224, 224), 255.0),
]


@pytest.mark.parametrize(("norm", "shape", "eps"), PUBLISHED)
def test_published_strengths_are_usual_and_no_slips(norm, shape, eps):
    usual = usual_strengths(norm, shape)
    assert usual.low <= eps <= usual.high
    assert not find_slip(eps, norm, shape)


@pytest.mark.parametrize("norm", NORMS)
def test_ranges_grow_with_the_side_of_the_image_but_under_linf(norm):
    small, large = (usual_strengths(norm, (3, side, side)) for side in (32, 224))
    factor = 1 if norm == "linf" else 7
    assert (large.low, large.usual, large.high) == pytest.approx(
        (factor * small.low, factor * small.usual, factor * small.high)
    )


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_a_linf_strength_under_another_norm_is_a_slip(norm):
    assert "linf?" in find_slip("8/255", norm, (3, 32, 32))
    assert not find_slip(0, norm, (3, 32, 32))


def test_a_large_decimal_is_taken_for_gray_levels():
    assert "did you mean 0.4/255?" in find_slip(0.4, "linf")
    assert not find_slip(0.3, "linf")
    assert not find_slip("128/255", "linf")


@pytest.mark.parametrize("levels", [1, 4, 8, 64])
def test_a_strength_that_is_divided_twice_is_questioned(levels):
    assert f"did you mean {levels}/255," in find_slip(levels / 255 / 255, "linf")


def test_a_strength_of_a_ramp_may_be_as_small():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for levels in (1, 4):
            attack_once(levels / 255 / 255, "linf")
    with pytest.warns(RampartWarning, match="divided by 255 once"):
        evaluate(4 / 255 / 255, "linf")


@pytest.mark.parametrize("eps", [0.4, 0.5, 1.0, 4 / 255 / 255])
def test_the_strength_in_a_question_is_accepted_as_it_stands(eps):
    meant = find_slip(eps, "linf").partition("did you mean ")[2].rstrip("?").split(",")[0]
    assert not find_slip(parse_eps(meant), "linf")


@pytest.mark.parametrize("text", ["8/256", " 8 / 256"])
def test_a_fraction_of_256_is_refused(text):
    with pytest.raises(InvalidArgument, match="you mean 8/255"):
        parse_eps(text)


def model():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 2))


IMAGES = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 0, 1])


def attack_once(eps, norm):
    Apgd(steps=1, norm=norm)(model(), IMAGES, LABELS, eps, 0)


def robust_loss(eps, norm):
    attack = Apgd(steps=1, norm=norm)
    RobustLoss(model(), eps, Horizon(1, 100), schedule=rampart.Fix(), attack=attack)(IMAGES, LABELS)


def evaluate(eps, norm):
    rampart.evaluate(model(), (IMAGES, LABELS), eps, "apgd", norm, checks=False)


DOORS = {"attack": attack_once, "RobustLoss": robust_loss, "evaluate": evaluate}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("eps", "norm"), [(0.4, "linf"), ("8/255", "l2"), (8 / 255, "l1")])
def test_every_door_questions_a_slip(door, eps, norm):
    with pytest.warns(RampartWarning, match="eps="):
        DOORS[door](eps, norm)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("eps", "norm"), [("8/255", "linf"), (0.5, "l2"), (12, "l1")])
def test_no_door_questions_a_usual_strength(door, eps, norm):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DOORS[door](eps, norm)


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_no_strength_is_taken_over_from_another_norm(norm):
    run = load_config(None, ["model=resnet18", "data=photos", "threat.eps=8/255"])
    for overrides in ([f"threat.norm={norm}"], [f"threat={{norm: {norm}}}"]):
        with pytest.raises(InvalidArgument, match="threat.eps="):
            change_config(run, overrides)
    # On a command line the order carries no meaning.
    orders = (["threat.eps=3", f"threat.norm={norm}"], [f"threat.norm={norm}", "threat.eps=3"])
    assert [change_config(run, ordered(one)).threat.eps for one in orders] == [3, 3]
    with pytest.raises(InvalidArgument, match="^eps="):
        rampart.evaluate(model(), (IMAGES, LABELS), norm=norm)
    with pytest.raises(InvalidArgument, match="^eps="):
        rampart.finetune("resnet18", "photos", norm=norm)


def test_the_same_norm_keeps_its_strength():
    run = load_config(None, ["model=resnet18", "data=photos", "threat={norm: l2, eps: 3}"])
    assert change_config(run, ["threat.norm=l2"]).threat.eps == 3


def test_the_example_runs():
    result = doctest.testmod(strengths)
    assert result.attempted
    assert not result.failed
