"""Evaluate into a folder: refuse, resume or replace what it contains, and save the record."""

from pathlib import Path

from accelerate import Accelerator

from rampart.counting import counted
from rampart.errors import RampartError, RunError
from rampart.evaluation.partial_results import PartialResults
from rampart.guarded import CallError
from rampart.recipes.accelerator import one_writer
from rampart.recipes.config.differences import differences, spell_differences
from rampart.recipes.config.loading import parse_config
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.evaluation.gallery import keep_gallery
from rampart.recipes.evaluation.growth import can_grow, continue_from, images_there
from rampart.recipes.evaluation.measure import Progress, evaluate_subject, require_valid
from rampart.recipes.evaluation.metadata import identity_of
from rampart.recipes.evaluation.subject import Subject
from rampart.recipes.evaluation.tracking import track_evaluation
from rampart.recipes.pages import write_pages
from rampart.records.record import EvaluationRecord
from rampart.records.storage import load_record, save_record
from rampart.runs.evaluation_folder import EvaluationFolder
from rampart.runs.lock import tidy


def evaluate_into(
    subject: Subject,
    target: Path,
    accelerator: Accelerator,
    overwrite: bool,
    on_progress: Progress | None,
) -> EvaluationRecord:
    """Evaluate into a folder; resume an unfinished evaluation in it.

    A finished one that has attacked a part of the wanted images grows.

    Raises:
        RunError: the folder holds a finished evaluation, or other files, or another process writes
            it.
    """
    folder = EvaluationFolder(target)
    _require_free(folder, subject, overwrite)
    require_valid(subject)
    folder.require_own()
    with one_writer(target, accelerator):
        # Another process may have written the folder until now.
        _require_free(folder, subject, overwrite)
        return _evaluate(subject, folder, accelerator, overwrite, on_progress)


def _require_free(folder: EvaluationFolder, subject: Subject, overwrite: bool) -> None:
    if folder.is_finished() and not overwrite and not can_grow(folder, subject.config):
        tidy(folder.path)
        raise RunError(
            f"{folder.path} holds a finished evaluation"
            f"{_describe_difference(folder.path, subject.config)}: --overwrite replaces it, "
            "--output chooses another folder."
        )


def _evaluate(
    subject: Subject,
    folder: EvaluationFolder,
    accelerator: Accelerator,
    overwrite: bool,
    on_progress: Progress | None,
) -> EvaluationRecord:
    accelerator.wait_for_everyone()
    if overwrite and accelerator.is_main_process:
        folder.clear()
    accelerator.wait_for_everyone()
    at_least, grows = images_there(folder), can_grow(folder, subject.config)
    accelerator.wait_for_everyone()
    if grows and accelerator.is_main_process:
        continue_from(folder, subject)
    accelerator.wait_for_everyone()
    partial_results = PartialResults(
        folder.partial, identity_of(subject), accelerator.process_index
    )
    try:
        record = evaluate_subject(subject, accelerator, partial_results, on_progress, at_least)
    except CallError as error:
        raise _with_count(error, partial_results, len(subject.split.ids)) from error
    if accelerator.is_main_process:
        save_record(record, folder.path)
        _draw(record, folder.picture, subject)
        keep_gallery(subject, record, folder)
        if _draws_images(subject.config):
            partial_results.keep(folder.attacked)
        else:
            partial_results.remove()
        write_pages(folder, subject.run)
        track_evaluation(subject, record, folder)
    accelerator.wait_for_everyone()
    return record


def _with_count(error: CallError, partial_results: PartialResults, images: int) -> CallError:
    """Return the error of a model that has failed in mid-evaluation, with what is kept."""
    done = len(partial_results.read(adversarial_examples=False))
    if not done:
        return error
    return type(error)(
        f"{error} {done} of {counted(images, 'image')} are evaluated and kept: with the same model "
        "the same command goes on after them."
    )


def _draws_images(config: RunConfig) -> bool:
    """Whether the evaluation may have left images out that a later one takes."""
    return config.evaluation.limit is not None or config.evaluation.until is not None


def _describe_difference(target: Path, config: RunConfig) -> str:
    """Return how the settings of the existing evaluation differ, if they can be read."""
    try:
        old = parse_config(load_record(target).metadata.get("settings", {}))
    except RampartError:
        return ""
    changed = differences(old, config)
    return f" with other settings ({spell_differences(changed)})" if changed else ""


def _draw(record: EvaluationRecord, path: Path, subject: Subject) -> None:
    """Draw the curve of a record."""
    # Rendering is slow to import.
    from rampart.reports.plots import save_curve

    name = Path(subject.model.name).name
    title = f"{name} · {subject.config.schedule.name}" if subject.run else name
    save_curve(record, path, title=title)
