"""The file of a study: every method on every task of a grid with every seed.

A study is a YAML file:

    base: {training: {epochs: 50}, ...}     settings of all runs, as for `rampart train`
    seeds: [0, 1, 2]
    axes:                                   their product gives the tasks
      backbone: [vit, swin]                 a list: values of one key
      dataset: [aircraft, cars]
      eps: [4/255, 8/255]
      size: {small: [data.image_size=64]}   a mapping: names of values with their settings
    methods: {fix: [schedule=fix], ...}     or a list of schedules: [fix, two-hinge]
    settings:                               settings of a part of the grid; the last entry wins
      - where: {backbone: vit, dataset: [aircraft, cars], method: fix}
        set: [optimizer.backbone_lr=1e-4]
    searches:                               folders of `rampart tune` for a part of the grid
      - where: {backbone: vit, method: two-hinge}
        folder: searches/vit                its learning rates and weight decays are used
    exclude:                                parts of the grid without runs
      - {backbone: vit, eps: 8/255}
    only:                                   the parts that are carried out, if not the whole grid
      - {backbone: swin, dataset: cars}
    references: [fix]                       methods that the others are compared with
    differences: [clean, expected]          figures that are compared; by default expected
    choices:                                methods whose settings are chosen on validation
      tuned fix: {method: fix, seeds: [100], among: {high: [optimizer.head_lr=1e-2], ...}}
    only_chosen: true                       methods that a choice names run only through it
    resources: {cpus: 4, gpus: 0.5}         of each run; also processes
    ray: {address: auto, results: shared}   the cluster of `--engine ray`
    slurm: {time: 720, partition: gpu}      options of sbatch, of `--engine slurm`

The axes backbone, dataset and eps stand for model.name, data.name and threat.eps; any other list
has a key as its name. Settings apply in the order base, axes, methods, settings, searches, choices.
A choice takes the settings, searches and exclusions of its method. `rampart.experiments.running`
lists the content of the folder.
"""

from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import ErrorDetails

from rampart.counting import counted
from rampart.errors import RampartError, RunError, UnknownName
from rampart.experiments.engines.options import RayOptions, RunResources, SlurmOptions
from rampart.experiments.grid import (
    Overrides,
    Part,
    Task,
    is_within,
    name_of,
    read_axes,
    read_part,
    tasks_of,
)
from rampart.experiments.searches import Find, FoundSearch, find_in_folder
from rampart.experiments.study_table import Measure
from rampart.recipes.config.loading import parse_config
from rampart.recipes.config.run_config import RunConfig
from rampart.schema.fields import RunFields
from rampart.value_types import expectation

#: Advice on a file that does not describe a study.
_FORM = "write the settings of all runs below base, and add seeds, axes and methods"

#: Values of keys that hold a list other than settings.
_EXAMPLES: dict[int | str, str] = {
    "seeds": "[0, 1, 2]",
    "references": "[fix]",
    "differences": "[clean, expected]",
    "searches": "[{where: {backbone: vit}, folder: searches/vit}]",
    "settings": "[{where: {backbone: vit}, set: [training.epochs=20]}]",
    "exclude": "[{backbone: vit, eps: 8/255}]",
    "only": "[{backbone: vit, dataset: cars}]",
}


def _all_different(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"{list(seeds)} has a seed twice: name each seed once")
    return seeds


Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), AfterValidator(_all_different)
]


def _from_schedules(methods: Any) -> Any:
    """Return methods by name; a list names schedules."""
    if not isinstance(methods, list):
        return methods
    return {name_of(name): [f"schedule={name_of(name)}"] for name in methods}


OnePart = Annotated[Part, BeforeValidator(read_part), Field(min_length=1)]


class PartSettings(BaseModel):
    """Settings that hold for a part of the grid.

    Attributes:
        where: the part.
        settings: what is set there; `set` in a file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    where: OnePart
    settings: Overrides = Field(alias="set", min_length=1)


def _find(folder: Any, info: ValidationInfo) -> FoundSearch:
    """Return the search in a folder, or what the context of the validation has for it."""
    if not isinstance(folder, str) or not folder:
        raise ValueError("expected a folder that `rampart tune` wrote")
    find: Find = (info.context or {}).get("find", find_in_folder)
    return find(folder)


class PartSearch(BaseModel):
    """A search whose values hold for a part of the grid.

    Attributes:
        where: the part.
        found: the search; `folder` in a file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    where: OnePart
    found: Annotated[FoundSearch, PlainValidator(_find)] = Field(alias="folder")


