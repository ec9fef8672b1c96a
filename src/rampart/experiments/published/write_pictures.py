"""Write the pictures of a study: those of the publication, from histories and records alone."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rampart.experiments.published.conditions import Condition, Results
from rampart.experiments.published.delays import Delayed, correlations, delayed_runs
from rampart.experiments.published.sensitivity import sensitivity_maps
from rampart.experiments.published.series import (
    Unreadable,
    column_points,
    curve_points,
    mean_series,
    spell_interval,
)
from rampart.experiments.study_folder import file_name
from rampart.reports.heat_map import save_heat_map
from rampart.reports.panels import Panels, Place, Series, save_panels
from rampart.units import format_eps

_LEVELS = "eps in 1/255"


@dataclass
class Pictures:
    """The written pictures.

    Attributes:
        files: in the order of writing.
        unreadable: why the file of a run could not be read; the run is not in the pictures.
    """

    files: list[Path] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def write_published_figures(
    results: Sequence[Results], folder: Path, ending: str = ".png"
) -> Pictures:
    """Write every picture for which runs have finished; a half-done study has fewer lines.

    Args:
        results: every condition of the study.
        folder: where the pictures go.
        ending: of the files: .png, .svg or .pdf.

    Raises:
        InvalidArgument: another file ending.
        RunError: a file cannot be written.
    """
    written, unreadable = Pictures(), Unreadable()
    finished = [one for one in results if one.runs]
    for name, panels in _panels(finished, unreadable):
        if panels.series:
            save_panels(panels, folder / f"{name}{ending}")
            written.files.append(folder / f"{name}{ending}")
    for name, title, maps in sensitivity_maps(finished):
        save_heat_map(maps, folder / f"{name}{ending}", title)
        written.files.append(folder / f"{name}{ending}")
    written.unreadable = list(unreadable.reasons)
    return written


def _panels(results: Sequence[Results], unreadable: Unreadable) -> Iterator[tuple[str, Panels]]:
    for eps in sorted({one.condition.eps for one in results}):
        own = [one for one in results if one.condition.eps == eps]
        name = file_name(format_eps(eps))
        yield f"curves-{name}", _curves(own, unreadable)
        yield f"cost-{name}", _costs(own)
        for dataset in dict.fromkeys(one.condition.dataset for one in own):
            some = [one for one in own if one.condition.dataset == dataset]
            yield f"epochs-{name}-{file_name(dataset)}", _epochs(some, unreadable)
    runs = delayed_runs(results)
    yield "delay-by-strength", _delay_by_strength(runs)
    yield "accuracy-by-delay", _accuracy_by_delay(runs)


def _by_place(
    results: Sequence[Results], series: Callable[[Results], Series | None]
) -> dict[Place, list[Series]]:
    """Series by backbone and dataset, without the empty ones."""
    found: dict[Place, list[Series]] = {}
    for one in results:
        line = series(one)
        if line is not None:
            place = (one.condition.backbone, one.condition.dataset)
            found.setdefault(place, []).append(line)
    return found


def _heading(text: str, results: Sequence[Results]) -> str:
    condition: Condition = results[0].condition
    detail = spell_interval(results)
    return f"{text}, trained at {format_eps(condition.eps)}" + (f" ({detail})" if detail else "")


def _curves(results: Sequence[Results], unreadable: Unreadable) -> Panels:
    return Panels(
        _heading("Accuracy at every strength", results),
        _LEVELS,
        "accuracy (%)",
        _by_place(results, lambda one: mean_series(one, curve_points, unreadable)),
    )


def _costs(results: Sequence[Results]) -> Panels:
    largest = max(value for one in results for value in one.values("passes"))
    unit, name = (1e6, "millions") if largest >= 1e6 else (1e3, "thousands")

    def points(one: Results) -> Series:
        x = tuple(value / unit for value in one.values("passes"))
        y = tuple(100 * value for value in one.values("expected"))
        return Series(one.condition.method, x, y, joined=False)

    return Panels(
        f"Cost and expected robustness, trained at {format_eps(results[0].condition.eps)}",
        f"passes ({name})",
        "expected (%)",
        _by_place(results, points),
        whole=False,
    )


#: Rows of the pictures over epochs: label, column of the history, factor, and the axis.
_COLUMNS = {
    "clean accuracy": ("val_clean", 100, "validation (%)"),
    "accuracy under attack": ("val_robust", 100, "validation (%)"),
    "loss": ("train_loss", 1, "training"),
}


def _epochs(results: Sequence[Results], unreadable: Unreadable) -> Panels:
    series: dict[Place, list[Series]] = {}
    for label, (key, scale, _) in _COLUMNS.items():
        for one in results:
            line = mean_series(one, column_points(key), unreadable, scale, fractions=scale == 100)
            if line is not None:
                series.setdefault((label, one.condition.backbone), []).append(line)
    return Panels(
        _heading(f"{results[0].condition.dataset} over the epochs", results),
        "epoch",
        {label: axis for label, (_, _, axis) in _COLUMNS.items()},
        series,
        percent=[label for label, (_, scale, _) in _COLUMNS.items() if scale == 100],
    )


def _delay_by_strength(runs: Sequence[Delayed]) -> Panels:
    return Panels(
        "Adaptation delay by strength",
        f"target {_LEVELS}",
        "delay (epochs)",
        _delay_series(runs, lambda one: 255 * one.eps, lambda one: float(one.delay or 0)),
        percent=False,
        above="never adapted",
    )


def _delay_series(
    runs: Sequence[Delayed], x: Callable[[Delayed], float], y: Callable[[Delayed], float]
) -> dict[Place, list[Series]]:
    found: dict[Place, list[Series]] = {}
    for backbone, dataset, method in dict.fromkeys(one.key for one in runs):
        own = [one for one in runs if one.key == (backbone, dataset, method)]
        known = sorted((x(one), y(one)) for one in own if one.delay is not None)
        never = tuple(x(one) for one in own if one.delay is None)
        points = (tuple(a for a, _ in known), tuple(b for _, b in known))
        series = Series(method, *points, joined=False, above=never)
        found.setdefault((backbone, dataset), []).append(series)
    return found


def _accuracy_by_delay(runs: Sequence[Delayed]) -> Panels:
    adapted = [one for one in runs if one.delay is not None]
    notes: dict[Place, dict[str, str]] = {}
    for one in correlations(adapted):
        if one.r is not None:
            notes.setdefault((one.backbone, one.dataset), {})[one.method] = f"r = {one.r:.2f}"
    return Panels(
        "Final clean accuracy by adaptation delay",
        "delay (epochs)",
        "clean accuracy (%)",
        _delay_series(adapted, lambda one: float(one.delay or 0), lambda one: 100 * one.clean),
        notes=notes,
    )
