"""Two processes get the results of one process, up to floating point."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from rampart.recipes.config.loading import load_config
from rampart.recipes.evaluation.evaluate_named import evaluate_run
from rampart.recipes.train import train_run
from rampart.records.storage import load_record
from rampart.runs.history import History
from rampart.runs.run_folder import RunFolder
from settings import changed

EXACT = ("epoch", "step", "eps", "alpha", "lr_backbone", "lr_head", "forwards", "backwards")
#: Waits and rises in turn, depending on the accuracies on whole batches.
ADAPTIVE = [
    "schedule=adaptive",
    "schedule.min_skill=0.2",
    "schedule.ramp=0.3",
    "schedule.start=0.5",
]
DECISIONS = ("step_alpha", "step_accuracy", "step_decision")


def in_two_processes(*arguments):
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone"]
    done = subprocess.run(
        [*launch, "-m", "rampart", *changed(map(str, arguments))],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def settings(tiny_settings):
    # Group normalization, because batch statistics differ between slices of a batch.
    options = "model.options={norm: group, in_chans: 3}"
    return [*tiny_settings, options, "objective=trades", *ADAPTIVE]


def test_two_processes_equal_one(settings, tmp_path):
    one = train_run(load_config(None, settings), tmp_path / "one")
    evaluate_run(one.path)
    two = RunFolder(tmp_path / "two")
    done = in_two_processes("train", *settings, "-o", two.path)
    assert done.stdout.count("epoch   3/3") == 1, "one process speaks"
    for a, b in zip(History(one.history).rows(), History(two.history).rows(), strict=True):
        assert [a[key] for key in EXACT + DECISIONS] == [b[key] for key in EXACT + DECISIONS]
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-3)
        assert a["val_robust_loss"] == pytest.approx(b["val_robust_loss"], rel=1e-2)
    decided = {word for row in History(two.history).rows() for word in row["step_decision"]}
    assert {"wait", "rise"} <= decided
    ours, theirs = (load_file(run.model / "model.safetensors") for run in (one, two))
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-2, atol=1e-4)
    records = [load_record(next(run.evaluations.iterdir())) for run in (one, two)]
    assert [record.metadata["processes"] for record in records] == [1, 2]
    assert records[0].ids == records[1].ids
    assert abs(records[0].critical - records[1].critical).max() <= 1

    # The same model evaluated by two processes, by other batches: the same record.
    again = tmp_path / "again"
    in_two_processes("evaluate", one.path, "evaluation.batch_size=3", "-o", again)
    shared = load_record(again)
    assert shared.metadata["processes"] == 2
    assert shared.ids == records[0].ids
    for column in ("critical", "predictions", "forwards", "backwards", "pruned", "distance"):
        assert np.array_equal(
            getattr(shared, column), getattr(records[0], column), equal_nan=column == "distance"
        )


def test_two_processes_start_over_after_the_same_pilot(settings, tmp_path):
    more = ["schedule.pilot=0.4", "objective=adversarial", "threat.eps=200/255"]
    settings = [*settings, *more, "schedule.pilot_restart=baseline"]
    one = train_run(load_config(None, settings), tmp_path / "one")
    two = RunFolder(tmp_path / "two")
    in_two_processes("train", *settings, "-o", two.path, "--no-evaluate")
    assert two.facts()["pilot"] == one.facts()["pilot"]
    assert not two.facts()["pilot"]["passed"]
    rows = History(one.history).rows()
    # The run begins with the epochs of the clean baseline, which have no decisions.
    assert "step_alpha" not in rows[0]
    for a, b in zip(rows, History(two.history).rows(), strict=True):
        keys = EXACT + (DECISIONS if "step_alpha" in a else ())
        assert [a[key] for key in keys] == [b[key] for key in keys]


def test_two_processes_reload_the_same_weights(settings, tmp_path):
    # At these rates the validation does not improve.
    more = ["schedule=fix", "optimizer.backbone_lr=1e-7", "optimizer.head_lr=1e-7"]
    more += ["training.checkpoint=best"]
    more += ["optimizer.lr_schedule=plateau", "optimizer.milestones=[0.4]", "optimizer.warmup=0"]
    settings = [*(one for one in settings if not one.startswith("schedule")), *more]
    one = train_run(load_config(None, settings), tmp_path / "one")
    two = RunFolder(tmp_path / "two")
    in_two_processes("train", *settings, "-o", two.path, "--no-evaluate")
    histories = [History(run.history).rows() for run in (one, two)]
    assert [row.get("reloaded_epoch") for row in histories[0]] == [None, 1, None]
    for a, b in zip(*histories, strict=True):
        assert [a.get(key) for key in (*EXACT, "reloaded_epoch")] == [
            b.get(key) for key in (*EXACT, "reloaded_epoch")
        ]
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-3)


@pytest.mark.slow
def test_two_processes_equal_one_with_every_part(settings, tmp_path):
    more = [
        # With a larger weight, one step of APGD that rounding changes would show in the loss.
        "objective={name: fare, base: trades, weight: 0.01}",
        "schedule=two-hinge",
        "schedule.start=0.3",
        "schedule.end=0.5",
        "strategies=[lp-ft, {name: lora, rank: 2}]",
        "callbacks=[{name: ema, decay: 0.5}, awp]",
    ]
    settings = [one for one in settings if not one.startswith("schedule")]
    one = train_run(load_config(None, [*settings, *more]), tmp_path / "one")
    two = RunFolder(tmp_path / "two")
    in_two_processes("train", *settings, *more, "-o", two.path, "--no-evaluate")
    for a, b in zip(History(one.history).rows(), History(two.history).rows(), strict=True):
        assert [a[key] for key in EXACT] == [b[key] for key in EXACT]
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-3)
        assert a["val_clean_loss"] == pytest.approx(b["val_clean_loss"], rel=1e-3)
