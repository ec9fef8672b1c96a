"""Refine a run after training: RiFT, with all choices made on the validation split.

measure the criticality of every layer      # on fixed adversarial examples of validation images
fine-tune the least critical layer          # on clean training images; the others are fixed
for each fraction a of 0, 0.1, ..., 1:      # w(a) = (1 - a) w_before + a w_after
    measure w(a) on the validation split
save the best one                           # see `choose`
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from rampart.attacks.base import CountingModel
from rampart.data.splits import Splits
from rampart.errors import RunError
from rampart.evaluation.criticality import Criticality, Examples, Score, score
from rampart.models.external.fingerprints import weights_fingerprint
from rampart.models.interpolation import interpolate
from rampart.models.normalized import NormalizedModel
from rampart.models.saving import save_model
from rampart.recipes.between import State, measure_between
from rampart.recipes.choosing import FRACTIONS, Between, choose
from rampart.recipes.config.loading import save_config
from rampart.recipes.data_identity import describe_data
from rampart.recipes.pages import write_pages_of
from rampart.recipes.refining.fine_tuning import fine_tune
from rampart.recipes.refining.measuring import least_critical, make_examples, measure_layers
from rampart.recipes.refining.places import require_apart
from rampart.recipes.refining.preparing import Given, Job, prepare, settings_of
from rampart.recipes.refining.settings import Refinement
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
    settings: Given = None,
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
        settings: of the refinement, or a part of them by their names. The others are the published
            ones, or those of the refinement that is continued.
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
    require_apart([(run, output)])
    folder.require_free(resume, overwrite)
    job = prepare(source, splits, network)
    listener = listener or Listener()
    with only_writer(folder.path) as require_held:
        # Another process may have written the folder until now.
        folder.require_free(resume, overwrite)
        wanted = settings_of(folder, resume, job, settings)
        if resume and folder.status() == "complete":
            return folder, _chosen(folder)
        if not resume:
            _begin(folder, job, wanted)
        with _recorded_stop(folder, require_held):
            best = _refine(folder, job, wanted, reporter or Silent(), listener, require_held)
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


def _begin(folder: RunFolder, job: Job, settings: Refinement) -> None:
    folder.begin()
    save_config(job.config, folder.config)
    facts: dict[str, Any] = {"of": str(job.source.path), "settings": asdict(settings)}
    if before := name_afterwards(job.source.facts()):
        facts[GIVEN_RUNS] = before
    data = describe_data(job.splits)
    folder.set_status("running", **data, start=job.start, **{REFINEMENT: facts})


def _note_layer(folder: RunFolder, job: Job, layer: str) -> None:
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
    job: Job,
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
    ends = before, _weights(tuned)
    rows = _measure_between(folder, job, ends, weights_fingerprint(tuned), listener, require_held)
    best = choose(rows, settings.choose)
    job.model.backbone.load_state_dict(interpolate(*ends, best.fraction))
    require_held()
    side, resize = job.splits.image_shape[-1], job.config.data.resize
    save_model(job.model, folder.model, list(job.splits.class_names), side, resize)
    _note(folder, require_held, "complete", fraction=best.fraction)
    write_pages_of(folder)
    return best


def _measure(
    folder: RunFolder, job: Job, settings: Refinement, require_held: RequireHeld
) -> list[Criticality]:
    """Return the criticality of every layer; what an interrupted refinement knows is not redone.

    Passes are counted once, as if there had been no interruption: the examples, which are made
    again, only with the first layer.
    """
    known = folder.facts()[REFINEMENT]
    counting, before = CountingModel(job.model), known.get("passes", 0)
    rows = [Criticality(**row) for row in known.get("criticality", ())]

    def make() -> tuple[Examples, Score]:
        nonlocal before
        validation, images = job.splits.validation, settings.images
        examples, passes = make_examples(job.model, validation, job.config, images)
        trained = score(job.model, examples)
        if not rows:
            before += passes + sum(len(labels) for _, labels in examples)
        return examples, trained

    def keep(found: list[Criticality]) -> None:
        passes = before + counting.forwards + counting.backwards
        _note(folder, require_held, criticality=[asdict(one) for one in found], passes=passes)

    found = measure_layers(counting, job.layers, make, settings, rows, keep)
    layer = least_critical(found).module
    write_criticality([asdict(one) for one in found], layer, folder.refinement)
    return found


def _measure_between(
    folder: RunFolder,
    job: Job,
    ends: tuple[State, State],
    tuned: str,
    listener: Listener,
    require_held: RequireHeld,
) -> list[Between]:
    """Return the accuracies of the models between two ends; each is noted as it is found.

    Args:
        folder: of the new run; what it knows of these ends is not measured again.
        job: the run to refine.
        ends: the backbone's weights before and after the fine-tuning.
        tuned: fingerprint of the fine-tuned model.
        listener: receives all of them.
        require_held: refuses a folder that was removed or replaced.
    """
    facts = folder.facts()[REFINEMENT]
    noted = [Between(**row) for row in facts.get("validation", ())]
    spent = facts["passes"] - sum(one.passes for one in noted)
    known = noted if facts.get("tuned") == tuned else []
    found = list(known)

    def keep(one: Between) -> None:
        found.append(one)
        passes, rows = spent + sum(one.passes for one in found), [asdict(one) for one in found]
        _note(folder, require_held, validation=rows, tuned=tuned, passes=passes)
        listener.on_found(one)

    for one in known:
        listener.on_found(one)
    validation = job.splits.validation
    return measure_between(job.model, ends, FRACTIONS, validation, job.config, keep, known)


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
