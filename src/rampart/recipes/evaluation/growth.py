"""A finished evaluation of some of the images grows: it goes on from those it has attacked."""

import math

from rampart.errors import RampartError
from rampart.evaluation.partial_results import PartialResults
from rampart.files import move
from rampart.recipes.config.differences import differences
from rampart.recipes.config.loading import parse_config
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.evaluation.metadata import identity_of
from rampart.recipes.evaluation.naming import AMOUNT
from rampart.recipes.evaluation.subject import Subject
from rampart.records.storage import load_record
from rampart.runs.evaluation_folder import EvaluationFolder
from rampart.schema.measuring import EvaluationConfig

#: The keys that may differ: how many images are drawn, and where the result is computed.
_MAY_DIFFER = (*(f"evaluation.{key}" for key in AMOUNT), "training.device")


def can_grow(folder: EvaluationFolder, config: RunConfig) -> bool:
    """Return whether a finished evaluation has attacked a part of what the settings ask for.

    It has if more images, more precision or more confidence in it is all that is new.
    """
    if not folder.is_finished() or not folder.attacked.is_dir():
        return False
    try:
        old = parse_config(load_record(folder.path).metadata.get("settings", {}))
    except RampartError:
        return False
    changed = [one for one in differences(old, config) if one.affects != "nothing"]
    if not all(one.key in _MAY_DIFFER for one in changed):
        return False
    return _asks_for_more(old.evaluation, config.evaluation)


def _asks_for_more(old: EvaluationConfig, new: EvaluationConfig) -> bool:
    """Whether the images of the new settings include those of the old ones."""
    if (old.stratified or old.until is not None) != (new.stratified or new.until is not None):
        return False
    limits = [math.inf if one.limit is None else one.limit for one in (old, new)]
    if limits[1] < limits[0]:
        return False
    if new.until is None:
        return limits[1] > limits[0] or old.until is not None
    if old.until is None:
        return True
    if new.until > old.until or new.confidence < old.confidence:
        return False
    return limits[1] > limits[0] or new.until < old.until or new.confidence > old.confidence


def continue_from(folder: EvaluationFolder, subject: Subject) -> None:
    """Make the images of a finished evaluation the partial results of an unfinished one.

    Raises:
        RunError: they belong to another model, other data or other settings.
    """
    # Refused before anything is moved.
    PartialResults(folder.attacked, identity_of(subject))
    move(folder.attacked, folder.partial)


def images_there(folder: EvaluationFolder) -> int:
    """Return the number of images of the record in a folder; 0 without a record."""
    try:
        return len(load_record(folder.path)) if folder.record.is_file() else 0
    except RampartError:
        return 0
