import json
import os
import shutil
import signal
from types import SimpleNamespace

import pytest
import timm
import torch
from safetensors.torch import load_file
from torch import nn

from crashes import CrashAfter
from rampart.errors import InvalidArgument, RampartError, RunError
from rampart.evaluation.linear_probe import LinearProbeResult
from rampart.recipes.config.loading import load_config
from rampart.recipes.evaluation.evaluate_named import evaluate_run
from rampart.recipes.train import _note_batch_norm, train_run
from rampart.runs.history import History
from rampart.runs.run_folder import RunFolder
from rampart.training.interrupts import Interrupted
from rampart.training.reporting import Silent

MODEL = ["model=resnet18", "data=photos"]
TIMES = ("seconds", "data_seconds", "images_per_second")


class StopAfter(Silent):
    """Sends this process a signal once a number of steps is done."""

    def __init__(self, steps, number=signal.SIGTERM):
        self.left, self.number = steps, number

    def step(self, epoch, eps):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)


def result(folder):
    weights = load_file(folder.model / "model.safetensors")
    rows = [{k: v for k, v in r.items() if k not in TIMES} for r in History(folder.history).rows()]
    return weights, rows


def assert_same(a, b):
    assert a[0].keys() == b[0].keys()
    for name in a[0]:
        assert torch.equal(a[0][name], b[0][name]), name
    assert a[1] == b[1]


@pytest.fixture
def config(tiny_settings):
    return load_config(None, tiny_settings)


@pytest.fixture
def uninterrupted(config, tmp_path):
    return result(train_run(config, tmp_path / "uninterrupted"))


def test_a_run_at_a_constant_rate_on_squashed_images(tiny_settings, tmp_path):
    more = ["data.resize=squash", "optimizer.lr_schedule=constant", "optimizer.warmup=0"]
    folder = train_run(load_config(None, [*tiny_settings, *more]), tmp_path / "run")
    rows = History(folder.history).rows()
    assert [(row["lr_backbone"], row["lr_head"]) for row in rows] == [(1e-3, 4e-3)] * 3
    described = json.loads((folder.model / "config.json").read_text(encoding="utf-8"))
    assert described["pretrained_cfg"]["crop_mode"] == "squash"
    _, record = evaluate_run(folder.path, ["data.resize=crop"])
    assert record.metadata["settings"]["data"]["resize"] == "crop"
    (other,) = folder.evaluations.glob("*-resize_crop*")
    assert other.is_dir()


@pytest.mark.parametrize(
    "setting",
    ["data.resize=stretch", "optimizer.lr_schedule=linear", "data.validation=train"],
)
def test_other_words_for_a_choice_are_refused(tiny_settings, setting):
    key = setting.partition("=")[0]
    with pytest.raises(InvalidArgument, match=f"{key}=.*expected '"):
        load_config(None, [*tiny_settings, setting])


def test_a_run_writes_the_documented_files(config, tmp_path):
    folder = train_run(config, tmp_path / "run")
    rows = History(folder.history).rows()
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert folder.status() == "complete"
    assert load_config(folder.config) == config
    wanted = {
        *("eps", "train_loss", "val_clean", "val_robust", "val_clean_loss", "val_robust_loss"),
        *("lr_backbone", "lr_head", "forwards", "backwards", "seconds", "data_seconds"),
        "images_per_second",
    }
    assert wanted <= rows[0].keys()
    # Two-hinge in fractions of 9 steps: 0 before 2.25, 1 from 6.75 on; the row has the last step's.
    assert [row["eps"] * 255 for row in rows] == pytest.approx([0, 8 * 2.75 / 4.5, 8], abs=1e-9)


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_every_file_of_a_run_is_readable_as_the_umask_says(config, tmp_path):
    before = os.umask(0o027)
    try:
        folder = train_run(config, tmp_path / "run")
        evaluate_run(folder.path)
    finally:
        os.umask(before)
    files = [file for file in folder.path.rglob("*") if file.is_file()]
    assert {"model.safetensors", "optimizer.pt", "record.json", "curve.png"} <= {
        file.name for file in files
    }
    private = [file.name for file in files if file.stat().st_mode & 0o777 != 0o640]
    assert private == []


