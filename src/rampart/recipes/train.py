"""Train a configuration; everything is written to the run's folder."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from rampart.data.splits import Splits
from rampart.errors import RunError
from rampart.models.external.fingerprints import weights_fingerprint
from rampart.models.normalized import NormalizedModel, batch_norms
from rampart.models.saving import save_model
from rampart.progress.work import is_shown
from rampart.recipes.accelerator import make_accelerator, one_writer, require_one_process
from rampart.recipes.build import make_run, make_start
from rampart.recipes.check_labels import checked_labels, keep_label_check
from rampart.recipes.computing import computing
from rampart.recipes.config.loading import dump_config, load_config, save_config
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.data_identity import describe_data, require_same_data
from rampart.recipes.dry_run import try_end
from rampart.recipes.guidance import is_label_check, with_guidance
from rampart.recipes.kept_guidance import keep_guidance
from rampart.recipes.measurable import require_measurable
from rampart.recipes.measured import require_measurable_on
from rampart.recipes.pages import write_pages_of
from rampart.recipes.passes import cost_of_steps
from rampart.recipes.pilot import continue_from_baseline, passed_pilot, pilot_epochs, run_pilot
from rampart.recipes.probe_backbone import linear_probe_model
from rampart.recipes.same_run import require_not_needed, require_same, require_same_start
from rampart.recipes.splits import make_splits
from rampart.registry import flatten
from rampart.runs.lock import RequireHeld, tidy
from rampart.runs.run_folder import RunFolder
from rampart.runtime import scoped_seed
from rampart.training.interrupts import Interrupted
from rampart.training.loop import fit, show_epoch
from rampart.training.reporting import Reporter, Silent, show_progress
from rampart.training.resume import restore
from rampart.training.state import Run


def train_run(
    config: RunConfig,
    output: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    announce: Callable[[Run, Splits], None] = lambda run, splits: None,
    splits: Splits | None = None,
    network: NormalizedModel | None = None,
) -> RunFolder:
    """Train to the end and save the finished model in the run's folder.

    Args:
        config: the whole configuration.
        output: the run's folder.
        resume: resume the run in the folder; a finished run does not change, and one that was
            stopped before it began starts anew.
        overwrite: replace the run in the folder.
        reporter: receives steps, epochs and notes.
        announce: called once before the first step, with the parts of the run, or with those of
            its pilot.
        splits: the data, in place of the configured ones.
        network: a network to train a copy of, in place of the configured backbone.

    Raises:
        RunError: the folder cannot be used, another process writes it, or its run has another
            configuration or other data.
        Interrupted: stopped by a signal, with a checkpoint.
        RampartError: the configuration, the data or the model is invalid.
    """
    folder = RunFolder(Path(output))
    accelerator = make_accelerator(config, folder.tracking)
    require_one_process(config, accelerator)
    if _is_finished(config, folder, resume, overwrite, splits):
        return folder
    with one_writer(folder.path, accelerator) as require_held:
        # Another process may have written the folder until now.
        if not _is_finished(config, folder, resume, overwrite, splits):
            reporter = reporter or Silent()
            _train_in(
                folder,
                config,
                accelerator,
                resume=resume and folder.exists(),
                reporter=reporter,
                announce=announce,
                splits=splits,
                network=network,
                require_held=require_held,
            )
    return folder


def _is_finished(
    config: RunConfig, folder: RunFolder, resume: bool, overwrite: bool, splits: Splits | None
) -> bool:
    """Whether the run to resume is complete; refuse a folder that cannot be used."""
    folder.require_free(resume, overwrite)
    if overwrite:
        require_not_needed(config, folder)
    if not (resume and folder.exists()):
        return False
    folder.require_trained()
    require_same(load_config(folder), config, folder)
    if folder.status() != "complete":
        return False
    if splits is not None:
        require_same_data(folder, splits)
    tidy(folder.path)
    return True


def _train_in(
    folder: RunFolder,
    config: RunConfig,
    accelerator: Accelerator,
    *,
    resume: bool,
    reporter: Reporter,
    announce: Callable[[Run, Splits], None],
    splits: Splits | None,
    network: NormalizedModel | None,
    require_held: RequireHeld,
) -> None:
    # Refuse a wrong evaluation before the training.
    require_measurable(config)
    splits = splits or make_splits(config)
    require_measurable_on(config, splits)
    if resume:
        require_same_data(folder, splits)
    resumed = folder if resume else None
    splits, guiding = with_guidance(splits, config, network, resumed)
    tried = resume and "pilot" in folder.facts()
    pilot = 0 if tried else pilot_epochs(config)
    start = partial(make_start, config, splits, network)
    run = make_run(config, folder, splits, accelerator, reporter, start, require_held)
    if resume:
        require_same_start(folder, run)
    try_end(run, splits)
    held_out = splits.guidance if guiding and is_label_check(config) else None
    checked, checking = checked_labels(config, splits, network, resumed, held_out)
    _note_device(run, folder, config)
    spent = {"guidance": guiding, "label_check": checking}
    _open_folder(run, folder, splits, config, resume, spent)
    # Both are of runs of one process.
    if config.components.objective.needs_guidance and splits.guidance is not None:
        keep_guidance(splits.guidance, folder.guidance)
    if checked:
        keep_label_check(checked, splits, folder.labels)
    restored = resume and restore(run)
    announce(run, splits)
    _note_batch_norm(run, config)
    if pilot:
        with record_outcome(run, folder):
            run_pilot(run, folder, splits, config, pilot, restored, start)
        # Free the pilot's model and optimizer first: memory may hold only one of each.
        del run
        accelerator.free_memory()
        accelerator = make_accelerator(config, folder.tracking)
        run = make_run(config, folder, splits, accelerator, reporter, start, require_held)
        restored = restore(run)
    taken = continue_from_baseline(run, folder, restored)
    _begin(run, folder, splits, config, restored or taken)
    with record_outcome(run, folder):
        _train(run, folder, splits, config, taken)


def _note_batch_norm(run: Run, config: RunConfig) -> None:
    """Note that the number of processes changes the results of a model with BatchNorm."""
    count = run.accelerator.num_processes
    parts = count > 1 and config.normalizes_by_batch and batch_norms(run.bare_model)
    if parts and run.accelerator.is_main_process:
        run.reporter.note(
            f"BatchNorm uses the statistics of the part of each batch that one of the {count} "
            "processes has, so the number of processes changes results; model.batch_norm=frozen "
            "avoids this"
        )


def _note_device(run: Run, folder: RunFolder, config: RunConfig) -> None:
    """Note that a resumed run computes in another way than before, on another device."""
    before, now = folder.facts().get("computing"), asdict(computing(config))
    if before in (None, now) or not run.accelerator.is_main_process:
        return
    changed = [
        f"{key} {before.get(key)} -> {one}" for key, one in now.items() if before.get(key) != one
    ]
    run.reporter.note(
        f"the run continues on a device that computes in another way ({', '.join(changed)}), so it "
        "does not end as it would have on the first"
    )


def _open_folder(
    run: Run,
    folder: RunFolder,
    splits: Splits,
    config: RunConfig,
    resume: bool,
    spent: Mapping[str, int],
) -> None:
    """Write the files that mark the folder as a run, run.json last.

    Args:
        run: before its first step, or before it is restored.
        folder: of the run.
        splits: of the run.
        config: of the run.
        resume: whether the run in the folder resumes.
        spent: forward passes just made, by their purpose; run.json adds those of earlier starts.
    """
    # All processes must have checked the folder before one of them writes.
    run.accelerator.wait_for_everyone()
    if run.accelerator.is_main_process:
        if not resume:
            folder.begin()
        save_config(config, folder.config)
        parameters = list(run.bare_model.parameters())
        trained = sum(p.numel() for p in parameters if p.requires_grad)
        sizes = {"trained": trained, "all": sum(p.numel() for p in parameters)}
        start = weights_fingerprint(run.bare_model)
        facts = {"start": start, "parameters": sizes, "computing": asdict(computing(config))}
        facts |= _add_passes(folder, spent)
        folder.set_status("running", **describe_data(splits), **facts)
    run.accelerator.wait_for_everyone()


def _add_passes(folder: RunFolder, spent: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return the entries of run.json on passes before the first step; see `_open_folder`."""
    before = {name: folder.facts().get(name, {}).get("forwards", 0) for name in spent}
    return {name: {"forwards": before[name] + count} for name, count in spent.items() if count}


