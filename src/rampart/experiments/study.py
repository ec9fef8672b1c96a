"""The file of a study: every method on every task with every seed.

A study is a YAML file:

    base: {model: ..., data: ..., ...}    what all runs share, as for `rampart train`
    seeds: [0, 1, 2]
    tasks: {photos: [data=photos/, threat.eps=4/255], ...}
    methods: {fix: [schedule=fix], ...}
    references: [fix]                      methods that the others are compared with, if any
    differences: [clean, expected]         what in; expected robustness by default
    choices:                               methods whose settings are chosen on validation
      tuned fix: {method: fix, seeds: [100], among: {high: [optimizer.head_lr=1e-2], ...}}

`rampart.experiments.running` says what its folder holds.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from rampart.errors import InvalidArgument, RunError
from rampart.experiments.tables import Measure
from rampart.recipes.config.loading import parse_config
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.measured import require_measurable
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
    """A method whose settings are chosen among several on the validation split.

    Attributes:
        method: the method that the settings are added to.
        among: settings by name.
        seeds: trained with each; the highest mean expected robustness on validation wins.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str
    among: dict[str, Overrides] = Field(min_length=2)
    seeds: Seeds = (100,)


class Study(BaseModel):
    """What is compared with what; see the module for the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: dict[str, Any]
    seeds: Seeds
    tasks: dict[str, Overrides] = Field(min_length=1)
    methods: dict[str, Overrides] = Field(min_length=1)
    choices: dict[str, Choice] = {}
    references: tuple[str, ...] = ()
    differences: tuple[Measure, ...] = ("expected",)

    def config(self, task: str, method: Overrides, seed: int) -> RunConfig:
        """Return the configuration of one run."""
        return parse_config(self.base, (*self.tasks[task], *method, f"seed={seed}"))


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
        if reference not in (*study.methods, *study.choices):
            known = ", ".join([*study.methods, *study.choices])
            raise InvalidArgument("references", reference, f"some of the methods: {known}")
    for name, choice in study.choices.items():
        if choice.method not in study.methods:
            known = ", ".join(study.methods)
            raise InvalidArgument(
                f"choices.{name}.method", choice.method, f"one of the methods: {known}"
            )
        if name in study.methods:
            raise InvalidArgument(f"choices.{name}", name, "a name that no method has")
    _require_folders_apart(study.tasks)
    _require_folders_apart([*study.methods, *study.choices])
    for task in study.tasks:
        settings = [*study.methods.values()]
        for choice in study.choices.values():
            _require_folders_apart(choice.among)
            settings += [(*study.methods[choice.method], *some) for some in choice.among.values()]
        for method in settings:
            _require_possible(study.config(task, method, study.seeds[0]))
    return study


def _require_folders_apart(names: Iterable[str]) -> None:
    """Refuse names that differ in signs only which no file name can hold."""
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(file_name(name), name)
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


def file_name(name: str) -> str:
    """Return a name as files are called; signs that not every file system takes become `_`."""
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name)