def test_passes_are_counted(config, tmp_path):
    rows = History(train_run(config, tmp_path / "run").history).rows()
    # Nothing is attacked at eps = 0: one forward and one backward per image.
    assert (rows[0]["forwards"], rows[0]["backwards"]) == (24, 24)
    # APGD with 2 steps: 3 forwards and at least 2 backwards on top.
    assert rows[2]["forwards"] == 24 * 4
    assert 24 * 3 <= rows[2]["backwards"] <= 24 * 4


@pytest.mark.parametrize("stop", range(1, 10))
def test_resumed_at_any_step_equals_the_uninterrupted_run(config, tmp_path, uninterrupted, stop):
    output = tmp_path / "run"
    if stop < 9:
        with pytest.raises(Interrupted, match="a checkpoint is saved"):
            train_run(config, output, reporter=StopAfter(stop))
        assert RunFolder(output).status() == "interrupted"
        assert not RunFolder(output).model.exists()
    assert_same(result(train_run(config, output, resume=stop < 9)), uninterrupted)


def test_a_crash_is_repeated_from_the_checkpoint(tiny_settings, tmp_path, uninterrupted):
    config = load_config(None, [*tiny_settings, "training.checkpoint_every=2"])
    with pytest.raises(MemoryError):
        train_run(config, tmp_path / "run", reporter=CrashAfter(6))
    assert RunFolder(tmp_path / "run").status() == "failed"
    assert_same(result(train_run(config, tmp_path / "run", resume=True)), uninterrupted)


def test_resume_in_the_middle_of_the_published_autos_ramp_is_exact(tiny_settings, tmp_path):
    # The first epoch counts as converged: the ramp goes from step 6 of 12 to the end.
    auto = ["schedule=auto", "schedule.patience=1", "schedule.tolerance=0.99"]
    config = load_config(None, [*tiny_settings, *auto, "training.epochs=4"])
    whole = result(train_run(config, tmp_path / "whole"))
    assert 0 < whole[1][2]["alpha"] < 1
    for stop in (7, 8, 10):
        with pytest.raises(Interrupted):
            train_run(config, tmp_path / f"run {stop}", reporter=StopAfter(stop))
        resumed = train_run(config, tmp_path / f"run {stop}", resume=True)
        assert_same(result(resumed), whole)


@pytest.mark.parametrize("schedule", ["uniform", "fix", "linear"])
def test_resume_is_exact_under_other_schedules(tiny_settings, tmp_path, schedule):
    config = load_config(None, [*tiny_settings, f"schedule={schedule}"])
    whole = result(train_run(config, tmp_path / "whole"))
    with pytest.raises(Interrupted):
        train_run(config, tmp_path / "run", reporter=StopAfter(5, signal.SIGINT))
    assert_same(result(train_run(config, tmp_path / "run", resume=True)), whole)


#: In the middle of its ramp at every step but the first, because every accuracy suffices.
RISING = ["schedule=adaptive", "schedule.min_skill=0", "schedule.ramp=0.75", "schedule.memory=0.05"]


PLATEAU = [
    "schedule=plateau",
    "schedule.deadline=0.12",
    "schedule.window=0.1",
    "schedule.ramp=0.99",
]


@pytest.mark.parametrize(
    ("schedule", "stops"),
    [(RISING, range(1, 9)), (PLATEAU, (4,)), ([*RISING, "schedule.interval=epoch"], (4,))],
    ids=["adaptive", "plateau", "per epoch"],
)
def test_resume_in_the_middle_of_a_ramp_is_exact(tiny_settings, tmp_path, schedule, stops):
    config = load_config(None, [*tiny_settings, *schedule])
    whole = result(train_run(config, tmp_path / "whole"))
    for stop in stops:
        with pytest.raises(Interrupted):
            train_run(config, tmp_path / f"run {stop}", reporter=StopAfter(stop))
        resumed = train_run(config, tmp_path / f"run {stop}", resume=True)
        assert_same(result(resumed), whole)


def assert_rounding_only(first, second):
    """Two runs of one step are the same computation; later steps would amplify their rounding."""
    (first, (row,)), (second, (other,)) = first, second
    assert other["train_loss"] == pytest.approx(row["train_loss"], rel=1e-4)
    moved = torch.cat([(second[name] - first[name]).abs().flatten() for name in first])
    assert (moved > 1e-4).double().mean() < 0.01
    # A weight whose gradient is rounding alone may move the other way, and no further.
    assert moved.max() <= 2.1 * max(row["lr_backbone"], row["lr_head"])


