"""The charts of the page: curves of evaluations, and the history of a run."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from rampart.reports.page.charts import Chart, Point, Series, ticks_of
from rampart.reports.percent import number, percent
from rampart.reports.style import color_of
from rampart.units import Perturbation, format_eps, is_corruption

Facts = Mapping[str, Any]

#: Colors of the pictures of runs as CSS variables, which have a light and a dark value.
COLORS = {
    "#0072B2": "--c1",
    "#D55E00": "--c2",
    "#009E73": "--c3",
    "#CC79A7": "--c4",
    "#E69F00": "--c5",
    "#56B4E9": "--c6",
    "#882255": "--c7",
    "#6b6b6b": "--c8",
    "#44AA99": "--c9",
    "#000000": "--ink",
}
_DASHES = ("", "7 3", "2 3", "7 3 2 3")

INTERVAL, BOUNDS = "interval", "bounds between the strengths"


def curve_chart(facts: Facts, name: str = "curve", title: str = "") -> Chart:
    """Return the curve of one evaluation with its intervals and bounds.

    Args:
        facts: a summary (`rampart.records.summary`).
        name: id of the chart.
        title: its heading.
    """
    norm, points = facts["norm"], _points(facts)
    interval = f"{100 * facts['confidence']:g} % {INTERVAL}"
    series = [
        Series(BOUNDS, "--c8", _bounds(points), "band", opacity=0.16),
        Series(interval, "--c1", points, "band", opacity=0.24),
        Series("accuracy", "--c1", points),
    ]
    ends = f"from {percent(facts['clean'])} on clean images to {percent(facts['adversarial'])}"
    return Chart(
        name,
        title or "Accuracy at every strength",
        f"Accuracy falls {ends} at {_spelled(facts['eps'], norm)}. The table below has the values.",
        _label(norm),
        "accuracy (%)",
        0.0,
        _place(facts["eps"], norm) or 1.0,
        _ticks(facts),
        tuple(series),
        "severity" if is_corruption(norm) else "strength",
    )


def joint_chart(measured: Sequence[tuple[str, Facts]]) -> Chart:
    """Return the curves of several evaluations under one threat, each with its intervals."""
    longest = max((facts for _, facts in measured), key=lambda facts: float(facts["eps"]))
    norm, bands, lines = longest["norm"], [], []
    together = f"{100 * longest['confidence']:g} % {INTERVAL}s"
    styles = styles_of([name for name, _ in measured])
    for (name, facts), (color, dash) in zip(measured, styles, strict=True):
        points = _points(facts)
        band = Series(f"{INTERVAL} of {name}", color, points, "band", opacity=0.14, group=together)
        bands.append(band)
        lines.append(Series(name, color, points, dash=dash))
    return Chart(
        "curves",
        "Accuracy at every strength",
        "One curve for each evaluation. The table below has the figures.",
        _label(norm),
        "accuracy (%)",
        0.0,
        _place(longest["eps"], norm) or 1.0,
        _ticks(longest),
        (*bands, *lines),
        "severity" if is_corruption(norm) else "strength",
    )


def styles_of(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return color and dashes of each line; a schedule has the color of its other pictures."""
    known = [COLORS.get(color_of(name, names), "") for name in names]
    free = [color for color in COLORS.values() if color not in known] or ["--c1"]
    found: list[tuple[str, str]] = []
    for color in known:
        chosen = color or free[sum(not one for one in known[: len(found)]) % len(free)]
        again = sum(chosen == before for before, _ in found)
        found.append((chosen, _DASHES[again % len(_DASHES)]))
    return found