class Choice(BaseModel):
    """A method whose settings are chosen among several on the validation split.

    Attributes:
        method: the method to which the settings are added.
        among: the options: settings by name.
        seeds: seeds of the runs of each option; the option with the highest mean expected
            robustness on validation is chosen.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str
    among: dict[str, Overrides] = Field(min_length=2)
    seeds: Seeds = (100,)


class Study(BaseModel):
    """The content of a study file; the module describes its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: dict[str, Any]
    seeds: Seeds
    axes: Annotated[
        dict[str, dict[str, Overrides]], BeforeValidator(read_axes), Field(min_length=1)
    ]
    methods: Annotated[dict[str, Overrides], BeforeValidator(_from_schedules), Field(min_length=1)]
    settings: tuple[PartSettings, ...] = ()
    searches: tuple[PartSearch, ...] = ()
    exclude: tuple[OnePart, ...] = ()
    only: tuple[OnePart, ...] = ()
    choices: dict[str, Choice] = {}
    only_chosen: bool = False
    references: tuple[str, ...] = ()
    differences: tuple[Measure, ...] = ("expected",)
    resources: RunResources = RunResources()
    ray: RayOptions = RayOptions()
    slurm: SlurmOptions = {}

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks: the product of the axes."""
        return tuple(tasks_of(self.axes))

    @property
    def rows(self) -> dict[str, str]:
        """The rows of the table to the methods whose settings they have."""
        named = {choice.method for choice in self.choices.values()} if self.only_chosen else ()
        own = {method: method for method in self.methods if method not in named}
        return own | {name: choice.method for name, choice in self.choices.items()}

    def excludes(self, task: Task, method: str, seed: int) -> bool:
        """Return whether the grid leaves a run out."""
        place = coordinates_of(task, method, seed)
        chosen = not self.only or any(is_within(part, place) for part in self.only)
        return not chosen or any(is_within(part, place) for part in self.exclude)

    def runs(self) -> Iterator[tuple[Task, str, int]]:
        """Yield task, method and seed of all runs except those of choices."""
        methods = [method for method in self.methods if method in self.rows]
        for seed in self.seeds:
            for task in self.tasks:
                for method in methods:
                    if not self.excludes(task, method, seed):
                        yield task, method, seed

    def option_runs(self) -> Iterator[tuple[str, Task, str, Overrides, int]]:
        """Yield choice, task, option with its settings, and seed of all runs of choices.

        `only` selects runs of the table by their seed. The choice that decides them has all of its
        own seeds.
        """
        for name, choice in self.choices.items():
            for task in self.tasks:
                seeds = [seed for seed in choice.seeds if self._decides(task, choice.method, seed)]
                for option, settings in choice.among.items():
                    for seed in seeds:
                        yield name, task, option, settings, seed

    def _decides(self, task: Task, method: str, seed: int) -> bool:
        """Return whether the options of a choice have a run with this seed."""
        if not self.excludes(task, method, seed):
            return True
        place = coordinates_of(task, method, seed)
        left_out = any(is_within(part, place) for part in self.exclude)
        return not left_out and not all(self.excludes(task, method, one) for one in self.seeds)

    def search_of(self, task: Task, method: str, seed: int) -> FoundSearch | None:
        """Return the search whose values a run has: the last entry wins."""
        place = coordinates_of(task, method, seed)
        found = (one.found for one in reversed(self.searches) if is_within(one.where, place))
        return next(found, None)

    def config(self, task: Task, method: str, seed: int, option: Overrides = ()) -> RunConfig:
        """Return the configuration of one run; `option` holds the settings of a choice."""
        place = coordinates_of(task, method, seed)
        parts = [part.settings for part in self.settings if is_within(part.where, place)]
        local = [setting for some in parts for setting in some]
        search = self.search_of(task, method, seed)
        values = search.overrides if search else ()
        settings = (*task.settings, *self.methods[method], *local, *values, *option)
        return parse_config(self.base, (*settings, f"seed={seed}"))


def coordinates_of(task: Task, method: str, seed: int) -> dict[str, str]:
    """Return where a run lies in the grid, with `method` and `seed` as further axes."""
    return {**task.coordinates, "method": method, "seed": str(seed)}


def explain_study(error: ValidationError, tree: Any, path: Path) -> RampartError:
    """Return pydantic's first error about a study as one clear sentence."""
    keys = set(tree) if isinstance(tree, dict) else set()
    if keys & RunFields.model_fields.keys() and not keys & Study.model_fields.keys():
        return RunError(
            f"{path} is the configuration of one run, not a study: train it by `rampart train "
            f"{quote(str(path))}`, or {_FORM}."
        )
    # A key that does not exist explains others that are missing.
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    where = ".".join(map(str, first["loc"]))
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, RampartError):
        return cause
    if first["type"] == "extra_forbidden":
        place, _, key = where.rpartition(".")
        return UnknownName(f"key of {place or 'a study'}", key, _keys(first["loc"]))
    if first["type"] == "missing":
        return RunError(f"study {path} has no {where}: {_FORM}.")
    if not where:
        return RunError(f"study {path} holds no keys: {_FORM}.")
    return RunError(f"study {path}: {where}: {_fault(first)}.")


def _keys(place: tuple[int | str, ...]) -> list[str]:
    """Return the keys that may stand where an unknown one was found."""
    fields = {
        "choices": list(Choice.model_fields),
        "settings": ["where", "set"],
        "searches": ["where", "folder"],
        "resources": list(RunResources.model_fields),
        "ray": list(RayOptions.model_fields),
    }
    return list(Study.model_fields) if len(place) == 1 else fields[str(place[0])]


def _fault(first: ErrorDetails) -> str:
    """Return what pydantic expected, in words of YAML."""
    if first["type"] == "tuple_type":
        return f"expected a list such as {_EXAMPLES.get(first['loc'][-1], '[schedule=fix]')}"
    if first["type"] == "too_short":
        return f"expected at least {counted(first['ctx']['min_length'], 'value')}"
    if first["type"] == "value_error":
        return first["msg"].removeprefix("Value error, ")
    return f"expected {expectation(first['msg'])}"
