"""Interpolate between the weights of two runs; the validation split chooses the best model."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rampart.data.splits import Splits
from rampart.errors import RunError
from rampart.models.backbones import build_model
from rampart.models.interpolation import interpolate
from rampart.models.normalized import NormalizedModel
from rampart.models.own import MODULE
from rampart.models.saving import save_model
from rampart.models.sources import Source, find_source
from rampart.models.weight_files import read_weights
from rampart.recipes.accelerator import make_accelerator
from rampart.recipes.between import measure_between
from rampart.recipes.choosing import FRACTIONS, Between, choose, require_fractions
from rampart.recipes.config.differences import differences
from rampart.recipes.config.loading import load_config, save_config
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.data_identity import describe_data, require_same_data
from rampart.recipes.pages import write_card_of
from rampart.recipes.saved_model import read_description
from rampart.recipes.splits import make_splits
from rampart.runs.afterwards import GIVEN_RUNS, INTERPOLATION, name_afterwards
from rampart.runs.lock import RequireHeld, only_writer
from rampart.runs.run_folder import RunFolder


def interpolate_runs(
    first: Path,
    second: Path,
    output: Path,
    *,
    fractions: Sequence[float] = FRACTIONS,
    overwrite: bool = False,
    on_found: Callable[[Between], None] = lambda found: None,
) -> tuple[RunFolder, Between]:
    """Save the best interpolation of two runs as a run that `rampart evaluate` accepts.

    RiFT (Zhu et al. 2023, arXiv 2308.02533) interpolates between a robust model and one fine-tuned
    from it. Here no test image takes part in the choice: the chosen fraction has the highest
    expected robustness on the validation split, under the evaluation attack of the first run. If 0
    and 1 are among the fractions, as by default, the chosen model is at least as good there as both
    runs.

    Args:
        first: a finished run; the new run gets its configuration.
        second: a finished run of the same architecture on the same data.
        output: folder of the new run.
        fractions: of the second model's weights, in [0, 1].
        overwrite: replace the run in the folder.
        on_found: called with the accuracies at each fraction.

    Raises:
        RunError: a run is not finished, the data or architectures differ, or the folder cannot be
            used, as while another process writes it.
        InvalidArgument: a fraction outside [0, 1], or none.
    """
    require_fractions(fractions)
    runs, folder = (RunFolder(first), RunFolder(second)), RunFolder(output)
    for run in runs:
        run.require_finished()
        _require_named_model(run)
    if output.resolve() in (first.resolve(), second.resolve()):
        raise RunError(f"output folder {output} is one of the two runs: choose another path.")
    folder.require_free(resume=None, overwrite=overwrite)
    with only_writer(folder.path) as require_held:
        # Another process may have written the folder until now.
        folder.require_free(resume=None, overwrite=overwrite)
        return folder, _interpolate_into(folder, runs, fractions, on_found, require_held)


def _interpolate_into(
    folder: RunFolder,
    runs: tuple[RunFolder, RunFolder],
    fractions: Sequence[float],
    on_found: Callable[[Between], None],
    require_held: RequireHeld,
) -> Between:
    config = load_config(runs[0])
    model, splits = _prepare(runs, config)
    start, end = (read_weights(run.model / "model.safetensors") for run in runs)
    found = measure_between(model, (start, end), fractions, splits.validation, config, on_found)
    best = choose(found)
    model.backbone.load_state_dict(interpolate(start, end, best.fraction))
    require_held()
    folder.begin()
    save_config(config, folder.config)
    side, resize = splits.image_shape[-1], config.data.resize
    save_model(model, folder.model, splits.class_names, side, resize)
    facts = {
        "first": str(runs[0].path),
        "second": str(runs[1].path),
        "fraction": best.fraction,
        "validation": [asdict(one) for one in found],
        GIVEN_RUNS: _methods(runs, config),
    }
    folder.set_status("complete", **describe_data(splits), **{INTERPOLATION: facts})
    write_card_of(folder)
    return best


def _methods(runs: tuple[RunFolder, RunFolder], config: RunConfig) -> dict[str, Any]:
    """Return what tells both runs from trained ones of the first one's configuration."""
    changed = differences(config, load_config(runs[1]))
    settings = {one.key: one.new for one in changed if one.affects == "training"}
    settings.pop("seed", None)
    begun = str(settings.get("model.name", "")).removeprefix("local-dir:")
    # Each seed has another folder.
    if begun and Path(begun).resolve() == runs[0].model.resolve():
        settings["model.name"] = "the first run"
    first, second = (name_afterwards(run.facts()) for run in runs)
    methods = {"first": first, "second": {**settings, **second}}
    return {name: method for name, method in methods.items() if method}


def _prepare(
    runs: tuple[RunFolder, RunFolder], config: RunConfig
) -> tuple[NormalizedModel, Splits]:
    """Return the first run's model, and the data of both runs."""
    reference = f"local-dir:{runs[0].model}"
    splits = make_splits(config, find_source(reference))
    for run in runs:
        require_same_data(run, splits)
    kinds = [find_source(f"local-dir:{run.model}") for run in runs]
    if _architecture(kinds[0]) != _architecture(kinds[1]):
        raise RunError(
            f"{runs[0].path} and {runs[1].path} differ in the architecture, input size or "
            "normalization of their models: give runs of the same model."
        )
    channels, size, _ = splits.image_shape
    model = build_model(
        reference,
        num_classes=len(splits.class_names),
        pretrained_head=True,
        in_chans=channels,
        image_size=size,
    )
    return model.to(make_accelerator(config).device).eval(), splits


def _require_named_model(run: RunFolder) -> None:
    """Refuse a run whose model only Python code can build."""
    if MODULE in read_description(run):
        raise RunError(
            f"{run.path} holds the weights of your own module, and only models that timm builds "
            "are interpolated; in Python use rampart.models.interpolation.interpolate on the two "
            "files of weights."
        )


def _architecture(kind: Source) -> tuple[object, ...]:
    """Return what two models must share; rates of dropout matter in training only."""
    arguments = {name: value for name, value in kind.model_args.items() if "drop" not in name}
    return kind.name, kind.pretrained_cfg, arguments
