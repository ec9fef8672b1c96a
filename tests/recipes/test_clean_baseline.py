"""The clean baseline equals the run under `schedule=standard`, weight for weight."""

from functools import partial

import pytest
import torch
from safetensors.torch import load_file

from rampart.recipes import clean_baseline as baseline_module
from rampart.recipes.accelerator import make_accelerator
from rampart.recipes.build import make_run, make_start
from rampart.recipes.config.loading import load_config
from rampart.recipes.splits import make_splits
from rampart.recipes.train import train_run
from rampart.runs.history import History
from rampart.runs.run_folder import RunFolder
from rampart.training.monitors.transfer import Transfer
from rampart.training.reporting import Silent


def baseline_of(settings, folder):
    """Return the clean baseline of a run with these settings."""
    config = load_config(None, settings)
    accelerator, splits = make_accelerator(config), make_splits(config)
    start = partial(make_start, config, splits)
    run = make_run(config, RunFolder(folder), splits, accelerator, Silent(), start)
    return next(monitor.baseline for monitor in run.monitors if isinstance(monitor, Transfer))


@pytest.mark.parametrize(
    "more",
    [
        [],
        [
            "training.gradient_accumulation_steps=4",
            "optimizer.clip_norm=0.5",
            "objective.label_smoothing=0.1",
        ],
        ["model.options={norm: batch, in_chans: 3, drop_rate: 0.3}", "optimizer.warmup=0.5"],
        ["training.precision=bf16"],
        ["training.sampler=balanced"],
    ],
)
def test_the_clean_baseline_is_standard_fine_tuning(tiny_settings, tmp_path, monkeypatch, more):
    settings = [*tiny_settings, *more]
    folder = train_run(load_config(None, [*settings, "schedule=standard"]), tmp_path / "standard")
    seen, whole = {}, baseline_module.evaluate_accuracy

    def spy(model, batches):
        seen.update(model.state_dict())
        return whole(model, batches)

    monkeypatch.setattr(baseline_module, "evaluate_accuracy", spy)
    baseline, rows = (
        baseline_of([*settings, "schedule=fix"], tmp_path / "run"),
        History(folder.history).rows(),
    )
    for epochs in (1, 2, 3):
        assert baseline(epochs).clean == rows[epochs - 1]["val_clean"]
    expected = load_file(folder.model / "model.safetensors")
    for name, tensor in expected.items():
        assert torch.equal(seen[f"backbone.{name}"], tensor), name