def history_chart(
    rows: Sequence[Mapping[str, Any]], name: str = "history", title: str = ""
) -> Chart:
    """Return the schedule that a run followed beside its accuracies on the validation split.

    Args:
        rows: of history.jsonl, one or more.
        name: id of the chart.
        title: its heading.
    """
    epochs = [row["epoch"] for row in rows]
    strength = [
        Point(row["epoch"], low=0.0, high=100 * row["alpha"]) for row in rows if "alpha" in row
    ]
    columns = (("clean accuracy", "val_clean", "--c1", ""), ("robust", "val_robust", "--c3", "6 3"))
    lines = [
        Series(
            "accuracy under attack" if name == "robust" else name,
            color,
            tuple(
                Point(
                    row["epoch"],
                    100 * row[key],
                    at=f"epoch {row['epoch']}",
                    shown=f"{percent(row[key])} at eps = {spell_reached(row)}",
                )
                for row in rows
                if row.get(key) is not None
            ),
            dash=dash,
        )
        for name, key, color, dash in columns
    ]
    band = Series("strength, percent of its target", "--weight", tuple(strength), "band", "", 0.55)
    return Chart(
        name,
        title or "Strength and accuracy in training",
        "Clean accuracy and accuracy under attack on the validation split after every epoch, over "
        "the strength that the schedule reached. The table below has the values.",
        "epoch",
        "percent (validation split)",
        float(min(1, *epochs)),
        float(max(2, *epochs)),
        ticks_of(epochs, [str(epoch) for epoch in epochs]),
        (band, *lines),
        "epoch",
    )


def spell_reached(row: Facts) -> str:
    """Return the strength that the schedule reached in an epoch, in the unit of its target."""
    target = row["eps"] / row["alpha"] if row.get("alpha") else None
    return format_eps(row["eps"], target)


def curve_rows(facts: Facts) -> list[dict[str, str]]:
    """Return the cells of the table below a curve."""
    return [
        {
            "eps": _spelled(point["eps"], facts["norm"], facts["eps"]),
            "accuracy": percent(point["accuracy"]),
            "interval": f"{number(point['low'])} to {number(point['high'])}",
        }
        for point in facts["curve"]
    ]


def spell_strength(eps: float, norm: Perturbation, like: float | None = None) -> str:
    """Return a strength in words: "eps = 4/255", or "severity 3" of a corruption.

    Args:
        eps: the strength.
        norm: of the perturbation.
        like: the largest strength, in whose unit `eps` is spelled: "eps = 0.25/255".
    """
    return f"severity {eps:g}" if is_corruption(norm) else f"eps = {format_eps(eps, like)}"


def _points(facts: Facts) -> tuple[Point, ...]:
    return tuple(
        Point(
            _place(one["eps"], facts["norm"]),
            100 * one["accuracy"],
            100 * one["low"],
            100 * one["high"],
            _spelled(one["eps"], facts["norm"], facts["eps"]),
            f"{percent(one['accuracy'])} [{number(one['low'])}, {number(one['high'])}]",
        )
        for one in facts["curve"]
    )


def _bounds(points: Sequence[Point]) -> tuple[Point, ...]:
    """Between two strengths accuracy lies between its values there, since it never rises."""
    return tuple(
        Point(end.x, low=after.y, high=before.y)
        for before, after in pairwise(points)
        for end in (before, after)
    )


def _place(eps: float, norm: Perturbation) -> float:
    """The position of a strength: in units of 1/255 for Linf, rounded as `format_eps` rounds."""
    return round(255 * eps, 9) if norm == "linf" else eps


def _spelled(eps: float, norm: Perturbation, like: float | None = None) -> str:
    return f"{eps:g}" if is_corruption(norm) else format_eps(eps, like)


def _label(norm: Perturbation) -> str:
    if is_corruption(norm):
        return f"severity of {norm}"
    unit = ", in 1/255 of the pixel range" if norm == "linf" else ""
    return f"{norm.capitalize()} strength eps{unit}"


def _ticks(facts: Facts) -> tuple[tuple[float, str], ...]:
    """Whole gray levels under Linf where the grid has them, else strengths of the grid."""
    places = [_place(one["eps"], facts["norm"]) for one in facts["curve"]]
    whole = [place for place in places if abs(place - round(place)) < 1e-6]
    chosen = whole if len(whole) > 2 else places
    return ticks_of(chosen, [f"{place:.3g}" for place in chosen])
