"""The file of a study: every method on every task with every seed.

A study is a YAML file:

    base: {model: ..., data: ..., ...}    settings of all runs, as for `rampart train`
    seeds: [0, 1, 2]
    tasks: {photos: [data=photos/, threat.eps=4/255], ...}
    methods: {fix: [schedule=fix], ...}
    references: [fix]                      methods that the others are compared with
    differences: [clean, expected]         figures that are compared; by default expected
    choices:                               methods whose settings are chosen on validation
      tuned fix: {method: fix, seeds: [100], among: {high: [optimizer.head_lr=1e-2], ...}}

`rampart.experiments.running` lists the content of its folder.
"""

from collections.abc import Iterable
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from rampart.counting import counted
from rampart.errors import InvalidArgument, RampartError, RunError, UnknownName
from rampart.experiments.study_table import Measure
from rampart.plain import read_file
from rampart.recipes.config.loading import parse_config
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.measured import require_measurable
from rampart.schema.fields import RunFields
from rampart.units import Horizon
from rampart.value_types import expectation

Overrides = tuple[str, ...]
#: Advice on a file that does not describe a study.
_FORM = "write the settings of all runs below base, and add seeds, tasks and methods"

#: Values of keys that hold a list other than settings.
_EXAMPLES: dict[int | str, str] = {
    "seeds": "[0, 1, 2]",
    "references": "[fix]",
    "differences": "[clean, expected]",
}


def _all_different(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"{list(seeds)} has a seed twice: name each seed once")
    return seeds


Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), AfterValidator(_all_different)
]


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
    tasks: dict[str, Overrides] = Field(min_length=1)
    methods: dict[str, Overrides] = Field(min_length=1)
    choices: dict[str, Choice] = {}
    references: tuple[str, ...] = ()
    differences: tuple[Measure, ...] = ("expected",)

    def config(self, task: str, method: Overrides, seed: int) -> RunConfig:
        """Return the configuration of one run."""
        return parse_config(self.base, (*self.tasks[task], *method, f"seed={seed}"))


def _explain(error: ValidationError, tree: Any, path: Path) -> RampartError:
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
    if first["type"] == "extra_forbidden":
        fields = Study.model_fields if len(first["loc"]) == 1 else Choice.model_fields
        return UnknownName("key of a study", where, fields)
    if first["type"] == "missing":
        return RunError(f"study {path} has no {where}: {_FORM}.")
    if not where:
        return RunError(f"study {path} holds no keys: {_FORM}.")
    return RunError(f"study {path}: {where}: {_fault(first)}.")


def _fault(first: ErrorDetails) -> str:
    """Return what pydantic expected, in words of YAML."""
    if first["type"] == "tuple_type":
        return f"expected a list such as {_EXAMPLES.get(first['loc'][-1], '[schedule=fix]')}"
    if first["type"] == "too_short":
        return f"expected at least {counted(first['ctx']['min_length'], 'value')}"
    if first["type"] == "value_error":
        return first["msg"].removeprefix("Value error, ")
    return f"expected {expectation(first['msg'])}"


def load_study(path: Path) -> Study:
    """Read a study and check the configuration of every run.

    Raises:
        RunError: the file is missing, is not YAML, or does not describe a study.
        RampartError: a key of the study is unknown, or the configuration of a run is invalid.
    """
    tree = read_file(path, "study")
    try:
        study = Study.model_validate(tree)
    except ValidationError as error:
        raise _explain(error, tree, path) from None
    for reference in study.references:
        if reference not in (*study.methods, *study.choices):
            known = ", ".join([*study.methods, *study.choices])
            raise InvalidArgument("references", reference, f"names among {known}")
    for name, choice in study.choices.items():
        if choice.method not in study.methods:
            known = ", ".join(study.methods)
            raise InvalidArgument(f"choices.{name}.method", choice.method, f"one of {known}")
        if name in study.methods:
            raise InvalidArgument(f"choices.{name}", name, "a name that differs from all methods")
    _require_distinct_folders(study.tasks)
    _require_distinct_folders([*study.methods, *study.choices])
    _require_no_seeds(study)
    for task in study.tasks:
        settings = [*study.methods.values()]
        for choice in study.choices.values():
            _require_distinct_folders(choice.among)
            settings += [(*study.methods[choice.method], *some) for some in choice.among.values()]
        for method in settings:
            _require_possible(study.config(task, method, study.seeds[0]))
    return study


def _require_no_seeds(study: Study) -> None:
    """Refuse a seed among the settings: the seeds of the study would replace it."""
    expected, do = "no seed, because the key seeds sets it", "list the seeds there"
    if "seed" in study.base:
        raise InvalidArgument("base.seed", study.base["seed"], expected, do)
    lists = {f"tasks.{name}": found for name, found in study.tasks.items()}
    lists |= {f"methods.{name}": found for name, found in study.methods.items()}
    for name, choice in study.choices.items():
        lists |= {f"choices.{name}.among.{key}": some for key, some in choice.among.items()}
    for where, settings in lists.items():
        for setting in settings:
            if setting.partition("=")[0].strip() == "seed":
                raise InvalidArgument(where, setting, expected, do)


def _require_distinct_folders(names: Iterable[str]) -> None:
    """Refuse two names that become the same file name."""
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(file_name(name), name)
        if other != name:
            expected = f"a name whose folder differs from that of '{other}'"
            raise InvalidArgument("name", name, expected)


def _require_possible(config: RunConfig) -> None:
    """Refuse a run that cannot be evaluated, and schedule times beyond the end of the run.

    Times in steps depend on the data and are checked with them.
    """
    require_measurable(config)
    schedule = config.components.schedule
    if schedule.unit != "step":
        schedule.check(Horizon(config.training.epochs, 1))


def file_name(name: str) -> str:
    """Return a name for a file; `_` replaces characters that some file systems refuse."""
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name)