def test_the_memory_layout_changes_rounding_only(tiny_settings, tmp_path):
    """After one step. Later steps amplify rounding, because attacks and AdamW use signs."""
    one_step = [*tiny_settings, "schedule=fix", "training.epochs=1", "training.batch_size=24"]
    found = [
        result(train_run(load_config(None, [*one_step, f"training.channels_last={on}"]), folder))
        for on, folder in (("false", tmp_path / "plain"), ("true", tmp_path / "last"))
    ]
    assert_rounding_only(*found)


def test_the_memory_layout_resumes_exactly(tiny_settings, tmp_path):
    config = load_config(None, [*tiny_settings, "schedule=fix", "training.channels_last=true"])
    whole = result(train_run(config, tmp_path / "whole"))
    with pytest.raises(Interrupted):
        train_run(config, tmp_path / "run", reporter=StopAfter(5))
    assert_same(result(train_run(config, tmp_path / "run", resume=True)), whole)


def test_a_robust_backbone_starts_where_the_probe_advises(tiny_settings, tmp_path, monkeypatch):
    found = LinearProbeResult((0.0, 0.5, 1.0), (0.9, 0.8, 0.1), 0.1, 8 / 255, 9)
    monkeypatch.setattr("rampart.recipes.train.linear_probe_model", lambda *_: found)
    config = load_config(None, [*tiny_settings, "schedule=adaptive", "training.linear_probe=true"])
    with pytest.raises(Interrupted):
        train_run(config, tmp_path / "run", reporter=StopAfter(4))
    folder = train_run(config, tmp_path / "run", resume=True)
    alphas = [alpha for row in History(folder.history).rows() for alpha in row["step_alpha"]]
    assert alphas[0] == found.start > 0.5
    assert folder.facts()["linear_probe"]["verdict"] == found.verdict
    assert_same(result(folder), result(train_run(config, tmp_path / "whole")))


def test_the_probe_needs_an_adaptive_schedule(tiny_settings):
    with pytest.raises(InvalidArgument, match="training.linear_probe.*schedule=adaptive"):
        load_config(None, [*tiny_settings, "schedule=fix", "training.linear_probe=true"])
    for nothing in ("threat.eps=0", "objective=standard"):
        with pytest.raises(InvalidArgument, match="training.linear_probe.*an attack in training"):
            load_config(None, ["schedule=adaptive", "training.linear_probe=true", nothing, *MODEL])


def test_every_decision_of_an_adaptive_schedule_is_in_the_history(tiny_settings, tmp_path):
    config = load_config(None, [*tiny_settings, *RISING])
    rows = History(train_run(config, tmp_path / "run").history).rows()
    alphas = [alpha for row in rows for alpha in row["step_alpha"]]
    decisions = [decision for row in rows for decision in row["step_decision"]]
    assert alphas == pytest.approx([min(1, step / 9 / 0.75) for step in range(9)])
    assert decisions == ["rise"] * 6 + ["hold"] * 3
    # 8 images are a batch.
    fractions = [8 * fraction for row in rows for fraction in row["step_accuracy"]]
    assert all(fraction == int(fraction) and 0 <= fraction <= 8 for fraction in fractions)
    assert [row["alpha"] for row in rows] == [row["step_alpha"][-1] for row in rows]


def test_fewer_attack_steps_while_eps_is_small(tiny_settings, tmp_path):
    settings = [*tiny_settings, "attack=pgd", "attack.steps=8", "schedule=linear"]
    config = load_config(None, [*settings, "training.attack_steps=proportional"])
    rows = History(train_run(config, tmp_path / "run").history).rows()
    # Steps 0 to 8 of 9: none at 0, then max(2, ceil(8 t/9)) forwards each, and those of training.
    taken = [0, 2, 2, 3, 4, 5, 6, 7, 8]
    expected = [sum(8 * (k + 1) for k in taken[start : start + 3]) for start in (0, 3, 6)]
    assert [row["forwards"] for row in rows] == expected


def test_an_objective_without_an_attack_can_have_a_strength(tiny_settings, tmp_path):
    config = load_config(None, [*tiny_settings, "schedule=fix", "objective=standard"])
    rows = History(train_run(config, tmp_path / "run").history).rows()
    assert [(row["eps"] * 255, row["forwards"]) for row in rows] == [(8, 24)] * 3


