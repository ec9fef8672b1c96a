"""Try a run at full strength first: the epochs count if it passes, and are dropped if not."""

from collections.abc import Iterator
from dataclasses import asdict, replace

import torch
from accelerate.utils import broadcast_object_list

from rampart.data.splits import Splits
from rampart.errors import RunError
from rampart.recipes.build import Start, make_baseline
from rampart.recipes.config.run_config import RunConfig
from rampart.runs.run_folder import RunFolder
from rampart.schedules.adaptive import longest_pilot
from rampart.schedules.times import spell_time
from rampart.skill import chance_of
from rampart.training.interrupts import Interrupts
from rampart.training.loop import fit
from rampart.training.monitors.transfer import Transfer
from rampart.training.pilot import Pilot
from rampart.training.reporting import show_progress
from rampart.training.run import Run


def pilot_epochs(config: RunConfig) -> int:
    """Return how many epochs full strength is tried for at most; 0 where nothing is to be tried."""
    fraction = config.components.schedule.pilot if config.attacks else 0.0
    return longest_pilot(fraction, config.training.epochs)


def try_full_strength(
    run: Run,
    folder: RunFolder,
    splits: Splits,
    config: RunConfig,
    most: int,
    restored: bool,
    start: Start,
) -> None:
    """Train at full strength and write the verdict into run.json.

    Passed, the run goes on from the newest checkpoint; failed, the folder holds none, and the
    history of the pilot is put aside. Resumed at any point it comes to the same.

    Args:
        run: the parts of the pilot, which are not those of the run.
        folder: of the run.
        splits: of the run.
        config: of the run.
        most: epochs, 1 or more.
        restored: whether the run stands at a checkpoint of this pilot.
        start: makes the model as it was before training, with a fresh optimizer.
    """
    if not restored:
        run.schedule.start_at(1.0)
    if run.accelerator.is_main_process:
        run.history.truncate(run.progress.epoch)
    pilot = _train(run, splits, config, most, start)
    if run.accelerator.is_main_process:
        _settle(pilot, run, folder)
    run.accelerator.wait_for_everyone()


def _train(run: Run, splits: Splits, config: RunConfig, most: int, start: Start) -> Pilot:
    """Train until standard fine-tuning has learned enough to compare with; return both figures."""
    chance = chance_of(splits.train.labels)
    baseline = make_baseline(config, splits, run.plan, run.accelerator, start).accuracies()
    # That it may sit at chance is what is to be found out, and no reason to warn.
    monitors = tuple(monitor for monitor in run.monitors if not isinstance(monitor, Transfer))
    tried = replace(run, monitors=monitors)
    name = f"pilot at full strength, at most {spell_time(most, 'epoch')}"
    with show_progress(run.reporter, name, run.plan.horizon, run.step):
        for epoch in range(1, most + 1):
            fit(tried, epochs=epoch)
            pilot = _share_result(run, epoch, _standard(run, baseline), chance)
            if pilot.decided:
                break
    return pilot


def _standard(run: Run, baseline: Iterator[float]) -> float:
    """The next accuracy of standard fine-tuning; `fit` has saved what a signal would stop here.

    Raises:
        Interrupted: a signal asked to stop.
        RunError: there is no memory for a second model.
    """
    with Interrupts() as interrupts:
        try:
            accuracy = next(baseline)
        except torch.OutOfMemoryError as error:
            raise RunError(
                "the pilot at full strength has no memory for the model that it is compared with: "
                "set schedule.pilot=0 for no pilot, or a larger "
                "training.gradient_accumulation_steps."
            ) from error
        if interrupts.requested(run.accelerator):
            interrupts.stop(run.step)
    return accuracy


def _share_result(run: Run, epoch: int, standard: float, chance: float) -> Pilot:
    """What the first process finds: they must agree, and it alone keeps the history."""
    found = None
    if run.accelerator.is_main_process:
        found = Pilot(epoch, run.history.rows()[epoch - 1]["val_clean"], standard, chance)
    (pilot,) = broadcast_object_list([found])
    assert isinstance(pilot, Pilot)
    return pilot


def _settle(pilot: Pilot, run: Run, folder: RunFolder) -> None:
    """Drop what a failed pilot has trained; then write the verdict, which says that it is over."""
    # Two passes for every image that the clean baseline has trained on.
    passes = 2 * pilot.epochs * run.plan.batch_size * run.plan.horizon.steps_per_epoch
    run.reporter.note(f"pilot: {pilot.verdict}")
    if not pilot.passed:
        passes += sum(row["forwards"] + row["backwards"] for row in run.history.rows())
        folder.drop_training()
    found = {**asdict(pilot), "skill_ratio": pilot.skill_ratio, "passed": pilot.passed}
    folder.set_status("running", pilot={**found, "verdict": pilot.verdict, "passes": passes})
