"""Refine a run after training: RiFT, with all choices made on the validation split.

measure the criticality of every layer      # on fixed adversarial examples of validation images
fine-tune the least critical layer          # on clean training images; the others are fixed
for each fraction a of 0, 0.1, ..., 1:      # w(a) = (1 - a) w_before + a w_after
    measure w(a) on the validation split
save the best one                           # see `choose`
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import Tensor, nn

from rampart.attacks.base import CountingModel
from rampart.data.splits import Splits
from rampart.errors import RampartError, RunError
from rampart.evaluation.criticality import Criticality
from rampart.models.external.fingerprints import weights_fingerprint
from rampart.models.interpolation import interpolate
from rampart.models.normalized import NormalizedModel
from rampart.models.saving import save_model
from rampart.recipes.accelerator import make_accelerator
from rampart.recipes.between import FRACTIONS, Between, choose, measure_between
from rampart.recipes.config.loading import load_config, save_config
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.data_identity import describe_data, require_same_data
from rampart.recipes.measured import require_measurable
from rampart.recipes.pages import write_pages_of
from rampart.recipes.refining.fine_tuning import fine_tune
from rampart.recipes.refining.measuring import least_critical, make_examples, measure_layers
from rampart.recipes.refining.settings import Refinement
from rampart.recipes.refining.suited import require_attacked, trained_layers
from rampart.recipes.saved_model import load_saved_model, source_of
from rampart.recipes.splits import make_splits
from rampart.reports.criticality import write_criticality
from rampart.runs.afterwards import GIVEN_RUNS, REFINEMENT, name_afterwards
from rampart.runs.lock import RequireHeld, only_writer
from rampart.runs.run_folder import RunFolder
from rampart.training.interrupts import Interrupted
from rampart.training.reporting import Reporter, Silent


@dataclass(frozen=True)
class Listener:
    """Receives the results of a refinement as they are found.

    Attributes:
        on_criticality: gets all layers, in the order of the network, once they are measured.
        on_found: gets the accuracies of each model between the two.
    """

    on_criticality: Callable[[list[Criticality]], None] = lambda found: None
    on_found: Callable[[Between], None] = lambda found: None


def refine_run(
    run: Path,
    output: Path,
    settings: Refinement | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    listener: Listener | None = None,
    splits: Splits | None = None,
    network: NormalizedModel | None = None,
) -> tuple[RunFolder, Between]:
    """Save a refined copy of a run as a run that `rampart evaluate` accepts.

    No test image takes part. At fraction 0 the result is the run itself, so on the validation split
    it is never worse by the chosen rule.

    Args:
        run: a finished run of adversarial training; the new run gets its configuration.
        output: folder of the new run.
        settings: of the refinement; by default those of the interrupted one, or the published ones.
        resume: continue the refinement in the folder, which ends as if it had not stopped.
        overwrite: replace the run in the folder.
        reporter: receives steps, epochs and notes of the fine-tuning.
        listener: receives the other results.
        splits: the data of the run, in place of the configured ones.
        network: the model of the run, in place of the saved one.

    Raises:
        RunError: the run is not finished, had no attack in training, or trained one layer only; the
            data have changed; or the folder cannot be used.
        Interrupted: a signal stopped the fine-tuning.
    """
    source, folder = RunFolder(run), RunFolder(output)
    source.require_finished()
    if output.resolve() == run.resolve():
        raise RunError(f"output folder {output} is the run itself: choose another with --output.")
    folder.require_free(resume, overwrite)
    job = _prepare(source, splits, network)
    listener = listener or Listener()
    with only_writer(folder.path) as require_held:
        # Another process may have written the folder until now.
        folder.require_free(resume, overwrite)
        settings = _settings(folder, resume, job, settings)
        if folder.exists() and resume and folder.status() == "complete":
            return folder, _chosen(folder)
        if not (folder.exists() and resume):
            _begin(folder, job, settings)
        with _recorded_stop(folder, require_held):
            best = _refine(folder, job, settings, reporter or Silent(), listener, require_held)
        return folder, best


@contextmanager
def _recorded_stop(folder: RunFolder, require_held: RequireHeld) -> Iterator[None]:
    """Write to run.json why the block stopped, if it is interrupted or fails."""
    try:
        yield
    except BaseException as error:
        status = "interrupted" if isinstance(error, KeyboardInterrupt | Interrupted) else "failed"
        # The reason that is raised counts more than a folder that is gone, or a full disk.
        with suppress(RunError):
            require_held()
            folder.set_status(status, reason=f"{type(error).__name__}: {error}")
        raise


@dataclass(frozen=True)
class _Job:
    """The run to refine: its model in eval mode on the device, its data, its layers."""

    source: RunFolder
    config: RunConfig
    splits: Splits
    accelerator: Accelerator
    model: NormalizedModel
    layers: dict[str, nn.Parameter]
    start: str


def _prepare(source: RunFolder, splits: Splits | None, network: NormalizedModel | None) -> _Job:
    """Refuse a run that cannot be refined; return what is needed."""
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
    return _Job(source, config, splits, accelerator, model, layers, start)


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


def _settings(
    folder: RunFolder, resume: bool, job: _Job, settings: Refinement | None
) -> Refinement:
    """Return the settings; refuse to resume a folder of another refinement, or with others."""
    if not (resume and folder.exists()):
        return settings or Refinement()
    facts = folder.facts()
    if REFINEMENT not in facts:
        raise RunError(f"{folder.path} holds a run, but no refinement to resume.")
    known = Refinement(**facts[REFINEMENT]["settings"])
    if facts.get("start") != job.start:
        raise RunError(
            f"{folder.path} refines another model than that in {job.source.path}: give the run "
            f"that it was started with, {facts[REFINEMENT]['of']}, or choose another --output."
        )
    if settings not in (None, known):
        ours, theirs = asdict(known), asdict(settings)
        changed = [
            f"{key} {ours[key]} -> {theirs[key]}" for key in ours if ours[key] != theirs[key]
        ]
        raise RunError(
            f"{folder.path} was started with other settings ({', '.join(changed)}): leave them out "
            "to resume with its own, or choose another --output."
        )
    return known


def _begin(folder: RunFolder, job: _Job, settings: Refinement) -> None:
    folder.begin()
    save_config(job.config, folder.config)
    facts: dict[str, Any] = {"of": str(job.source.path), "settings": asdict(settings)}
    if before := name_afterwards(job.source.facts()):
        facts[GIVEN_RUNS] = before
    data = describe_data(job.splits)
    folder.set_status("running", **data, start=job.start, **{REFINEMENT: facts})


def _note_layer(folder: RunFolder, job: _Job, layer: str) -> None:
    """Write the layer that is fine-tuned, and how many weights are trained."""
    trained = job.model.backbone.get_submodule(layer).parameters(recurse=False)
    sizes = {
        "trained": sum(weight.numel() for weight in trained),
        "all": sum(weight.numel() for weight in job.model.parameters()),
    }
    facts = {**folder.facts()[REFINEMENT], "layer": layer}
    folder.set_status("running", parameters=sizes, **{REFINEMENT: facts})


def _refine(
    folder: RunFolder,
    job: _Job,
    settings: Refinement,
    reporter: Reporter,
    listener: Listener,
    require_held: RequireHeld,
) -> Between:
    found = _measure(folder, job, settings, require_held)
    listener.on_criticality(found)
    layer = least_critical(found)
    require_held()
    _note_layer(folder, job, layer.module)
    before = _weights(job.model)
    tuned = fine_tune(
        job.model,
        layer.module,
        job.config,
        folder,
        job.splits,
        job.accelerator,
        settings,
        reporter,
        require_held,
    )
    ends, validation = (before, _weights(tuned)), job.splits.validation
    rows = measure_between(job.model, ends, FRACTIONS, validation, job.config, listener.on_found)
    best = choose(rows, settings.choose)
    job.model.backbone.load_state_dict(interpolate(*ends, best.fraction))
    require_held()
    side, resize = job.splits.image_shape[-1], job.config.data.resize
    save_model(job.model, folder.model, list(job.splits.class_names), side, resize)
    passes = folder.facts()[REFINEMENT]["passes"] + sum(one.passes for one in rows)
    result = {"fraction": best.fraction, "validation": [asdict(one) for one in rows]}
    _note(folder, require_held, "complete", passes=passes, **result)
    write_pages_of(folder)
    return best


def _measure(
    folder: RunFolder, job: _Job, settings: Refinement, require_held: RequireHeld
) -> list[Criticality]:
    """Return the criticality of every layer; what an interrupted refinement knows is not redone."""
    known = folder.facts()[REFINEMENT]
    counting, before = CountingModel(job.model), known.get("passes", 0)
    examples_passes = 0

    def make() -> Any:
        nonlocal examples_passes
        validation, images = job.splits.validation, settings.images
        examples, examples_passes = make_examples(job.model, validation, job.config, images)
        return examples

    def keep(found: list[Criticality]) -> None:
        passes = before + examples_passes + counting.forwards + counting.backwards
        rows = [asdict(one) for one in found]
        _note(folder, require_held, criticality=rows, passes=passes)

    rows = [Criticality(**row) for row in known.get("criticality", ())]
    found = measure_layers(counting, job.layers, make, settings, rows, keep)
    layer = least_critical(found).module
    write_criticality([asdict(one) for one in found], layer, folder.refinement)
    return found


def _note(
    folder: RunFolder, require_held: RequireHeld, status: str = "running", **facts: Any
) -> None:
    """Add to what run.json says of the refinement."""
    require_held()
    known = folder.facts()[REFINEMENT]
    folder.set_status(status, **{REFINEMENT: {**known, **facts}})


def _weights(model: NormalizedModel) -> dict[str, Tensor]:
    state = model.backbone.state_dict()
    return {name: value.detach().cpu().clone() for name, value in state.items()}


def _chosen(folder: RunFolder) -> Between:
    """Return the chosen model of a finished refinement."""
    facts = folder.facts()[REFINEMENT]
    rows = [Between(**row) for row in facts["validation"]]
    return next(one for one in rows if one.fraction == facts["fraction"])
