"""`rampart.refine`: gain clean accuracy after adversarial training."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

from torch import nn

from rampart.api.evaluate import warn_of_verdicts
from rampart.api.finetune import console_reporter, finished_run
from rampart.api.finetuned_run import FinetunedRun, load_run
from rampart.api.training_data import training_splits
from rampart.data.splits import Splits
from rampart.models.own import OwnBackbone
from rampart.progress.display import display_on
from rampart.progress.work import showing
from rampart.recipes.accelerator import preserve_accelerate_state
from rampart.recipes.refining.places import place_beside
from rampart.recipes.refining.refine import refine_run
from rampart.recipes.refining.settings import Refinement
from rampart.recipes.saved_model import source_of
from rampart.recipes.splits import make_splits
from rampart.runs.run_folder import RunFolder
from rampart.terminal import Terminal


def refine(
    run: str | Path | FinetunedRun,
    output: str | Path | None = None,
    settings: Refinement | None = None,
    *,
    data: Any = None,
    resume: bool = False,
    overwrite: bool = False,
    evaluate: bool = True,
    progress: bool = True,
) -> FinetunedRun:
    """Refine a robust run: fine-tune the layer that matters least to robustness on clean images.

    This is RiFT (Zhu et al. 2023, arXiv 2308.02533). The validation split chooses the layer, and
    how much of its change is taken; no test image takes part in a choice.

    Args:
        run: a finished run of adversarial training, or its folder.
        output: folder of the new run; by default that of the run with "-refined" appended.
        settings: by default the published ones.
        data: that the run was trained on, if it was given in Python.
        resume: continue the refinement in `output`.
        overwrite: replace the run in `output`.
        evaluate: evaluate the refined model on the test split.
        progress: print the steps.

    Returns:
        The refined run, which is read like any other.

    Raises:
        RunError: the run is not finished, had no attack in training or trained one layer only; the
            data have changed; or `output` holds another run.
        Interrupted: stopped by a signal; `resume=True` resumes.

    Example:
        >>> refined = rampart.refine("runs/first", settings=rampart.Refinement(lr=0.01))
    """
    run = run if isinstance(run, FinetunedRun) else load_run(run)
    folder = RunFolder(place_beside(run.path) if output is None else Path(output))
    own = run.model.backbone
    module = own.module if isinstance(own, OwnBackbone) else None
    console = Terminal()
    with preserve_accelerate_state(), showing(display_on(console)) if progress else nullcontext():
        splits = _splits(run, data, module)
        refine_run(
            run.path,
            folder.path,
            settings,
            resume=resume,
            overwrite=overwrite,
            reporter=console_reporter(console, progress),
            splits=splits,
            network=run.model,
        )
        found = finished_run(folder, run.config, splits, module, evaluate)
    if found.evaluation is not None:
        warn_of_verdicts(found.evaluation)
    return found


def _splits(run: FinetunedRun, data: Any, module: nn.Module | None) -> Splits:
    """Return the splits of the run, wherever its data are."""
    if data is None:
        return make_splits(run.config, source_of(RunFolder(run.path), run.config))
    return training_splits(data, module, run.config)
