"""The pilot: train at full strength first; keep these epochs if it passes, drop them if not."""

from collections.abc import Iterator
from dataclasses import asdict, fields, replace

import torch
from accelerate.utils import broadcast_object_list

from rampart.data.splits import Splits
from rampart.errors import RunError
from rampart.files import remove
from rampart.recipes.build import Start, make_baseline
from rampart.recipes.clean_baseline import CleanBaseline
from rampart.recipes.config.run_config import RunConfig
from rampart.runs.passes import Passes
from rampart.runs.run_folder import RunFolder
from rampart.schedules.adaptive import Adaptive, Stop, longest_pilot
from rampart.schedules.times import spell_time
from rampart.skill import chance_of
from rampart.training.checkpoint import Checkpoint, CheckpointStore
from rampart.training.interrupts import Interrupts
from rampart.training.loop import fit
from rampart.training.monitors.transfer import Standard, Transfer
from rampart.training.pilot_verdict import Pilot
from rampart.training.reporting import show_progress
from rampart.training.resume import save_checkpoint
from rampart.training.state import Run
from rampart.units import Horizon


def pilot_epochs(config: RunConfig) -> int:
    """Return the largest number of pilot epochs; 0 for a run without a pilot."""
    fraction = config.components.schedule.pilot if config.attacks else 0.0
    return longest_pilot(fraction, config.training.epochs)


def run_pilot(
    run: Run,
    folder: RunFolder,
    splits: Splits,
    config: RunConfig,
    most: int,
    restored: bool,
    start: Start,
) -> None:
    """Train at full strength and write the verdict to run.json.

    If the pilot passes, the run continues from its last checkpoint. If it fails, its checkpoints
    are deleted and its history is moved aside. The outcome is the same if it is resumed anywhere.

    Args:
        run: the parts of the pilot; the run gets new ones afterwards.
        folder: of the run.
        splits: of the run.
        config: of the run.
        most: largest number of epochs, at least 1.
        restored: whether the pilot was restored from its own checkpoint.
        start: makes the model as it was before training, with a fresh optimizer.
    """
    if not restored:
        run.schedule.start_at(1.0)
    if run.accelerator.is_main_process:
        run.history.truncate(run.progress.epoch)
    pilot, passes = _train(run, folder, splits, config, most, start)
    if run.accelerator.is_main_process:
        _save_verdict(pilot, passes, run, folder)
    run.accelerator.wait_for_everyone()


def passed_pilot(folder: RunFolder) -> Pilot | None:
    """Return the pilot that a run has passed; None if it failed or had none."""
    facts = folder.facts().get("pilot", {})
    if not facts.get("passed"):
        return None
    return Pilot(**{one.name: facts[one.name] for one in fields(Pilot) if one.name in facts})


def continue_from_baseline(run: Run, folder: RunFolder, restored: bool) -> bool:
    """Continue from the clean baseline that a failed pilot has left; False without one.

    Its epochs become those of the run, whose first checkpoint this saves. Every process calls this.

    Args:
        run: of the ramp, before its first step, or restored.
        folder: of the run.
        restored: whether the run has a checkpoint of its own, so that the baseline is not needed.
    """
    left = None if restored else CheckpointStore(folder.baseline).latest()
    if left is not None:
        run.bare_model.load_state_dict(left.model)
        run.optimizer.load_state_dict(left.optimizer["optimizer"])
        run.lr_schedule.load_state_dict(left.state["lr_schedule"])
        rows = left.state["rows"]
        run.progress.epoch = len(rows)
        run.schedule.start_after(left.step)
        if run.accelerator.is_main_process:
            run.history.truncate(0)
            for row in rows:
                run.history.append(row)
        save_checkpoint(run)
    if run.accelerator.is_main_process:
        remove(folder.baseline)
    run.accelerator.wait_for_everyone()
    return left is not None


