"""Rows, means over seeds, and tables of several runs.

A row is a plain dictionary, one per run, as in `comparison.json`. Runs form methods
(`rampart.reports.method_names`), over whose seeds the means are taken.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rampart.errors import visible
from rampart.metrics.adaptation import adaptation_delay, has_measurable_delay
from rampart.metrics.intervals import CONFIDENCE, LEAST_SEEDS, spread_over_seeds
from rampart.reports.method_names import RunResult, component_name, name_methods
from rampart.reports.percent import number
from rampart.reports.seeds import spell_seeds
from rampart.units import format_eps

if TYPE_CHECKING:
    from rich.table import Table

Row = dict[str, Any]
FIGURES = ("clean", "adversarial", "expected")


def comparison_rows(runs: Iterable[RunResult | tuple[Any, ...]]) -> list[Row]:
    """Return one row per run, as in comparison.json.

    Each row has run, method, schedule, seed, objective, delay (first epoch that exceeds 5 %
    validation accuracy), adapted (None if the history is not known, or if guessing exceeds 5 %) and
    all keys of the summary, whose seed becomes evaluation_seed. A run that is not finished has
    `unfinished`, and one whose history is not whole has `history`, each in words (`Shortfall`).
    """
    results = [RunResult(*run) for run in runs]
    methods = name_methods(results)
    return [_row(result, method) for result, method in zip(results, methods, strict=True)]


def _row(result: RunResult, method: str) -> Row:
    known = bool(result.history) and not result.lacks.history
    measured = known and has_measurable_delay(result.summary.get("num_classes"))
    accuracies = [row["val_clean"] for row in result.history]
    delay = adaptation_delay(accuracies) if measured else None
    return {
        **result.summary,
        "run": result.name,
        "method": method,
        "schedule": component_name(result.config.get("schedule")),
        "seed": result.config.get("seed"),
        "evaluation_seed": result.summary.get("seed"),
        "objective": component_name(result.config.get("objective")),
        "delay": delay,
        "adapted": delay is not None if measured else None,
        **{key: text for key, text in asdict(result.lacks).items() if text},
    }


def aggregate(rows: Sequence[Row], confidence: float = CONFIDENCE) -> list[Row]:
    """Return one row per method: means over seeds with their `spread_over_seeds`.

    The key `clean_values`, for example, holds the values of the seeds. A method of one run has the
    interval of its evaluation. The key `interval` is "samples" then, "values" below `LEAST_SEEDS`
    seeds, which are shown themselves, and else "seeds". Methods are in the order of their first
    run.
    """
    order = list(dict.fromkeys(row["method"] for row in rows))
    chosen = sorted(rows, key=lambda row: order.index(row["method"]))
    return [
        _method_row(list(method), confidence)
        for _, method in groupby(chosen, lambda row: row["method"])
    ]


def _method_row(rows: list[Row], confidence: float) -> Row:
    first, several = rows[0], len(rows) > 1
    common = ("method", "schedule", "objective", "n", "norm", "eps", "split", "attack")
    marks = {"unfinished": first["unfinished"]} if "unfinished" in first else {}
    figures: Row = {}
    for name in FIGURES:
        figures.update(_mean_of(name, rows, confidence) if several else _as_evaluated(name, first))
    return {
        **{key: first.get(key) for key in common},
        **marks,
        "runs": len(rows),
        "seeds": [row["seed"] for row in rows],
        **figures,
        "expected_bounds": _mean_bounds(rows),
        "confidence": confidence if several else first.get("confidence"),
        "interval": _kind_of_interval(len(rows)),
        "delays": [row.get("delay") for row in rows if row.get("adapted") is not None],
    }


def _mean_bounds(rows: list[Row]) -> dict[str, float]:
    """The mean of expected robustness over the runs lies between them for every curve."""
    ends = ("low", "high")
    return {end: sum(row["expected_bounds"][end] for row in rows) / len(rows) for end in ends}


def _kind_of_interval(runs: int) -> str:
    """What the intervals of a method cover; below `LEAST_SEEDS` runs its values are shown."""
    if runs == 1:
        return "samples"
    return "seeds" if runs >= LEAST_SEEDS else "values"


def _mean_of(name: str, rows: Sequence[Row], confidence: float) -> Row:
    values = [row[name] for row in rows]
    interval = spread_over_seeds(values, confidence)
    return {
        name: sum(values) / len(values),
        f"{name}_low": interval.low,
        f"{name}_high": interval.high,
        f"{name}_values": values,
    }


def _as_evaluated(name: str, row: Row) -> Row:
    return {key: row.get(key) for key in (name, f"{name}_low", f"{name}_high")}


def comparison_table(rows: Sequence[Row]) -> "Table":
    """Return the rows as a table for the terminal; the best value of finished runs is bold.

    A column has the bounds of expected robustness where they reach beyond its interval.

    To fit into 80 columns, the table omits the method, and seed and objective if they are equal
    in all runs.
    """
    cells = _run_cells(rows, digits=0)
    shared = {name for name in ("seed", "objective") if len({row[name] for row in cells}) == 1}
    hidden = {"method", *(shared if len(cells) > 1 else ())}
    shown = [{k: v for k, v in row.items() if k not in hidden} for row in cells]
    return _table(shown, title=_title(rows), bold=_best(rows))


def aggregate_table(methods: Sequence[Row]) -> "Table":
    """Return the rows of `aggregate` as a table for the terminal."""
    return _table(_method_cells(methods), title=_title(methods), bold=_best(methods))


def markdown(rows: Sequence[Row]) -> str:
    """Return rows as a Markdown table: of runs, or of methods if they come from `aggregate`."""
    cells = _cells(rows)
    header = list(cells[0]) if cells else []
    left = ("run", "method", "objective", "eps", "note")
    rule = [":--" if name in left else "--:" for name in header]
    lines = [header, rule, *(list(row.values()) for row in cells)]
    return "".join(f"| {' | '.join(_escape(cell) for cell in line)} |\n" for line in lines)


def _cells(rows: Sequence[Row]) -> list[dict[str, str]]:
    return _method_cells(rows) if rows and "runs" in rows[0] else _run_cells(rows)


def _run_cells(rows: Sequence[Row], digits: int = 1) -> list[dict[str, str]]:
    notes = [row.get("unfinished") or row.get("history") or "" for row in rows]
    return [
        {
            "run": str(row["run"]),
            "method": row["method"],
            "seed": str(row["seed"]),
            "objective": row["objective"],
            **_figure_cells(row, rows, digits),
            "delay": _delay([row["delay"]]) if row.get("adapted") is not None else "",
            **({"note": note} if any(notes) else {}),
        }
        for row, note in zip(rows, notes, strict=True)
    ]


def _method_cells(rows: Sequence[Row]) -> list[dict[str, str]]:
    return [
        {
            "method": row["method"],
            "runs": str(row["runs"]),
            "objective": row["objective"],
            **_figure_cells(row, rows),
            "delay": _delay(row["delays"]),
        }
        for row in rows
    ]


def _figure_cells(row: Row, rows: Sequence[Row], digits: int = 1) -> dict[str, str]:
    threats = {(r["norm"], r["eps"]) for r in rows}
    at, eps = f"at {format_eps(row['eps'])}", {}
    if len(threats) > 1:
        at, eps = "at eps", {"eps": f"{row['norm']} {format_eps(row['eps'])}"}
    names = {"clean": "clean", at: "adversarial", "expected": "expected"}
    figures = {title: _with_interval(row, name, digits) for title, name in names.items()}
    bounds = {"bounds": _bounds(row, digits)} if any(_bounds(one) for one in rows) else {}
    return {**eps, **figures, **bounds}


def _bounds(row: Row, digits: int = 1) -> str:
    """The bounds of expected robustness, where they reach beyond its interval."""
    low, high = (row["expected_bounds"][end] for end in ("low", "high"))
    if row["expected_low"] <= low and high <= row["expected_high"]:
        return ""
    return f"{100 * low:.{digits}f} to {100 * high:.{digits}f}"


def _with_interval(row: Row, name: str, digits: int = 1) -> str:
    """Percent over seeds (`spell_seeds`), or as value [low, high] of one evaluation.

    `digits` are the decimals of low and high.
    """
    if f"{name}_values" in row:
        return spell_seeds(row[f"{name}_values"], row["confidence"])
    value, low, high = (row.get(f"{name}{end}") for end in ("", "_low", "_high"))
    if low is None or high is None:
        return _percent(value)
    return f"{_percent(value)} [{100 * low:.{digits}f}, {100 * high:.{digits}f}]"


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else number(fraction)


def _delay(delays: Sequence[int | None]) -> str:
    known = [str(delay) if delay is not None else "never" for delay in delays]
    return ", ".join(dict.fromkeys(sorted(known)))


def _best(rows: Sequence[Row]) -> dict[str, set[int]]:
    """The finished rows with the highest value of each figure; empty if threat models differ.

    In expected robustness these are also the rows that may be highest for some curve between the
    strengths.
    """
    finished = {index: row for index, row in enumerate(rows) if "unfinished" not in row}
    if len(rows) < 2 or not finished or len({(row["norm"], row["eps"]) for row in rows}) > 1:
        return {}
    titles, best = ("clean", f"at {format_eps(rows[0]['eps'])}", "expected"), {}
    for title, name in zip(titles, FIGURES, strict=True):
        top = max(row[name] for row in finished.values())
        best[title] = {index for index, row in finished.items() if row[name] == top}
    least = max(row["expected_bounds"]["low"] for row in finished.values())
    best["expected"] |= {
        i for i, row in finished.items() if row["expected_bounds"]["high"] >= least
    }
    return best


def _title(rows: Sequence[Row]) -> str:
    kinds = {row.get("interval", "samples") for row in rows} - {"values"}
    if not kinds:
        return "accuracy in percent, the values of all seeds"
    confidences = {float(row["confidence"]) for row in rows if row.get("confidence")}
    percent = f"{100 * confidences.pop():g} % " if len(confidences) == 1 else ""
    return f"accuracy in percent, with {percent}intervals over {' or '.join(sorted(kinds))}"


def _table(cells: list[dict[str, str]], title: str, bold: Mapping[str, set[int]]) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    style: dict[str, Any] = {"box": SIMPLE_HEAD, "show_edge": False, "pad_edge": False}
    style["collapse_padding"] = True  # The usual columns fit 80 characters.
    table = Table(title=title, title_style="dim", title_justify="left", **style)
    filled = [name for name in (cells[0] if cells else {}) if any(row[name] for row in cells)]
    for name in filled:
        numeric = name not in ("run", "method", "objective", "eps", "note")
        table.add_column(name, justify="right" if numeric else "left")
    for index, row in enumerate(cells):
        # rich would read [70.1, 74.2] in a str as markup.
        styles = ["bold" if index in bold.get(name, ()) else "" for name in filled]
        parts = [
            Text(visible(row[name]), style) for name, style in zip(filled, styles, strict=True)
        ]
        table.add_row(*parts)
    return table


def _escape(cell: str) -> str:
    return cell.replace("|", "\\|")