def test_micro_batches_of_a_batch_add_up_to_the_batch(tiny_settings, tmp_path):
    # Group normalization: batch statistics would differ between micro-batches by their nature.
    settings = [*tiny_settings, "model.options={norm: group, in_chans: 3}", "objective=trades"]
    settings += ["training.epochs=1", "training.batch_size=24"]
    runs = [
        result(train_run(load_config(None, [*settings, *more]), tmp_path / name))
        for name, more in (("one", []), ("four", ["training.gradient_accumulation_steps=4"]))
    ]
    assert_rounding_only(*runs)


def test_global_random_state_is_left_alone(config, tmp_path):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    evaluate_run(train_run(config, tmp_path / "run").path)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_model_is_loaded_by_timm_and_by_evaluate(config, tmp_path):
    folder = train_run(config, tmp_path / "run")
    model = timm.create_model(f"local-dir:{folder.model}", pretrained=True)
    assert model.num_classes == 3
    target, record = evaluate_run(folder.path)
    summary = json.loads((target / "summary.json").read_text())
    keys = {"n", "eps", "clean", "adversarial", "expected", "expected_low", "expected_high"}
    assert keys <= summary.keys()
    assert summary["n"] == 15
    assert len(summary["curve"]) == 9
    assert 0 <= summary["adversarial"] <= summary["expected"] <= summary["clean"] <= 1
    assert summary["expected_low"] <= summary["expected"] <= summary["expected_high"]
    for file in ("record.json", "samples.parquet", "curve.csv", "curve.png"):
        assert (target / file).stat().st_size > 0
    assert record.metadata["attack"]["steps"] == 3
    with pytest.raises(RunError, match="--overwrite"):
        evaluate_run(folder.path)


def test_the_best_epoch_can_become_the_final_model(tiny_settings, tmp_path):
    config = load_config(None, [*tiny_settings, "training.checkpoint=best", "schedule=fix"])
    folder = train_run(config, tmp_path / "run")
    rows = History(folder.history).rows()
    best = max(rows, key=lambda row: row["val_expected"])
    stored = json.loads(next(folder.best.glob("*/state.json")).read_text())
    assert stored["epoch"] == best["epoch"]
    weights = load_file(next(folder.best.glob("*/model.safetensors")))
    model = load_file(folder.model / "model.safetensors")
    assert all(torch.equal(weights[f"backbone.{name}"], model[name]) for name in model)


def test_resume_with_another_configuration_is_refused(config, tiny_settings, tmp_path):
    with pytest.raises(Interrupted):
        train_run(config, tmp_path / "run", reporter=StopAfter(2))
    other = load_config(None, [*tiny_settings, "training.epochs=4"])
    with pytest.raises(RunError, match=r"training.epochs: 3 -> 4"):
        train_run(other, tmp_path / "run", resume=True)
    free = load_config(None, [*tiny_settings, "data.workers=0", "data.cache=false"])
    train_run(free, tmp_path / "run", resume=True)


def test_a_finished_run_does_not_change(config, tmp_path):
    folder = train_run(config, tmp_path / "run")
    stamp = (folder.model / "model.safetensors").stat().st_mtime_ns
    train_run(config, tmp_path / "run", resume=True)
    assert (folder.model / "model.safetensors").stat().st_mtime_ns == stamp


def test_an_unfinished_run_is_not_evaluated(config, tmp_path):
    with pytest.raises(Interrupted):
        train_run(config, tmp_path / "run", reporter=StopAfter(2))
    with pytest.raises(RunError, match="its run is interrupted"):
        evaluate_run(tmp_path / "run")
    with pytest.raises(RunError, match="holds no run"):
        evaluate_run(tmp_path / "elsewhere")


def test_a_refused_run_leaves_no_files(tiny_settings, tmp_path):
    config = load_config(None, [*tiny_settings, "schedule.unit=epoch", "schedule.end=37"])
    with pytest.raises(InvalidArgument, match="37"):
        train_run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_batch_that_cannot_be_divided(tiny_settings, tmp_path):
    config = load_config(None, [*tiny_settings, "training.gradient_accumulation_steps=3"])
    with pytest.raises(InvalidArgument, match="training.batch_size=8"):
        train_run(config, tmp_path / "run")


def test_a_batch_larger_than_the_data(tiny_settings, tmp_path):
    config = load_config(None, [*tiny_settings, "training.batch_size=64"])
    with pytest.raises(InvalidArgument, match="24 training images; write training.batch_size=16"):
        train_run(config, tmp_path / "run")


