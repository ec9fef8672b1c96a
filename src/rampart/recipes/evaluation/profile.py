"""Profile a run or any other model: evaluate it under several threats, into one folder."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from accelerate import Accelerator

from rampart.errors import InvalidArgument, RampartError, RunError
from rampart.progress.work import watched
from rampart.recipes.accelerator import one_writer
from rampart.recipes.config.differences import differences
from rampart.recipes.config.loading import parse_config
from rampart.recipes.evaluation.corruptions import (
    corrupt_into,
    corrupt_subject,
    require_corruptible,
)
from rampart.recipes.evaluation.evaluate_named import name_for_model, name_for_run
from rampart.recipes.evaluation.measure import Progress, evaluate_subject, require_valid
from rampart.recipes.evaluation.output import evaluate_into
from rampart.recipes.evaluation.settings import load_for_evaluation, load_for_model, of_profile
from rampart.recipes.evaluation.subject import Subject, subject_of_model, subject_of_run
from rampart.recipes.evaluation.threats import ALL_CORRUPTIONS, Threat
from rampart.records.profile import Profile
from rampart.records.record import EvaluationRecord
from rampart.records.storage import load_record
from rampart.reports.profile import write_profile
from rampart.runs.evaluation_folder import EvaluationFolder
from rampart.runs.profile_folder import ProfileFolder
from rampart.runs.run_folder import RunFolder
from rampart.units import CORRUPTIONS, format_eps


def profile_run(
    path: Path,
    overrides: Sequence[str] = (),
    threats: Sequence[Threat] = (),
    output: Path | None = None,
    *,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> tuple[Path, Profile]:
    """Profile the model of a finished run.

    Finished threats are read, and an interrupted one resumes.

    Args:
        path: the run's folder.
        overrides: changes such as `evaluation.limit=200`; the attack is AutoAttack by default.
        threats: see `rampart.recipes.evaluation.threats`.
        output: folder of the profile; by default inside the run's folder.
        overwrite: replace finished evaluations.
        on_progress: called with (evaluations of an image done, evaluations in all).

    Returns:
        The folder of the profile, and the profile.

    Raises:
        RunError: the run is not finished, or the folder holds evaluations with other settings.
        InvalidArgument: a setting that the threats decide.
    """
    folder = RunFolder(path)
    folder.require_finished()
    config = load_for_evaluation(folder, of_profile(overrides))
    accelerator, subject = subject_of_run(folder, config)
    target = output or folder.profiles / name_for_run(folder, subject, spell_threats(threats))
    profile = profile_into(subject, threats, target, accelerator, overwrite, on_progress)
    return target, profile


def profile_model(
    reference: str,
    overrides: Sequence[str],
    threats: Sequence[Threat],
    output: Path | None = None,
    *,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> tuple[Path, Profile]:
    """Profile any classifier (see `rampart.models.external.load`).

    Args and errors as `profile_run`; the overrides name the data, and the default folder is in
    `profiles`.
    """
    config = load_for_model(reference, of_profile(overrides))
    accelerator, subject = subject_of_model(config)
    name = name_for_model(reference, config, spell_threats(threats))
    target = output or Path("profiles") / name
    profile = profile_into(subject, threats, target, accelerator, overwrite, on_progress)
    return target, profile


def profile_into(
    subject: Subject,
    threats: Sequence[Threat],
    target: Path,
    accelerator: Accelerator,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> Profile:
    """Evaluate a subject under every threat, each into its own folder below `target`.

    Raises:
        RunError: a folder holds an evaluation with other settings, or other files, or another
            process writes it.
    """
    folder = ProfileFolder(target)
    folder.require_own()
    subjects = _subjects(subject, threats)
    with one_writer(target, accelerator):
        return _profile(subjects, threats, folder, accelerator, overwrite, on_progress)


def _profile(
    subjects: Sequence[Subject],
    threats: Sequence[Threat],
    folder: ProfileFolder,
    accelerator: Accelerator,
    overwrite: bool,
    on_progress: Progress | None,
) -> Profile:
    kept = [
        None if overwrite else _kept(folder.evaluation(one.norm), own)
        for one, own in zip(threats, subjects, strict=True)
    ]
    records = []
    wanted = list(zip(threats, subjects, kept, strict=True))
    shown = watched(wanted, "profile", len(wanted), "threat")
    for number, (one, own, known) in enumerate(shown):
        progress = _shared(on_progress, number, len(threats))
        target = folder.evaluation(one.norm).path
        records.append(known or _evaluate_into(own, one, target, accelerator, overwrite, progress))
    profile = Profile(tuple(records))
    if accelerator.is_main_process:
        write_profile(profile, folder, Path(subjects[0].model.name).name)
    accelerator.wait_for_everyone()
    return profile


def profile_in_memory(
    subject: Subject,
    threats: Sequence[Threat],
    accelerator: Accelerator,
    on_progress: Progress | None = None,
) -> Profile:
    """Evaluate a subject under every threat without writing files."""
    records = []
    wanted = list(zip(threats, _subjects(subject, threats), strict=True))
    for number, (one, own) in enumerate(watched(wanted, "profile", len(wanted), "threat")):
        progress, kind = _shared(on_progress, number, len(threats)), one.corruption
        records.append(
            corrupt_subject(own, kind, accelerator, progress)
            if kind
            else evaluate_subject(own, accelerator, None, progress)
        )
    return Profile(tuple(records))


def _evaluate_into(
    subject: Subject,
    threat: Threat,
    target: Path,
    accelerator: Accelerator,
    overwrite: bool,
    on_progress: Progress | None,
) -> EvaluationRecord:
    if threat.corruption:
        kind = threat.corruption
        return corrupt_into(subject, kind, target, accelerator, overwrite, on_progress)
    return evaluate_into(subject, target, accelerator, overwrite, on_progress)


def spell_threats(threats: Sequence[Threat]) -> str:
    """Return the threats as a part of a folder's name: "linf-l2_1-corruptions"."""
    corruptions = [one for one in threats if one.corruption]
    every = len(corruptions) == len(CORRUPTIONS)
    named = [one for one in threats if not (every and one.corruption)]
    parts = [one.norm + (f"_{format_eps(one.eps)}" if one.eps else "") for one in named]
    return "-".join([*parts, ALL_CORRUPTIONS] if every else parts)


