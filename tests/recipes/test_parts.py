"""Every part around the schedule in a whole run: resume, micro-batches, cost, refusals."""

from functools import partial

import pytest
from tests.recipes.test_recipes_train import StopAfter, assert_rounding_only, assert_same, result

from rampart.errors import InvalidArgument, RampartError
from rampart.recipes.accelerator import make_accelerator
from rampart.recipes.build import make_run, make_start
from rampart.recipes.config.loading import load_config
from rampart.recipes.evaluation.evaluate_named import evaluate_run
from rampart.recipes.splits import make_splits
from rampart.recipes.train import train_run
from rampart.runs.history import History
from rampart.runs.run_folder import RunFolder
from rampart.training.interrupts import Interrupted
from rampart.training.reporting import Silent
from rampart.training.step import train_batch

PARTS = {
    "mart": ["objective=mart"],
    "fare": ["objective=fare"],
    "anchored": ["objective={name: fare, base: adversarial, weight: 0.1}"],
    "ema": ["callbacks=[{name: ema, decay: 0.5}]", "schedule.end=0.4"],
    "awp": ["callbacks=[awp]"],
    "lp-ft": ["strategies=[lp-ft]", "schedule.start=0.5"],
    "linear-probe": ["strategies=[linear-probe]"],
    "lora": ["strategies=[{name: lora, rank: 2}]"],
    "lora and more": [
        "strategies=[lp-ft, {name: lora, rank: 2}]",
        "callbacks=[ema]",
        "objective={name: fare, base: trades}",
        "schedule.start=0.3",
        "schedule.end=0.4",
    ],
    "both": ["callbacks=[ema, awp]", "schedule.end=0.4"],
    "frozen statistics, dropout, the best average": [
        "model.batch_norm=frozen",
        "strategies=[{name: lora, rank: 2, dropout: 0.3}]",
        "callbacks=[ema]",
        "schedule.end=0.4",
        "training.checkpoint=best",
    ],
    "twins after roli, by SGD": [
        "objective=twins",
        "strategies=[{name: roli, probe: 0.3}]",
        "schedule={name: adaptive, pilot: 0}",
        "optimizer={opt: sgd, lr_schedule: multistep, milestones: [0.3, 0.7], momentum: 0.8}",
    ],
    "micro-batches of a batch": [
        "training.gradient_accumulation_steps=2",
        "callbacks=[awp]",
        "objective={name: fare, base: mart}",
    ],
}


@pytest.mark.parametrize("stop", [2, 5, 8])
@pytest.mark.parametrize("part", PARTS)
def test_resume_is_exact(part, stop, tiny_settings, tmp_path):
    config = load_config(None, [*tiny_settings, *PARTS[part]])
    whole = result(train_run(config, tmp_path / "whole"))
    with pytest.raises(Interrupted):
        train_run(config, tmp_path / "run", reporter=StopAfter(stop))
    assert_same(result(train_run(config, tmp_path / "run", resume=True)), whole)


#: Methods whose whole state is in the weights, and one draw for each step.
HALVES = {
    "hyperat": ["strategies=[{name: hyperat, rank: 2}]", "objective=drawn"],
    "autolora": ["strategies=[{name: autolora, rank: 2}]", "objective=autolora"],
}


@pytest.mark.parametrize("part", HALVES)
def test_resume_within_an_epoch_is_exact(part, tiny_settings, tmp_path):
    config = load_config(None, [*tiny_settings, *HALVES[part], "training.epochs=2"])
    whole = result(train_run(config, tmp_path / "whole"))
    with pytest.raises(Interrupted):
        train_run(config, tmp_path / "run", reporter=StopAfter(4))
    assert_same(result(train_run(config, tmp_path / "run", resume=True)), whole)


@pytest.mark.parametrize("part", ["fare", "anchored", "awp"])
def test_micro_batches_of_a_batch_add_up_to_the_batch(part, tiny_settings, tmp_path):
    """After one step. Later steps amplify rounding, because attacks and AdamW use signs."""
    group = "model.options={norm: group, in_chans: 3}"
    one_step = ["schedule=fix", "training.epochs=1", "training.batch_size=24"]
    ends = []
    for micro_batches in (1, 4):
        accumulated = f"training.gradient_accumulation_steps={micro_batches}"
        config = load_config(None, [*tiny_settings, *PARTS[part], group, *one_step, accumulated])
        ends.append(result(train_run(config, tmp_path / f"run{micro_batches}")))
    assert_rounding_only(*ends)


def passes(settings, folder):
    rows = History(train_run(load_config(None, settings), folder).history).rows()
    return [(row["forwards"], row["backwards"]) for row in rows]


def test_awp_costs_one_more_pass_where_there_is_an_attack(tiny_settings, tmp_path):
    settings = [*tiny_settings, "schedule=switch", "schedule.at=0.34"]
    plain = passes(settings, tmp_path / "plain")
    awp = passes([*settings, "callbacks=[awp]"], tmp_path / "awp")
    assert awp[0] == plain[0]
    assert awp[1] != plain[1]
    attacked = [(a[0] - p[0], a[1] - p[1]) for a, p in zip(awp, plain, strict=True)]
    assert attacked[2] == (24, 24)