def test_half_precision_needs_a_gpu(tiny_settings, tmp_path):
    settings = [*tiny_settings, "training.precision=fp16", "training.device=cpu"]
    with pytest.raises(InvalidArgument, match="training.precision=fp16"):
        train_run(load_config(None, settings), tmp_path / "run")


def test_batch_norm_needs_two_images(tiny_settings, tmp_path):
    config = load_config(None, [*tiny_settings, "training.gradient_accumulation_steps=8"])
    with pytest.raises(InvalidArgument, match="training.batch_size=.*at least 2"):
        train_run(config, tmp_path / "run")


def test_validation_is_in_single_precision(tiny_settings, tmp_path, monkeypatch):
    """Also under bf16, where accelerate would wrap the model permanently."""
    from rampart.recipes import validation

    seen = []
    whole = validation.evaluate_accuracy

    def spy(model, *arguments, **options):
        with torch.no_grad():
            model.eval()
            hook = model.backbone.stem.register_forward_hook(
                lambda module, inputs, output: seen.append(output.dtype)
            )
            model(torch.zeros(1, 3, 16, 16))
            hook.remove()
        return whole(model, *arguments, **options)

    monkeypatch.setattr(validation, "evaluate_accuracy", spy)
    settings = [*tiny_settings, "training.precision=bf16", "training.epochs=1"]
    train_run(load_config(None, settings), tmp_path / "run")
    assert seen == [torch.float32]


def test_training_is_in_mixed_precision(tiny_settings, tmp_path, monkeypatch):
    from rampart.objectives.adversarial import Adversarial

    seen = set()
    whole = Adversarial.__call__

    def spy(self, model, images, labels, perturb):
        seen.add(model(images).dtype)
        return whole(self, model, images, labels, perturb)

    monkeypatch.setattr(Adversarial, "__call__", spy)
    settings = [*tiny_settings, "training.precision=bf16", "training.epochs=1"]
    train_run(load_config(None, settings), tmp_path / "run")
    assert seen == {torch.bfloat16}


def test_test_images_never_were_training_images(config, photo_folder, tiny_settings, tmp_path):
    photos = tmp_path / "photos"
    shutil.copytree(photo_folder / "train", photos)
    config = load_config(
        None, [*tiny_settings, f"data.name={photos}", "data.validation_fraction=0.2"]
    )
    folder = train_run(config, tmp_path / "run")
    with pytest.raises(RunError, match=r"cannot change model\.name, .*only threat"):
        evaluate_run(folder.path, ("model.name=resnet18",))
    with pytest.raises(RunError, match="the data differ"):
        evaluate_run(folder.path, ("data.seed=1",))
    moved = shutil.copytree(photos, tmp_path / "moved")
    _, record = evaluate_run(folder.path, (f"data.name={moved}", "threat.eps=4/255"))
    assert record.metadata["run"]["threat"]["eps"] == "8/255", "the run's own"
    shutil.copy(photos / "blue" / "0.png", photos / "blue" / "another.png")
    with pytest.raises(RunError, match="the data differ"):
        evaluate_run(folder.path)


def test_a_crash_before_the_first_checkpoint_leaves_no_rows(config, tmp_path, monkeypatch):
    from rampart.training.checkpoint import CheckpointStore

    def full(*arguments):
        raise RunError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(CheckpointStore, "save", full)
        with pytest.raises(RunError, match="no space"):
            train_run(config, tmp_path / "run")
    folder = train_run(config, tmp_path / "run", resume=True)
    assert [row["epoch"] for row in History(folder.history).rows()] == [1, 2, 3]


def test_a_signal_during_the_last_validation_stops_the_run(config, tmp_path, uninterrupted):
    class StopAtEpoch(Silent):
        def epoch(self, row):
            if row["epoch"] == 3:
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        train_run(config, tmp_path / "run", reporter=StopAtEpoch())
    assert_same(result(train_run(config, tmp_path / "run", resume=True)), uninterrupted)


def test_the_best_epoch_is_judged_by_one_attack(tiny_settings, tmp_path):
    settings = [*tiny_settings, "training.checkpoint=best"]
    with pytest.raises(Interrupted):
        train_run(load_config(None, settings), tmp_path / "run", reporter=StopAfter(2))
    other = load_config(None, [*settings, "evaluation.attack.steps=9"])
    with pytest.raises(RunError, match=r"evaluation.attack.steps: 3 -> 9"):
        train_run(other, tmp_path / "run", resume=True)