def _subjects(subject: Subject, threats: Sequence[Threat]) -> list[Subject]:
    """Return the subject under each threat; refuse at once what the last one could not do."""
    wanted, shape = subject.config.evaluation, subject.split.image_shape
    if wanted.until is not None:
        raise InvalidArgument(
            "evaluation.until",
            wanted.until,
            "none, because a profile attacks the same images under every threat",
            "write evaluation.limit=500 for 500 images",
        )
    subjects = [replace(subject, config=one.config(subject.config, shape)) for one in threats]
    for one, own in zip(threats, subjects, strict=True):
        if one.corruption:
            require_corruptible(own, one.corruption)
        else:
            require_valid(own)
    return subjects


def _kept(folder: EvaluationFolder, subject: Subject) -> EvaluationRecord | None:
    """Return the finished evaluation in a folder, None if there is none.

    Raises:
        RunError: it is of another model, of other data, or has other settings.
    """
    if not folder.is_finished():
        return None
    record = load_record(folder.path)
    changed = _differences(record, subject)
    if changed:
        raise RunError(
            f"{folder.path} holds a finished evaluation of {changed}: --overwrite replaces it, "
            "--output chooses another folder."
        )
    return record


def _differences(record: EvaluationRecord, subject: Subject) -> str:
    """Return how an evaluation differs from the one that is wanted; empty if it does not."""
    model, data = (record.metadata.get(part, {}) for part in ("model", "data"))
    if model.get("fingerprint") != subject.model.fingerprint:
        return "another model"
    splits = subject.splits
    if (data.get("fingerprint"), data.get("content")) != (splits.fingerprint(), splits.contents()):
        return "other data"
    try:
        old = parse_config(record.metadata.get("settings", {}))
    except RampartError:
        return "unknown settings"
    changed = [
        str(one)
        for one in differences(old, subject.config)
        if one.affects != "nothing" and not one.is_in("training", "data.name", "data.root")
    ]
    return f"other settings ({'; '.join(changed)})" if changed else ""


def _shared(on_progress: Progress | None, number: int, count: int) -> Progress | None:
    """Return the progress of one of several evaluations of the same images as that of all."""
    if on_progress is None:
        return None
    return lambda done, total: on_progress(number * total + done, count * total)