def _train(
    run: Run, folder: RunFolder, splits: Splits, config: RunConfig, most: int, start: Start
) -> tuple[Pilot, int]:
    """Train until the clean baseline has learned enough to compare with.

    Returns:
        The figures of both, and the passes of the clean baseline.
    """
    shown = Pilot(0, 0.0, 0.0, chance_of(splits.train.labels), len(splits.validation), stop(config))
    made = make_baseline(config, splits, run.plan, run.accelerator, start)
    baseline = made.accuracies()
    if config.continues_baseline:
        baseline = _kept(replace(made, validate=run.validate), run, folder)
    # The pilot itself finds out whether the model stays at chance, so no monitor warns of it.
    monitors = tuple(monitor for monitor in run.monitors if not isinstance(monitor, Transfer))
    tried = replace(run, monitors=monitors)
    name = f"pilot at full strength, at most {spell_time(most, 'epoch')}"
    horizon = Horizon(most, run.plan.horizon.steps_per_epoch)
    with show_progress(run.reporter, name, horizon, run.step):
        for epoch in range(1, most + 1):
            fit(tried, epochs=epoch)
            standard = _train_baseline(run, baseline)
            pilot = _share_result(run, replace(shown, epochs=epoch, standard=standard.clean))
            if pilot.decided:
                break
    return pilot, standard.passes


def _train_baseline(run: Run, baseline: Iterator[Standard]) -> Standard:
    """Train the clean baseline for an epoch.

    A signal may stop it here, because `fit` has saved a checkpoint.

    Raises:
        Interrupted: a signal asked to stop.
        RunError: a second model does not fit into memory.
    """
    with Interrupts() as interrupts:
        try:
            standard = next(baseline)
        except torch.OutOfMemoryError as error:
            raise RunError(
                "the clean baseline, which the pilot is compared with, does not fit into memory: "
                "set schedule.pilot=0 to skip the pilot, or raise "
                "training.gradient_accumulation_steps."
            ) from error
        if interrupts.requested(run.accelerator):
            interrupts.stop(run.step)
    return standard


def stop(config: RunConfig) -> Stop:
    """Return what ends the pilot; only an adaptive schedule has one."""
    schedule = config.components.schedule
    return schedule.pilot_stop if isinstance(schedule, Adaptive) else "learned"


def _kept(baseline: CleanBaseline, run: Run, folder: RunFolder) -> Iterator[Standard]:
    """Train the clean baseline, and keep what the run needs to continue from it."""
    store, rows = CheckpointStore(folder.baseline), []
    for training, row, found in baseline.epochs():
        rows.append(row)
        if run.accelerator.is_main_process:
            run.require_held()
            tensors = {"optimizer": training.optimizer.state_dict()}
            state = {"lr_schedule": training.lr_schedule.state_dict(), "rows": rows}
            model = training.bare_model.state_dict()
            store.save(Checkpoint(training.step, model, tensors, state))
        yield found


def _share_result(run: Run, pilot: Pilot) -> Pilot:
    """Return the main process's result on every process; only the main process has a history."""
    found = None
    if run.accelerator.is_main_process:
        found = replace(pilot, clean=run.history.rows()[pilot.epochs - 1]["val_clean"])
    (pilot,) = broadcast_object_list([found])
    assert isinstance(pilot, Pilot)
    return pilot


def _save_verdict(pilot: Pilot, passes: int, run: Run, folder: RunFolder) -> None:
    """Drop the training of a failed pilot; then write the verdict, which ends the pilot.

    Args:
        pilot: the figures.
        passes: of the clean baseline.
        run: of the pilot.
        folder: of the run.
    """
    run.reporter.note(f"pilot: {pilot.verdict}")
    if pilot.passed:
        remove(folder.baseline)
    else:
        if folder.baseline.exists():
            # They become passes of the run.
            passes = 0
        passes += Passes.of(run.history.rows()).total
        folder.drop_training()
    found = {**asdict(pilot), "skill_ratio": pilot.skill_ratio, "passed": pilot.passed}
    folder.set_status("running", pilot={**found, "verdict": pilot.verdict, "passes": passes})
