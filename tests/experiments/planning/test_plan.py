"""The plan of a study, compared with what a run counts."""

import json

import pytest
import yaml

from rampart.attacks.costs import attack_passes
from rampart.cli.study.plan import plan
from rampart.errors import DataError, InvalidArgument, UnknownName
from rampart.experiments.loading import load_study
from rampart.experiments.planning.calibration import seconds_per_pass
from rampart.experiments.planning.images import count_images
from rampart.experiments.planning.plan import plan_study
from rampart.recipes.config.loading import load_config
from rampart.recipes.passes import training_passes
from rampart.recipes.splits import make_splits
from rampart.recipes.train import train_run
from rampart.runs.history import History

PUBLIC = ["model=resnet18", "data=cars"]


def passes(*settings):
    return training_passes(load_config(None, [*PUBLIC, "training.epochs=10", *settings]))


def test_passes_have_closed_forms():
    """PGD with K steps: K forward and backward, and one of each for the step."""
    pgd = ("attack=pgd", "attack.steps=5", "training.attack_steps=constant")
    assert passes("schedule=standard", *pgd) == 10 * 2
    assert passes("schedule=fix", *pgd) == 10 * (2 * 5 + 2)
    assert passes("threat.eps=0", "schedule=fix", *pgd) == 10 * 2
    # Clean in the first half of the run.
    switch = ("schedule=switch", "schedule.at=0.5", *pgd)
    assert passes(*switch) == 5 * 2 + 5 * 12
    # APGD with n steps: n + 1 forwards and n backwards.
    apgd = ("attack=apgd", "attack.steps=7", "schedule=fix", "training.attack_steps=constant")
    assert passes(*apgd) == pytest.approx(10 * (15 + 2), abs=10)


def test_fewer_steps_at_small_strengths_and_pilots_count():
    pgd = ("attack=pgd", "attack.steps=10", "schedule=linear")
    fewer = passes(*pgd, "training.attack_steps=proportional")
    assert 10 * 10 < fewer < 0.75 * passes(*pgd, "training.attack_steps=constant")


def test_a_pilot_is_counted_as_one_that_fails():
    """A fifth of 10 epochs: 2 at full strength, and 2 of the clean baseline."""
    pgd = ("schedule=adaptive", "attack=pgd", "attack.steps=5", "training.attack_steps=constant")
    without = passes(*pgd, "schedule.pilot=0")
    assert passes(*pgd, "schedule.pilot_restart=start") == without + 2 * (12 + 2)
    # The epochs of the clean baseline are those of the run.
    shared = passes(*pgd)
    assert without + 2 * 12 - 2 * 10 <= shared <= without + 2 * 12
    assert passes(*pgd, "callbacks=ema") == passes(*pgd, "schedule.pilot_restart=start")
    # A shorter run starts anew, after one epoch of each.
    short = (*pgd, "training.epochs=9")
    assert passes(*short) == passes(*short, "schedule.pilot=0") + 12 + 2


@pytest.mark.parametrize(
    "settings",
    [
        ("schedule=fix",),
        ("schedule=linear", "training.attack_steps=proportional", "attack.steps=4"),
        ("schedule=fix", "objective=trades"),
        ("schedule=fix", "objective=mart", "attack=pgd"),
        ("schedule=standard",),
    ],
)
def test_a_run_takes_the_passes_of_its_plan(tiny_settings, tmp_path, settings):
    config = load_config(None, [*tiny_settings, "training.epochs=2", *settings])
    found = count_images(config)
    splits = make_splits(config)
    assert (found.train, found.validation, found.test, found.classes) == (
        *(len(splits[name]) for name in ("train", "validation", "test")),
        len(splits.class_names),
    )
    run = train_run(config, tmp_path / "run")
    rows = History(run.history).rows()
    used = sum(row["samples"] for row in rows) / 2 if "samples" in rows[0] else found.train
    taken = sum(row["forwards"] + row["backwards"] for row in rows)
    assert taken == pytest.approx(used * training_passes(config), rel=0.15)


def test_the_standard_attack_costs_what_its_stages_cost():
    config = load_config(None, [*PUBLIC, "evaluation.attack=standard"])
    attack = config.components.evaluation_attack
    # 1 + 9 runs of APGD with 100 steps, 9 of FAB, 5000 queries of Square.
    assert 5000 + 19 * 200 <= attack_passes(attack, "linf", 100) <= 5200 + 19 * 320
    assert attack_passes(attack, "linf", 3) < attack_passes(attack, "linf", 100)


def test_public_data_are_counted_without_them():
    found = count_images(load_config(None, PUBLIC))
    assert (found.train + found.validation + found.test, found.classes) == (16185, 196)
    with pytest.raises(DataError, match="no/such/folder"):
        count_images(load_config(None, ["model=resnet18", "data=no/such/folder"]))