def _begin(run: Run, folder: RunFolder, splits: Splits, config: RunConfig, restored: bool) -> None:
    """Open the trackers; start an adaptive schedule as the pilot or the linear probe advises."""
    if run.accelerator.is_main_process:
        # Drop the rows after the checkpoint that the run resumes from.
        run.history.truncate(run.progress.epoch)
    if config.training.trackers:
        plain = {key: str(value) for key, value in flatten(dump_config(config)).items()}
        run.accelerator.init_trackers("rampart", plain)
    run.pilot = passed_pilot(folder)
    if restored:
        return
    if run.pilot:
        run.schedule.start_at(1.0)
    else:
        _start_at_linear_probe(run, folder, splits, config)


def _start_at_linear_probe(run: Run, folder: RunFolder, splits: Splits, config: RunConfig) -> None:
    """With `training.linear_probe`, start at the strength that the backbone withstands."""
    adapts = run.schedule.schedule.needs_accuracy
    if not (config.training.linear_probe and adapts and config.threat.eps):
        return
    found = linear_probe_model(run.bare_model, splits, config)
    # Devices differ in the last bit, and every process must train at the same strength.
    (start,) = broadcast_object_list([found.start])
    run.schedule.start_at(start)
    if run.accelerator.is_main_process:
        facts = {**asdict(found), "start": found.start, "verdict": found.verdict}
        folder.set_status("running", linear_probe=facts)
        run.reporter.note(f"linear probe: {found.verdict}")


