"""What a refinement starts from, and its settings; what does not fit is refused before any work."""

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from accelerate import Accelerator
from torch import nn

from rampart.data.splits import Splits
from rampart.errors import RampartError, RunError
from rampart.models.external.fingerprints import weights_fingerprint
from rampart.models.normalized import NormalizedModel
from rampart.recipes.accelerator import make_accelerator
from rampart.recipes.config.loading import load_config
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.data_identity import require_same_data
from rampart.recipes.measurable import require_measurable
from rampart.recipes.refining.settings import Refinement
from rampart.recipes.refining.suited import require_attacked, trained_layers
from rampart.recipes.saved_model import load_saved_model, source_of
from rampart.recipes.splits import make_splits
from rampart.runs.afterwards import REFINEMENT
from rampart.runs.run_folder import RunFolder

#: All settings of a refinement, or those that are given, by their names.
Given = Refinement | Mapping[str, Any] | None


@dataclass(frozen=True)
class Job:
    """The run to refine: its model in eval mode on the device, its data, its layers."""

    source: RunFolder
    config: RunConfig
    splits: Splits
    accelerator: Accelerator
    model: NormalizedModel
    layers: dict[str, nn.Parameter]
    start: str


def prepare(
    source: RunFolder, splits: Splits | None = None, network: NormalizedModel | None = None
) -> Job:
    """Refuse a run that cannot be refined; return what is needed.

    Args:
        source: the run.
        splits: its data, in place of the configured ones.
        network: its model, in place of the saved one.

    Raises:
        RunError: as `refine_run`.
    """
    config = load_config(source)
    require_attacked(source.path, config)
    accelerator = make_accelerator(config)
    if accelerator.num_processes > 1:
        raise RunError("a refinement takes one process: run it without `accelerate launch`.")
    model = load_saved_model(source, config) if network is None else copy.deepcopy(network)
    model = model.to(accelerator.device).eval()
    layers = trained_layers(source.path, config, model)
    # The run has checked its settings against the test images, which stay closed here.
    require_measurable(config)
    splits = _own_data(source, config, splits)
    start = weights_fingerprint(model)
    return Job(source, config, splits, accelerator, model, layers, start)


def _own_data(source: RunFolder, config: RunConfig, splits: Splits | None) -> Splits:
    """Return the data of a run; refuse one whose validation split is not there as it was."""
    try:
        splits = splits or make_splits(config, source_of(source, config))
        require_same_data(source, splits)
    except RampartError as error:
        raise RunError(
            f"{source.path} lacks the validation split that it was trained with, on which a "
            f"refinement chooses: {error}"
        ) from error
    return splits


def settings_of(folder: RunFolder, resume: bool, job: Job, given: Given) -> Refinement:
    """Return the settings of a refinement: those of the folder if it is resumed.

    Args:
        folder: of the new run.
        resume: whether the refinement in the folder is continued.
        job: the run to refine.
        given: all settings, or those that are given by their names.

    Raises:
        RunError: the folder holds no refinement, or one of another run or with other settings.
        InvalidArgument: a setting is out of range.
    """
    named = asdict(given) if isinstance(given, Refinement) else dict(given or {})
    if not resume:
        return Refinement(**named)
    if not folder.exists():
        raise RunError(
            f"the refinement in {folder.path} was stopped before it began: leave out --resume to "
            "start it again."
        )
    facts = folder.facts()
    if REFINEMENT not in facts:
        raise RunError(f"{folder.path} holds a run, but no refinement to resume.")
    if facts.get("start") != job.start:
        raise RunError(
            f"{folder.path} refines another model than that in {job.source.path}: give the run "
            f"that it was started with, {facts[REFINEMENT]['of']}, or choose another --output."
        )
    known = Refinement(**facts[REFINEMENT]["settings"])
    if changed := spell_changes(asdict(known), named):
        raise RunError(
            f"{folder.path} was started with other settings ({changed}): leave them out to resume "
            "with its own, or choose another --output."
        )
    return known


def spell_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return the settings that have other values in `new`, which may hold a part of them."""
    changed = [f"{key} {old[key]} -> {new[key]}" for key in new if new[key] != old[key]]
    return ", ".join(changed)