@pytest.fixture
def study(tmp_path):
    tree = {
        "base": {"training": {"epochs": 2}},
        "seeds": [0, 1],
        "axes": {"backbone": ["test_resnet", "test_vit"], "dataset": ["cars", "no/folder"]},
        "methods": ["fix", "standard"],
        "exclude": [{"backbone": "test_vit", "method": "standard"}],
        "choices": {
            "tuned": {
                "method": "fix",
                "among": {
                    "a": ["optimizer.head_lr=1"],
                    "b": ["optimizer.head_lr=2"],
                    "c": ["optimizer.head_lr=3"],
                },
            }
        },
    }
    (tmp_path / "file.yaml").write_text(yaml.safe_dump(tree))
    return tmp_path / "file.yaml"


def test_every_run_is_planned_and_every_model_measured_once(study):
    measured = []

    def calibrate(config, classes):
        measured.append((config.model.name, classes))
        return 1e-3

    runs = plan_study(load_study(study), calibrate)
    # Methods, the chosen option with the seeds of the study, and three options with one seed.
    assert len(runs) == (2 * 2 * 2 + 2 * 1 * 2) + 4 * 2 + 4 * 3
    assert measured == [("test_resnet", 196), ("test_vit", 196)]
    for run in runs:
        known = run.coordinates["dataset"] == "cars"
        assert (run.training is not None, run.hours is not None) == (known, known)
        if known:
            total = run.training + run.evaluation
            assert run.hours == pytest.approx(total * 1e-3 / 3600)
    fix, standard = (
        next(r for r in runs if r.method == name and r.coordinates["dataset"] == "cars")
        for name in ("fix", "standard")
    )
    # Three steps of the attack and one of the weights, each forward and backward.
    assert fix.training > 3 * standard.training
    assert fix.evaluation == standard.evaluation


@pytest.fixture
def edited(study):
    """Return the study with other settings of all runs and other keys."""

    def edit(base, **keys):
        tree = yaml.safe_load(study.read_text())
        study.write_text(yaml.safe_dump({**tree, **keys, "base": base}))
        return load_study(study)

    return edit


def test_runs_that_this_machine_cannot_carry_out_have_the_hours_of_fp32(
    edited, study, monkeypatch, capsys
):
    monkeypatch.setattr("torch.accelerator.is_available", lambda: False)
    measured = []

    def calibrate(config, classes):
        measured.append(config.training.precision)
        return 1e-3

    fp16 = edited({"training": {"precision": "fp16"}})
    runs = [run for run in plan_study(fp16, calibrate) if run.training]
    assert set(measured) == {"fp32"}
    for run in runs:
        assert run.hours == pytest.approx((run.training + run.evaluation) * 1e-3 / 3600)
        assert "training.precision=fp16" in run.note
    monkeypatch.setattr("rampart.experiments.planning.calibration.seconds_per_pass", calibrate)
    plan(study, calibration=True, as_json=False)
    *_, head, last = capsys.readouterr().out.splitlines()
    assert head.startswith("hours in fp32, because")
    assert last.startswith(f"  {len(runs)} runs: training.precision=fp16")
    assert not any(run.note for run in plan_study(fp16, None) if run.training)


@pytest.mark.parametrize(
    ("base", "keys", "kind", "says"),
    [
        ({"training": {"batch_size": 20_000}}, {}, InvalidArgument, "^training.batch_size=20000: "),
        ({}, {"resources": {"processes": 3}}, InvalidArgument, "a multiple of processes"),
        ({}, {"axes": {"backbone": ["resnet5"], "dataset": ["cars"]}}, UnknownName, "resnet50"),
    ],
)
def test_runs_that_no_machine_can_carry_out_are_refused(edited, base, keys, kind, says):
    study = edited(base, **{"exclude": [], **keys})
    with pytest.raises(kind, match=says):
        plan_study(study, None)


def test_a_model_is_measured_with_random_weights():
    config = load_config(None, ["model=test_vit", "data=cars", "training.batch_size=2"])
    assert 1e-6 < seconds_per_pass(config, 5) < 10


@pytest.mark.parametrize(
    ("settings", "side"),
    [
        (["data=digit-pairs"], 16),
        (["data=digit-pairs", "data.image_size=24"], 24),
        (["data=cars", "data.image_size=24"], 24),
    ],
)
def test_a_model_is_measured_at_the_size_of_its_images(settings, side, monkeypatch):
    shapes = []

    def stop(config, classes, shape):
        shapes.append(shape)
        raise MemoryError("seen")

    monkeypatch.setattr("rampart.experiments.planning.calibration.make_random_model", stop)
    config = load_config(None, ["model=rampart_glyphnet.glyphs", *settings])
    with pytest.raises(MemoryError):
        seconds_per_pass(config, 5)
    assert [shape[1:] for shape in shapes] == [(side, side)]


def test_the_command_shows_runs_by_axis(study, capsys, monkeypatch):
    plan(study, calibration=False, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("32 runs: ")
    assert any(line.split()[:3] == ["test_resnet", "18", "runs:"] for line in lines)
    assert any(line.split()[:4] == ["tuned,", "options", "12", "runs:"] for line in lines)
    assert "hours" not in lines[0]
    assert any(line.split() == ["no/folder", "16", "runs:", "not", "counted"] for line in lines)
    assert lines[-2] == "not counted:"
    assert lines[-1].startswith("  16 runs: ")
    assert "no/folder" in lines[-1]
    plan(study, calibration=False, as_json=True)
    assert len(json.loads(capsys.readouterr().out)) == 32
