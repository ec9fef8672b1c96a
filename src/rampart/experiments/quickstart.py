"""The quickstart: four schedules on the embedded task, each trained and evaluated."""

from importlib.resources import files
from pathlib import Path

from rampart.errors import RunError
from rampart.files import require_output_folder
from rampart.plain import read_plain
from rampart.recipes.config.loading import parse_config
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.evaluation.evaluate_named import ensure_evaluated
from rampart.recipes.train import train_run
from rampart.runs.run_folder import RunFolder
from rampart.training.reporting import Reporter, Silent

SCHEDULES = ("standard", "fix", "two-hinge", "adaptive")
SEEDS = (0, 1, 2, 3, 4)


def quickstart_config(schedule: str, seed: int) -> RunConfig:
    """Return the configuration of one run on the embedded task."""
    text = files("rampart.assets").joinpath("digit-pairs.yaml").read_text(encoding="utf-8")
    return parse_config({**read_plain(text), "schedule": schedule, "seed": seed})


def run_quickstart(
    output: Path,
    *,
    seeds: tuple[int, ...] = SEEDS[:1],
    resume: bool = False,
    overwrite: bool = False,
    reporter: Reporter | None = None,
) -> list[Path]:
    """Train and evaluate every schedule with every seed; return the folders of the runs.

    Raises:
        RunError: the output folder is not empty, and neither `resume` nor `overwrite` is set.
    """
    _prepare(output, resume, overwrite)
    folders = []
    for seed in seeds:
        for schedule in SCHEDULES:
            folder = RunFolder(output / f"{schedule}-seed{seed}")
            train_run(
                quickstart_config(schedule, seed),
                folder.path,
                resume=folder.exists(),
                reporter=reporter or Silent(),
            )
            ensure_evaluated(folder.path)
            folders.append(folder.path)
    return folders


def _prepare(output: Path, resume: bool, overwrite: bool) -> None:
    if resume and overwrite:
        raise RunError("--resume and --overwrite contradict each other: give one of them.")
    require_output_folder(output)
    if not output.exists() or resume:
        return
    if not overwrite and any(output.iterdir()):
        raise RunError(
            f"output folder {output} exists: --resume continues its runs, --overwrite replaces "
            "them, --output chooses another."
        )
    for folder in output.iterdir():
        RunFolder(folder).clear()