def test_roli_trains_the_head_at_full_strength_and_then_follows_the_schedule(
    tiny_settings, tmp_path
):
    """One epoch of probe, then a schedule that has an epoch without an attack and one with it."""
    parts = ["strategies=[{name: roli, probe: 0.3}]", "schedule={name: switch, at: 0.5}"]
    config = load_config(None, [*tiny_settings, *parts])
    splits, accelerator = make_splits(config), make_accelerator(config)
    folder, start = RunFolder(tmp_path / "run"), partial(make_start, config, splits)
    run = make_run(config, folder, splits, accelerator, Silent(), start)
    seen = []
    for epoch in range(3):
        for batch in run.batches(epoch, 0):
            before = {n: v.clone() for n, v in run.bare_model.state_dict().items()}
            train_batch(run, batch)
            after = run.bare_model.state_dict()
            seen.append(
                (run.progress.used["alpha"], {n for n in before if before[n].ne(after[n]).any()})
            )
        run.progress.begin_next_epoch()
    head = {"backbone.head.weight", "backbone.head.bias"}
    assert [alpha for alpha, _ in seen] == [1.0] * 3 + [0.0] * 3 + [1.0] * 3
    assert all(moved == head for _, moved in seen[:3])
    assert all("backbone.stem.weight" in moved for _, moved in seen[3:])
    assert all("backbone.stem_norm.running_var" in moved for _, moved in seen[3:])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["model.options={norm: group, in_chans: 3}"], "GroupNorm.*with BatchNorm"),
        (["training.batch_size=2"], "training.batch_size=2.*at least 3"),
    ],
)
def test_twins_is_refused_before_any_training(settings, message, tiny_settings, tmp_path):
    config = load_config(None, [*tiny_settings, "objective=twins", *settings])
    with pytest.raises(RampartError, match=message):
        train_run(config, tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()


def test_the_average_is_validated_and_saved(tiny_settings, tmp_path):
    settings = [*tiny_settings, "schedule=fix"]
    plain = result(train_run(load_config(None, settings), tmp_path / "plain"))
    config = load_config(None, [*settings, "callbacks=[{name: ema, decay: 0.9}]"])
    ema = result(train_run(config, tmp_path / "ema"))
    assert [row["train_loss"] for row in ema[1]] == [row["train_loss"] for row in plain[1]]
    assert ema[1][-1]["val_clean_loss"] != plain[1][-1]["val_clean_loss"]
    assert any(not ema[0][name].equal(plain[0][name]) for name in plain[0])


def test_a_callback_without_a_second_gradient_does_not_change_the_training(tiny_settings, tmp_path):
    settings = [*tiny_settings, "schedule=two-hinge", "schedule.end=0.4"]
    plain = result(train_run(load_config(None, settings), tmp_path / "plain"))[1]
    ema = result(train_run(load_config(None, [*settings, "callbacks=[ema]"]), tmp_path / "ema"))[1]
    for name in ("train_loss", "forwards", "backwards", "eps"):
        assert [row[name] for row in ema] == [row[name] for row in plain]


def test_one_part_needs_no_brackets(tiny_settings):
    config = load_config(
        None, [*tiny_settings, "callbacks=awp", "strategies={name: lora, rank: 3}"]
    )
    assert list(config.components.callbacks) == ["awp"]
    assert config.components.strategies["lora"].rank == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["callbacks=[ema, ema]"], "each name once"),
        (["strategies=[lora, full]"], "leave out 'lora' or 'full'"),
        (["strategies=[lp-ft, lp-ft]"], "each name once"),
        (["callbacks=[emma]"], "unknown callback 'emma'"),
        (["callbacks=[{name: ema, decy: 0.9}]"], "did you mean decay"),
        (["objective=trades", "attack={name: pgd, start: none}"], "attack.start=none"),
        (["objective=fare", "attack={name: fgsm, start: none}"], "attack.start=none"),
        (
            ["training.linear_probe=true", "strategies=[lp-ft]", "schedule=plateau"],
            r"strategies=\[lp-ft\]",
        ),
        (["objective=fare", "attack=fab"], "any loss, for objective=fare"),
        (["objective=fare", "attack.loss=dlr"], "attack.loss=dlr.*objective=fare"),
        (["objective={name: fare, base: adversarial, beta: 6}"], "beta=6"),
        (["objective=fare", "strategies=[linear-probe]"], "leave out linear-probe"),
        (["objective=twins", "strategies=[linear-probe]"], "leave out linear-probe"),
        (["objective=twins", "model.batch_norm=frozen"], "model.batch_norm=frozen.*leave it out"),
        (["strategies=[{name: lora, alpha: .inf}]"], "alpha"),
        (["strategies=[lora]", "optimizer.backbone_lr=0"], "a rate above 0"),
        (["strategies=[lp-ft]", "optimizer.backbone_lr=0"], "backbone_lr=0.*lp-ft"),
        (["objective=fare", "optimizer.backbone_lr=0"], r"strategies=\[linear-probe\] in place"),
    ],
)
def test_contradictions_are_refused(settings, message, tiny_settings):
    with pytest.raises(RampartError, match=message):
        load_config(None, [*tiny_settings, *settings])


@pytest.mark.parametrize("part", ["lora", "linear-probe"])
def test_the_model_of_a_strategy_is_loaded_by_evaluate(part, tiny_settings, tmp_path):
    config = load_config(None, [*tiny_settings, *PARTS[part]])
    folder = train_run(config, tmp_path / "run")
    sizes = folder.facts()["parameters"]
    assert 0 < sizes["trained"] < sizes["all"]
    _, record = evaluate_run(folder.path)
    assert record.critical.shape


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["schedule=linear", "callbacks=[ema]"], "callbacks=ema"),
        (["schedule=standard", "callbacks=[awp]"], "callbacks=awp"),
        (["schedule=adaptive", "strategies=[lp-ft]"], "schedule.pilot=0"),
    ],
)
def test_a_part_without_effect_is_refused(settings, message, tiny_settings, tmp_path):
    config = load_config(None, [*tiny_settings, *settings])
    with pytest.raises(InvalidArgument, match=message):
        train_run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
