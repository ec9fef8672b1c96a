"""A study: every arm on every task with every seed, resumable, and its table.

A study is a YAML file:

    base: {model: ..., data: ..., ...}    what all runs share, as for `rampart train`
    seeds: [0, 1, 2]
    tasks: {photos: [data=photos/, threat.eps=4/255], ...}
    arms: {fix: [schedule=fix], ...}
    references: [fix]                      arms that the others are compared with, if any
    differences: [clean, expected]         what in; expected robustness by default
    choices:                               arms whose settings are chosen on validation
      tuned fix: {arm: fix, seeds: [100], among: {high: [optimiser.head_lr=1e-2], ...}}

Its folder holds `runs/TASK/ARM/seed-S`, each the folder of a run, `choices.json`, `results.csv`
with one row per run, `study.md`, the table, and `study.png`, the picture.
"""

import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from rampart.errors import InvalidArgument, RunError
from rampart.experiments.rows import RunFigures, read_figures
from rampart.experiments.tables import Measure
from rampart.files import write_atomic
from rampart.plugins import IMPORTED, import_parts
from rampart.recipes.config.differences import differences
from rampart.recipes.config.loading import load_config, parse_config
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.evaluation.evaluate import evaluate_run
from rampart.recipes.measured import require_measurable
from rampart.recipes.run import train_run
from rampart.runs.run_folder import RunFolder
from rampart.units import Horizon

Overrides = tuple[str, ...]


def _all_different(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"{list(seeds)} names a seed twice, which would count as two runs")
    return seeds


Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), AfterValidator(_all_different)
]


class Choice(BaseModel):
    """An arm whose settings are chosen among several on the validation split.

    Attributes:
        arm: the arm that the settings are added to.
        among: settings by name.
        seeds: trained with each; the highest mean expected robustness on validation wins.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    arm: str
    among: dict[str, Overrides] = Field(min_length=2)
    seeds: Seeds = (100,)


class Study(BaseModel):
    """What is compared with what; see the module for the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: dict[str, Any]
    seeds: Seeds
    tasks: dict[str, Overrides] = Field(min_length=1)
    arms: dict[str, Overrides] = Field(min_length=1)
    choices: dict[str, Choice] = {}
    references: tuple[str, ...] = ()
    differences: tuple[Measure, ...] = ("expected",)

    def config(self, task: str, arm: Overrides, seed: int) -> RunConfig:
        """Return the configuration of one run."""
        return parse_config(self.base, (*self.tasks[task], *arm, f"seed={seed}"))


@dataclass(frozen=True)
class Cell:
    """One run of a study.

    Attributes:
        task: its name.
        arm: its name; of an option to choose among, the option's.
        config: of the run.
        folder: of the run.
        choice: the choice that it is run for, which is judged on the validation split; none for an
            arm, which is judged on the test split.
    """

    task: str
    arm: str
    config: RunConfig
    folder: Path
    choice: str = ""

    @property
    def split(self) -> str:
        """The split that it is judged on."""
        return "validation" if self.choice else "test"


