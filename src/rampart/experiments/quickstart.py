"""The quickstart: four schedules on the embedded task, each trained and evaluated."""

import re
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path

from rampart.errors import RampartError, RunError
from rampart.files import is_scratch, require_output_folder
from rampart.plain import read_plain
from rampart.recipes.config.identity import identity
from rampart.recipes.config.loading import load_config, parse_config
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.evaluation.evaluate_named import ensure_evaluated
from rampart.recipes.train import train_run
from rampart.reports.comparison import require_own_comparison
from rampart.runs.contents import spell
from rampart.runs.lock import is_lock, only_writer
from rampart.runs.run_folder import RunFolder
from rampart.training.reporting import Reporter, Silent

SCHEDULES = ("standard", "fix", "two-hinge", "adaptive")
SEEDS = (0, 1, 2, 3, 4)
#: The name of the folder of a run.
_NAME = re.compile(rf"(?P<schedule>{'|'.join(SCHEDULES)})-seed(?P<seed>[0-9]+)")


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
        RunError: the output folder is not empty, and neither `resume` nor `overwrite` is set; it
            holds folders or a comparison of others; or another process writes a run in it.
    """
    if resume and overwrite:
        raise RunError("--resume and --overwrite contradict each other: give one of them.")
    require_output_folder(output)
    with only_writer(output):
        _prepare(output, resume, overwrite)
        return [
            _run(output, schedule, seed, reporter or Silent())
            for seed in seeds
            for schedule in SCHEDULES
        ]


def _run(output: Path, schedule: str, seed: int, reporter: Reporter) -> Path:
    """Train and evaluate one run, or what is missing of it; return its folder."""
    folder = RunFolder(output / f"{schedule}-seed{seed}")
    config = quickstart_config(schedule, seed)
    reporter.note(f"{schedule}, seed {seed}")
    train_run(config, folder.path, resume=folder.exists(), reporter=reporter)
    ensure_evaluated(folder.path)
    return folder.path


def _prepare(output: Path, resume: bool, overwrite: bool) -> None:
    """Refuse a folder that holds others, or runs without a choice; delete what is replaced."""
    entries = [one for one in output.iterdir() if not (is_lock(one) or is_scratch(one))]
    if not (resume or overwrite) and entries:
        raise RunError(
            f"output folder {output} exists: --resume continues its runs, --overwrite replaces "
            "them, --output chooses another."
        )
    own = _own_folders(output)
    require_own_comparison(output, [folder.name for folder in own])
    if overwrite:
        with ExitStack() as held:
            for folder in own:
                held.enter_context(only_writer(folder))
            for folder in own:
                RunFolder(folder).clear()


def _own_folders(output: Path) -> list[Path]:
    """Return the folders that a quickstart made; refuse those of others. Files may lie beside."""
    folders = [path for path in sorted(output.iterdir()) if path.is_dir()]
    folders = [path for path in folders if not path.name.startswith(".")]
    if others := [path for path in folders if not _is_own(path)]:
        raise RunError(
            f"output folder {output} holds folders that are not of a quickstart "
            f"({spell(others, word='and')}): choose another folder with --output."
        )
    return folders


def _is_own(folder: Path) -> bool:
    """Whether a folder holds a run of the quickstart, or nothing yet."""
    found = _NAME.fullmatch(folder.name)
    if found is None:
        return False
    if all(is_lock(entry) for entry in folder.iterdir()):
        return True
    run = RunFolder(folder)
    try:
        ours = quickstart_config(found["schedule"], int(found["seed"]))
        if run.is_unfinished_start():
            return True
        return run.exists() and identity(load_config(run.config)) == identity(ours)
    except RampartError:
        return False