def _train(run: Run, folder: RunFolder, splits: Splits, config: RunConfig, taken: bool) -> None:
    """Train to the end and save the model; first show epochs taken from the clean baseline."""
    horizon = run.plan.horizon
    cost = _cost_of_steps(config, horizon.steps) if is_shown() else float
    with show_progress(run.reporter, "training", horizon, run.step, cost):
        for row in run.history.rows() if taken else ():
            show_epoch(run, row)
        fit(run)
    if run.accelerator.is_main_process:
        with run.measured():
            _save_result(run, folder, splits, config)
        folder.set_status("complete", epochs=run.progress.epoch)
        write_pages_of(folder)
    # end_training() would also destroy the process group, which an evaluation may need.
    for tracker in run.accelerator.trackers:
        tracker.finish()
    run.accelerator.wait_for_everyone()


def _cost_of_steps(config: RunConfig, steps: int) -> Callable[[float], float]:
    """Return the cost of the first steps; all cost the same if own parts cannot be counted."""
    try:
        with scoped_seed(config.seed, "cost of steps"):
            return cost_of_steps(config, steps)
    # Own parts may need more than the small network has, and progress is no reason to fail.
    except Exception:
        return float


@contextmanager
def record_outcome(run: Run, folder: RunFolder) -> Iterator[None]:
    """Write to run.json why the block stopped, if it is interrupted or fails."""
    try:
        yield
    except Interrupted as stop:
        _record_stop(run, folder, "interrupted", str(stop))
        raise
    except BaseException as error:
        _record_stop(run, folder, "failed", f"{type(error).__name__}: {error}")
        raise


def _record_stop(run: Run, folder: RunFolder, status: str, reason: str) -> None:
    if run.accelerator.is_main_process:
        # The reason that is raised counts more than a folder that is gone, or a full disk.
        with suppress(RunError):
            run.require_held()
            folder.set_status(status, step=run.step, reason=reason)


def _save_result(run: Run, folder: RunFolder, splits: Splits, config: RunConfig) -> None:
    model = run.bare_model
    assert isinstance(model, NormalizedModel)
    if config.training.checkpoint == "best":
        best = run.best.latest()
        assert best is not None, "every finished epoch is compared with the best one"
        model.load_state_dict(best.model)
    for strategy in run.strategies:
        model = strategy.finished(model)
    side, resize = splits.image_shape[-1], config.data.resize
    save_model(model, folder.model, list(splits.class_names), side, resize)
