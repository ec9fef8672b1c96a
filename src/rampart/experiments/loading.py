"""Read the file of a study, and check it and every run before the first one starts."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError

from rampart.checksums import require_unchanged
from rampart.errors import InvalidArgument, RunError, UnknownName
from rampart.experiments.grid import Overrides, Part, Task, is_within
from rampart.experiments.searches import finder
from rampart.experiments.study import Study, coordinates_of, explain_study
from rampart.experiments.study_folder import file_name
from rampart.plain import read_file
from rampart.recipes.config.differences import spell_differences
from rampart.recipes.config.identity import identity
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.measurable import require_measurable
from rampart.strategies.base import longest_probe
from rampart.units import Horizon

#: What to do about a changed copy of a study's file.
_DO = "run `rampart study run` with your own file again, which copies it"
#: Number of differing keys in a message.
_SHOWN = 3


def load_study(path: Path, output: Path | None = None) -> Study:
    """Read a study and check the configuration of every run.

    Args:
        path: the file.
        output: folder of the study, if it may hold what the searches found.

    Raises:
        RunError: the file is missing, is not YAML, or does not describe a study; it is the copy in
            the folder of a study, and was changed; or a folder holds no finished search.
        RampartError: a key of the study is unknown, or the configuration of a run is invalid.
    """
    tree = read_file(path, "study")
    require_unchanged(path, _DO)
    try:
        study = Study.model_validate(tree, context={"find": finder(path, output)})
    except ValidationError as error:
        raise explain_study(error, tree, path) from None
    _require_known_names(study)
    _require_no_seeds(study)
    _require_distinct_tasks(study.tasks)
    for axis in study.axes.values():
        _require_distinct_folders(axis)
    _require_distinct_folders([*study.methods, *study.choices])
    for choice in study.choices.values():
        _require_distinct_folders(choice.among)
    _require_parts(study)
    _require_fitting_searches(study)
    _require_possible_runs(study)
    return study


def _require_known_names(study: Study) -> None:
    """Refuse references, choices and parts of the grid that name nothing."""
    if study.only_chosen and not study.choices:
        raise InvalidArgument("only_chosen", True, "false in a study without choices")
    for reference in study.references:
        if reference not in study.rows:
            names = f"names among {', '.join(study.rows)}"
            raise InvalidArgument("references", reference, names)
    for name, choice in study.choices.items():
        if choice.method not in study.methods:
            known = ", ".join(study.methods)
            raise InvalidArgument(f"choices.{name}.method", choice.method, f"one of {known}")
        if name in study.methods:
            raise InvalidArgument(f"choices.{name}", name, "a name that differs from all methods")
    seeds = dict.fromkeys((*study.seeds, *(s for c in study.choices.values() for s in c.seeds)))
    known_values: dict[str, Iterable[str]] = {
        **study.axes,
        "method": study.methods,
        "seed": list(map(str, seeds)),
    }
    for place, part in _parts(study).items():
        for axis, values in part.items():
            if axis not in known_values:
                raise UnknownName(f"axis in {place}", axis, known_values)
            for value in values:
                if value not in known_values[axis]:
                    raise UnknownName(f"value in {place}.{axis}", value, known_values[axis])


def _parts(study: Study) -> dict[str, Part]:
    """The parts of the grid by their place in the file."""
    found = {f"settings.{k}.where": one.where for k, one in enumerate(study.settings)}
    found |= {f"searches.{k}.where": one.where for k, one in enumerate(study.searches)}
    found |= {f"only.{k}": one for k, one in enumerate(study.only)}
    return found | {f"exclude.{k}": one for k, one in enumerate(study.exclude)}


def _require_parts(study: Study) -> None:
    """Refuse a part without runs: it is a mistake, or says what another part says.

    Parts outside `only` are left as they are, so that one line shrinks a study.
    """
    seeds = {*study.seeds, *(seed for choice in study.choices.values() for seed in choice.seeds)}
    left = [
        coordinates_of(task, method, seed)
        for task in study.tasks
        for method in study.methods
        for seed in sorted(seeds)
    ]
    for number, part in enumerate(study.exclude):
        count, left = len(left), [one for one in left if not is_within(part, one)]
        if len(left) == count:
            raise _no_run(f"exclude.{number}", part)
    for place, part in _parts(study).items():
        if not place.startswith("exclude") and not any(is_within(part, one) for one in left):
            raise _no_run(place, part)
    if all(
        study.excludes(task, method, seed)
        for task in study.tasks
        for method in study.methods
        for seed in study.seeds
    ):
        raise RunError("exclude leaves no run of the study: take out an entry.")


def _no_run(place: str, part: Part) -> InvalidArgument:
    spelled = ", ".join(f"{axis}: {' or '.join(values)}" for axis, values in part.items())
    expected = "a part of the grid with runs that no entry of exclude leaves out"
    return InvalidArgument(place, spelled, expected, "take the entry out, or change it")


def _require_fitting_searches(study: Study) -> None:
    """Refuse values that a search found for runs of another kind."""
    for name, (task, method, seed), option in _named_runs(study):
        search = study.search_of(task, method, seed)
        unlike = search.result.unlike(study.config(task, method, seed, option)) if search else []
        if search and unlike:
            more = f"; and {len(unlike) - _SHOWN} more" if len(unlike) > _SHOWN else ""
            raise InvalidArgument(
                "searches.folder",
                search.folder,
                f"a search with the settings of its runs, but for {name} they differ "
                f"({spell_differences(unlike[:_SHOWN])}{more})",
                "run `rampart tune` with the settings of the study, or change where",
            )


def _named_runs(study: Study) -> Iterator[tuple[str, tuple[Task, str, int], Overrides]]:
    """Yield the name of every run, its place, and the settings of an option of a choice."""
    for task, method, seed in study.runs():
        yield f"{task.name}, {method}, seed {seed}", (task, method, seed), ()
    for name, task, option, settings, seed in study.option_runs():
        place = (task, study.choices[name].method, seed)
        yield f"{task.name}, {option} for '{name}'", place, settings


def _require_no_seeds(study: Study) -> None:
    """Refuse a seed among the settings: the seeds of the study would replace it."""
    expected, do = "no seed, because the key seeds sets it", "list the seeds there"
    if "seed" in study.base:
        raise InvalidArgument("base.seed", study.base["seed"], expected, do)
    lists: dict[str, Overrides] = {f"methods.{name}": one for name, one in study.methods.items()}
    lists |= {f"settings.{k}.set": one.settings for k, one in enumerate(study.settings)}
    for name, axis in study.axes.items():
        lists |= {f"axes.{name}.{value}": some for value, some in axis.items()}
    for name, choice in study.choices.items():
        lists |= {f"choices.{name}.among.{key}": some for key, some in choice.among.items()}
    for where, settings in lists.items():
        for setting in settings:
            if setting.partition("=")[0].strip() == "seed":
                raise InvalidArgument(where, setting, expected, do)


def _require_distinct_tasks(tasks: Iterable[Task]) -> None:
    known = set()
    for task in tasks:
        if task.name in known:
            expected = "values whose names, joined by commas, name one task only"
            raise InvalidArgument("axes", task.name, expected)
        known.add(task.name)


def _require_distinct_folders(names: Iterable[str]) -> None:
    """Refuse two names that become the same file name."""
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(file_name(name), name)
        if other != name:
            expected = f"a name whose folder differs from that of '{other}'"
            raise InvalidArgument("name", name, expected)


def _require_possible_runs(study: Study) -> None:
    """Refuse a run with an invalid configuration, and two runs with one configuration."""
    known: dict[tuple[str, str], str] = {}
    for task, method, seed in study.runs():
        config = study.config(task, method, seed)
        if seed == study.seeds[0]:
            _require_possible(config)
        search = study.search_of(task, method, seed)
        name = f"{task.name}, {method}, seed {seed}"
        _require_new(known, config, name, search.folder if search else "")
    options: dict[tuple[str, str], dict[tuple[str, str], str]] = {}
    for name, task, option, settings, seed in study.option_runs():
        config = study.config(task, study.choices[name].method, seed, settings)
        _require_possible(config)
        known = options.setdefault((name, task.name), {})
        _require_new(known, config, f"{task.name}, {option} for '{name}'")


def _require_new(
    known: dict[tuple[str, str], str], config: RunConfig, name: str, search: str = ""
) -> None:
    """Refuse a second run with the same identity: it would be the first one again.

    A search may find the values of another run.
    """
    other = known.setdefault((identity(config), search), name)
    if other != name:
        raise RunError(
            f"the study has one run under two names, '{other}' and '{name}': their settings give "
            "the same results. Take one out, or change its settings."
        )


def _require_possible(config: RunConfig) -> None:
    """Refuse a run that cannot be evaluated, and schedule times beyond the end of the run.

    Times in steps depend on the data and are checked with them.
    """
    if config.evaluation.split != "test":
        raise InvalidArgument(
            "evaluation.split",
            config.evaluation.split,
            "test, on which a study evaluates its methods",
            "write the options under `choices`, which are compared on the validation split, or use "
            "`rampart evaluate` on the finished runs",
        )
    require_measurable(config)
    schedule, epochs = config.components.schedule, config.training.epochs
    if schedule.unit != "step":
        probe = longest_probe(config.components.strategies.values(), epochs)
        schedule.check(Horizon(epochs - probe, 1))
