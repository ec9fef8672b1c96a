"""Try a run at full strength first: the epochs count if it passes, and are dropped if not."""

from dataclasses import asdict, replace

from accelerate.utils import broadcast_object_list

from rampart.data.splits import Splits
from rampart.folders import RunFolder
from rampart.recipes.build import make_run, make_twin
from rampart.recipes.config import RunConfig
from rampart.recipes.guards import best_constant
from rampart.training.guards.transfer import Transfer
from rampart.training.interrupts import Interrupts
from rampart.training.loop import fit
from rampart.training.reporting import shown
from rampart.training.run import Run
from rampart.training.trial import Trial, longest_trial


def trial_epochs(run: Run, folder: RunFolder, config: RunConfig) -> int:
    """Return how many epochs full strength is tried for at most; 0 where nothing is left to try."""
    attacked = config.threat.eps > 0 and config.objective.name != "standard"
    tried = "trial" in folder.facts()
    share = run.schedule.schedule.trial if attacked and not tried else 0.0
    # No process may read the verdict that another one has written since.
    (epochs,) = broadcast_object_list([longest_trial(share, run.plan.horizon.epochs)])
    return int(epochs)


def after_trial(run: Run, folder: RunFolder, splits: Splits, config: RunConfig, most: int) -> Run:
    """Try full strength; return the run that goes on, or one that starts over.

    Resumed at any point it comes to the same.

    Args:
        run: at most `most` epochs of it are done, all at full strength.
        folder: of the run; the verdict goes into its run.json.
        splits: of the run.
        config: of the run.
        most: epochs, 1 or more.
    """
    trial = try_full_strength(run, splits, config, most)
    main = run.accelerator.is_main_process
    # Two passes for every image that the twin has trained on.
    passes = 2 * trial.epochs * run.plan.batch_size * run.plan.horizon.steps_per_epoch
    if main:
        run.reporter.note(f"trial: {trial.verdict}")
        if not trial.passed:
            passes += sum(row["forwards"] + row["backwards"] for row in run.history.rows())
            folder.drop_training()
    if not trial.passed:
        run.accelerator.wait_for_everyone()
        run.accelerator.free_memory()
        run = make_run(config, folder, splits, run.accelerator, run.reporter)
    if main:
        # Last, because the verdict says that the trial is over.
        told = {**asdict(trial), "kept": trial.kept, "passed": trial.passed}
        told |= {"verdict": trial.verdict, "passes": passes}
        folder.set_status("running", trial=told)
    return run


def try_full_strength(run: Run, splits: Splits, config: RunConfig, most: int) -> Trial:
    """Train until standard fine-tuning has learned enough to compare with; return both figures."""
    chance = best_constant(splits.validation)
    standard = make_twin(config, splits, run.plan, run.accelerator).accuracies()
    # That it may sit at chance is what is to be found out, and no reason to warn.
    guards = tuple(guard for guard in run.guards if not isinstance(guard, Transfer))
    tried = replace(run, guards=guards)
    name = f"trial at full strength, at most {most} epoch{'' if most == 1 else 's'}"
    # `fit` minds signals itself; these are for the time in which standard fine-tuning trains.
    with shown(run.reporter, name, run.plan.horizon, run.step), Interrupts() as interrupts:
        for epoch in range(1, most + 1):
            fit(tried, epochs=epoch)
            trial = _compared(run, epoch, next(standard), chance)
            if interrupts.requested(run.accelerator):
                interrupts.stop(run.step)
            if trial.decided:
                break
    return trial


def _compared(run: Run, epoch: int, standard: float, chance: float) -> Trial:
    """What the first process finds: they must agree, and it alone keeps the history."""
    found = None
    if run.accelerator.is_main_process:
        found = Trial(epoch, run.history.rows()[epoch - 1]["val_clean"], standard, chance)
    (trial,) = broadcast_object_list([found])
    assert isinstance(trial, Trial)
    return trial