def test_resume_with_changed_initial_weights_is_refused(tiny_settings, tmp_path):
    first, second = (
        train_run(load_config(None, [*tiny_settings, f"seed={seed}"]), tmp_path / f"source {seed}")
        for seed in (0, 1)
    )
    source = tmp_path / "weights.safetensors"
    shutil.copy(first.model / "model.safetensors", source)
    more = ["model.pretrained=true", f"model.weights={source}", "objective=fare"]
    config = load_config(None, [*tiny_settings, *more])
    with pytest.raises(Interrupted):
        train_run(config, tmp_path / "run", reporter=StopAfter(2))
    shutil.copy(second.model / "model.safetensors", source)
    with pytest.raises(RunError, match="initial weights"):
        train_run(config, tmp_path / "run", resume=True)
    assert RunFolder(tmp_path / "run").status() == "interrupted", "nothing is lost"
    shutil.copy(first.model / "model.safetensors", source)
    train_run(config, tmp_path / "run", resume=True)


def test_no_threat_and_the_best_epoch(tiny_settings, tmp_path):
    settings = [*tiny_settings, "training.checkpoint=best", "threat.eps=0", "training.epochs=1"]
    train_run(load_config(None, settings), tmp_path / "run")


def test_unknown_trackers_are_refused(tiny_settings, tmp_path):
    for name, says in (("foo", "unknown tracker 'foo'"), ("wandb", "'wandb' is not installed")):
        config = load_config(None, [*tiny_settings, f"training.trackers=[{name}]"])
        with pytest.raises(RampartError, match=says):
            train_run(config, tmp_path / "run")


def test_an_evaluation_needs_only_the_run_and_the_data(tiny_settings, tmp_path):
    first = train_run(load_config(None, tiny_settings), tmp_path / "first")
    weights = first.model / "model.safetensors"
    more = ["model.pretrained=true", f"model.weights={weights}"]
    second = train_run(load_config(None, [*tiny_settings, *more]), tmp_path / "second")
    weights.unlink()
    evaluate_run(second.path)


def test_diverging_training_raises_an_error_with_advice(tiny_settings, tmp_path):
    config = load_config(None, [*tiny_settings, "optimizer.backbone_lr=1e30", "schedule=standard"])
    with pytest.raises(RunError, match=r"lower optimizer.backbone_lr"):
        train_run(config, tmp_path / "run")


def test_bf16_and_a_tracker(tiny_settings, tmp_path):
    settings = [*tiny_settings, "training.precision=bf16", "training.trackers=[tensorboard]"]
    folder = train_run(load_config(None, settings), tmp_path / "run")
    assert list(folder.tracking.rglob("events.out.tfevents*"))
    evaluate_run(folder.path)
    weights = load_file(folder.model / "model.safetensors")
    assert all(w.dtype in (torch.float32, torch.int64) for w in weights.values())


@pytest.mark.parametrize(
    ("count", "layer", "setting", "noted"),
    [
        (2, nn.BatchNorm2d(3), "model.batch_norm=train", ["BatchNorm"]),
        (2, nn.BatchNorm2d(3), "model.batch_norm=frozen", []),
        (2, nn.GroupNorm(1, 3), "model.batch_norm=train", []),
        (1, nn.BatchNorm2d(3), "model.batch_norm=train", []),
    ],
)
def test_batch_norm_in_several_processes_is_noted(count, layer, setting, noted):
    said = []
    run = SimpleNamespace(
        accelerator=SimpleNamespace(num_processes=count, is_main_process=True),
        bare_model=layer,
        reporter=SimpleNamespace(note=said.append),
    )
    _note_batch_norm(run, load_config(None, [*MODEL, setting]))
    assert [text.split()[0] for text in said] == noted


def test_a_run_is_not_replaced_by_one_that_reads_its_files(tiny_settings, tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.model.mkdir(parents=True)
    weights = folder.model / "model.safetensors"
    weights.write_text("precious")
    folder.config.write_text("seed: 0\n")
    folder.set_status("complete")
    for key, value in (
        ("model.name", f"local-dir:{folder.model}"),
        ("model.weights", str(weights)),
        ("data.split_file", str(weights)),
    ):
        own = [text for text in tiny_settings if not text.startswith(("model.pre", f"{key}="))]
        config = load_config(None, [*own, f"{key}={value}"])
        with pytest.raises(RunError, match=f"{key}=.*--overwrite deletes.*--output"):
            train_run(config, folder.path, overwrite=True)
        assert weights.read_text() == "precious"
