"""The folder of a study: where its runs lie, and that it holds nothing of others."""

from collections.abc import Sequence
from pathlib import Path

from rampart.errors import RunError
from rampart.experiments.study import Study, file_name
from rampart.files import require_output_folder
from rampart.runs.contents import runs_in, spell

#: Folders of the runs of methods, and of the options of choices.
RUNS, CHOICES = "runs", "choices"


def run_place(folder: Path, task: str, method: str, seed: int) -> Path:
    """Return the folder of one run below the folder of its kind."""
    return folder / file_name(task) / file_name(method) / f"seed-{seed}"


def choice_folder(output: Path, choice: str) -> Path:
    """Return the folder of the runs that decide a choice."""
    return output / CHOICES / file_name(choice)


def run_places(study: Study, output: Path) -> set[Path]:
    """Return the folders of all runs that a study may have."""
    places = {
        run_place(output / RUNS, task, method, seed)
        for task in study.tasks
        for method in (*study.methods, *study.choices)
        for seed in study.seeds
    }
    return places | {
        run_place(choice_folder(output, name), task, option, seed)
        for name, choice in study.choices.items()
        for task in study.tasks
        for option in choice.among
        for seed in choice.seeds
    }


def require_own_folder(study: Study, output: Path) -> None:
    """Refuse a folder with runs that are not of the study, or with folders and no study.

    Files, such as the study's own file and logs, may lie there.

    Raises:
        RunError: the folder holds others, or cannot be written.
    """
    require_output_folder(output)
    if not output.is_dir():
        return
    own = run_places(study, output)
    if others := [path for path in runs_in(output) if path not in own]:
        raise _occupied(output, "runs that are not of this study", others)
    if (output / "run.json").is_file() or (output / "record.json").is_file():
        raise _occupied(output, "the files of a run or an evaluation", [])
    folders = [path for path in sorted(output.iterdir()) if path.is_dir()]
    folders = [path for path in folders if not path.name.startswith(".")]
    if folders and not {RUNS, CHOICES} & {path.name for path in folders}:
        raise _occupied(output, "other folders", folders)


def _occupied(output: Path, kind: str, others: Sequence[Path]) -> RunError:
    named = f" ({spell(others, word='and')})" if others else ""
    move = "move or delete them, or " if others else ""
    return RunError(
        f"output folder {output} holds {kind}{named}: {move}choose another folder with --output."
    )
