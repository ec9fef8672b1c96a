"""The condition of a run, from its configuration."""

import pytest

from rampart.experiments.published.counterparts import counterparts
from rampart.experiments.published.recognizing import condition_of, spell_other_axes
from rampart.recipes.config.loading import parse_config

SWIN = "swin_base_patch4_window7_224.ms_in22k_ft_in1k"
BASE = {"model": SWIN, "data": "cars", "threat": {"eps": "4/255"}, "attack": {"steps": 7}}

EPOCHS = ["schedule=two-hinge", "schedule.unit=epoch"]


def condition(*settings, coordinates=None, method="m"):
    return condition_of(parse_config(BASE, settings), method, coordinates)


@pytest.mark.parametrize(
    ("settings", "schedule", "times"),
    [
        (["schedule=fix"], "fix", (0, 0)),
        (["schedule=two-hinge"], "two-hinge", (12.5, 37.5)),
        ([*EPOCHS, "schedule.start=5", "schedule.end=12"], "two-hinge", (5, 12)),
        ([*EPOCHS, "schedule.start=2", "schedule.end=5", "training.epochs=10"],
         "two-hinge", (10, 25)),
        (["schedule=linear-warmup", "schedule.end=0.6"], "two-hinge", (0, 30)),
        (["schedule=linear"], "two-hinge", (0, 50)),
        (["schedule=switch", "schedule.at=0.1"], "two-hinge", (5, 5)),
        (["schedule=auto"], "auto", (None, None)),
        (["schedule=uniform"], "uniform", (None, None)),
        (["schedule=standard"], "", (None, None)),
        (["schedule=adaptive"], "", (None, None)),
        (["schedule=fix", "schedule.value=0.5"], "", (None, None)),
        (["schedule=fix", "objective=trades"], "", (None, None)),
        (["schedule=fix", "threat.norm=l2", "threat.eps=0.5"], "", (None, None)),
        (["schedule=fix", "strategies=linear-probe"], "", (None, None)),
    ],
)  # fmt: skip
def test_the_schedule_of_the_publication(settings, schedule, times):
    found = condition(*settings)
    assert found.schedule == schedule
    assert (found.start, found.end) == pytest.approx(times, nan_ok=True)


def test_names_of_models_and_data_become_short_ones():
    found = condition("schedule=fix", "data=torch/stanford_cars")
    assert (found.backbone, found.dataset, found.method) == ("swin", "cars", "m")
    assert [row.table for row in counterparts(found)] == [1, 7]


def test_a_folder_of_images_has_its_own_name():
    assert condition("schedule=fix", "data=/home/me/photos/").dataset == "photos"


def test_names_of_the_axes_come_first():
    names = {"backbone": "dinov2", "dataset": "trashnet", "eps": "4/255", "size": "small"}
    found = condition("schedule=fix", coordinates=names)
    assert (found.backbone, found.dataset, found.method) == ("dinov2", "trashnet", "m")
    assert spell_other_axes(names) == "small"
    assert counterparts(found) == ()
    # An axis may also hold the name of the model.
    assert condition("schedule=fix", coordinates={"backbone": SWIN}).backbone == "swin"


@pytest.mark.parametrize(
    ("settings", "attack"),
    [
        ([], "apgd_ce_10"),
        (["evaluation.attack=standard"], "autoattack"),
        (["evaluation.attack.steps=50"], "apgd_ce_50"),
        (["evaluation.attack=pgd", "evaluation.attack.steps=20"], "pgd_ce_20"),
    ],
)
def test_the_attack_of_the_evaluation(settings, attack):
    assert condition("schedule=fix", *settings).attack == attack


def test_settings_that_differ_from_the_published_recipe():
    same = ["training.attack_steps=constant", "schedule=fix"]
    assert condition(*same).changes == ()
    found = condition(*same, "training.epochs=5", "evaluation.limit=300", "data.image_size=48")
    keys = [change.partition("=")[0] for change in found.changes]
    assert keys == ["training.epochs", "data.image_size", "evaluation.limit"]