def load_study(path: Path) -> Study:
    """Read a study and check every run of it, before any is started.

    Raises:
        RunError: no such file, no YAML, or not what a study consists of.
        RampartError: the first run that its configuration does not allow.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        study = Study.model_validate(tree)
    except FileNotFoundError:
        raise RunError(f"study {path} does not exist.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RunError(f"study {path} cannot be read: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise RunError(f"study {path}: {where}: {first['msg']}.") from None
    for reference in study.references:
        if reference not in (*study.arms, *study.choices):
            known = ", ".join([*study.arms, *study.choices])
            raise InvalidArgument("references", reference, f"some of the arms: {known}")
    for name, choice in study.choices.items():
        if choice.arm not in study.arms:
            known = ", ".join(study.arms)
            raise InvalidArgument(f"choices.{name}.arm", choice.arm, f"one of the arms: {known}")
        if name in study.arms:
            raise InvalidArgument(f"choices.{name}", name, "a name that no arm has")
    _require_folders_apart(study.tasks)
    _require_folders_apart([*study.arms, *study.choices])
    for task in study.tasks:
        settings = [*study.arms.values()]
        for choice in study.choices.values():
            _require_folders_apart(choice.among)
            settings += [(*study.arms[choice.arm], *some) for some in choice.among.values()]
        for arm in settings:
            _require_possible(study.config(task, arm, study.seeds[0]))
    return study


def _require_folders_apart(names: Iterable[str]) -> None:
    """Refuse names that differ in signs only which no file name can hold."""
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(_file_name(name), name)
        if other != name:
            raise InvalidArgument("name", name, f"one that is not spelled like '{other}' in files")


def _require_possible(config: RunConfig) -> None:
    """Refuse what cannot be measured, and times beyond the run.

    Times in steps depend on the data, and are checked with them.
    """
    require_measurable(config)
    schedule = config.components.schedule
    if schedule.unit != "step":
        schedule.check(Horizon(config.training.epochs, 1))


def run_study(
    study: Study,
    output: Path,
    *,
    workers: int = 1,
    on_done: Callable[[Cell, RunFigures, int, int], None] | None = None,
) -> list[RunFigures]:
    """Carry out what is missing of a study; return the figures of all its runs.

    Args:
        study: what to run.
        output: its folder; runs that are finished there are not run again.
        workers: runs at the same time, each in a process of its own.
        on_done: called after every run with it, its figures, and how many of how many are done.

    Raises:
        RampartError: whatever is wrong with a run; the others that had begun are finished first.
    """
    arms = [
        _cell(study, output / "runs", task, arm, settings, seed)
        for seed in study.seeds
        for task in study.tasks
        for arm, settings in study.arms.items()
    ]
    figures = _carry_out(arms, workers, on_done)
    chosen = choose(study, output, workers, on_done)
    tuned = [
        _cell(study, output / "runs", task, arm, settings, seed)
        for seed in study.seeds
        for task in study.tasks
        for arm, settings in chosen[task].items()
    ]
    return figures + _carry_out(tuned, workers, on_done)


def choose(
    study: Study,
    output: Path,
    workers: int,
    on_done: Callable[[Cell, RunFigures, int, int], None] | None,
) -> dict[str, dict[str, Overrides]]:
    """Return, task by task, the settings that won on validation; written to `choices.json`."""
    cells = [
        _cell(
            study,
            output / "choices" / _file_name(name),
            task,
            option,
            (*study.arms[choice.arm], *settings),
            seed,
            name,
        )
        for name, choice in study.choices.items()
        for task in study.tasks
        for option, settings in choice.among.items()
        for seed in choice.seeds
    ]
    figures = _carry_out(cells, workers, on_done)
    told: dict[str, Any] = {task: {} for task in study.tasks}
    chosen: dict[str, dict[str, Overrides]] = {task: {} for task in study.tasks}
    for name, choice in study.choices.items():
        for task in study.tasks:
            values = {option: _mean(cells, figures, name, task, option) for option in choice.among}
            best = max(values, key=lambda option: values[option])
            told[task][name] = {"chosen": best, "validation expected": values}
            chosen[task][name] = (*study.arms[choice.arm], *choice.among[best])
    if study.choices:
        write_atomic(output / "choices.json", json.dumps(told, indent=1) + "\n")
    return chosen


def _mean(
    cells: Sequence[Cell], figures: Sequence[RunFigures], name: str, task: str, option: str
) -> float:
    """Mean expected robustness of an option, over its seeds."""
    values = [
        one.expected
        for cell, one in zip(cells, figures, strict=True)
        if (cell.choice, cell.task, cell.arm) == (name, task, option)
    ]
    return sum(values) / len(values)


def _cell(
    study: Study,
    folder: Path,
    task: str,
    arm: str,
    settings: Overrides,
    seed: int,
    choice: str = "",
) -> Cell:
    place = folder / _file_name(task) / _file_name(arm) / f"seed-{seed}"
    return Cell(task, arm, study.config(task, settings, seed), place, choice)


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name)


def _carry_out(
    cells: Sequence[Cell],
    workers: int,
    on_done: Callable[[Cell, RunFigures, int, int], None] | None,
) -> list[RunFigures]:
    """Run every cell that is not finished; the figures in the order of the cells."""
    for cell in cells:
        _require_same(cell)
    missing = [cell for cell in cells if _record_of(cell) is None]
    done = len(cells) - len(missing)

    def told(cell: Cell) -> None:
        nonlocal done
        done += 1
        if on_done:
            on_done(cell, figures_of(cell), done, len(cells))

    if workers == 1:
        for cell in missing:
            run_cell(cell)
            told(cell)
    elif missing:
        threads = max(1, (os.cpu_count() or 1) // workers)
        with ProcessPoolExecutor(
            workers, multiprocessing.get_context("spawn"), _begin, (threads, tuple(IMPORTED))
        ) as pool:
            futures = {pool.submit(run_cell, cell): cell for cell in missing}
            try:
                for future in as_completed(futures):
                    future.result()
                    told(futures[future])
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    return [figures_of(cell) for cell in cells]


def _require_same(cell: Cell) -> None:
    """Refuse what an earlier version of the study has left: it would stand in the wrong row.

    Raises:
        RunError: the folder of the run holds one of another configuration.
    """
    folder = RunFolder(cell.folder)
    if not folder.exists():
        return
    changed = differences(load_config(folder.config), cell.config)
    if changed:
        raise RunError(
            f"{cell.folder} holds a run of another configuration ({'; '.join(changed)}), so the "
            "study has changed since: delete that folder, or choose another --output."
        )


def _begin(threads: int, imports: Iterable[str]) -> None:
    """Make a worker know the user's parts; those that all use every core slow one another down."""
    import torch

    torch.set_num_threads(threads)
    for place in imports:
        import_parts(place)


def run_cell(cell: Cell) -> None:
    """Train one run, or go on with it, and evaluate it."""
    folder = RunFolder(cell.folder)
    train_run(cell.config, cell.folder, resume=folder.exists())
    # A limit is meant for the test images; choices are made on the whole validation split.
    whole = ("evaluation.limit=null",) if cell.choice else ()
    evaluate_run(cell.folder, (f"evaluation.split={cell.split}", *whole), overwrite=True)


def figures_of(cell: Cell) -> RunFigures:
    """Return the figures of a finished run."""
    record = _record_of(cell)
    assert record is not None, "asked of finished runs only"
    return read_figures(cell.task, cell.arm, cell.config.seed, cell.folder, record)


def _record_of(cell: Cell) -> Path | None:
    """The folder of the run's evaluation on its split, once it is finished."""
    # The record is the last file of an evaluation.
    finished = sorted(cell.folder.glob(f"evaluations/{cell.split}-*/record.json"))
    return finished[0].parent if finished else None
