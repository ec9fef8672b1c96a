"""The cells of the tables: percent for readers, fractions with more digits for programs."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from rampart.experiments.published.paired import Comparison
from rampart.experiments.published.tables import Compared, ComparedTable
from rampart.experiments.study_table import MEASURES
from rampart.metrics.intervals import LEAST_SEEDS, spread_over_seeds
from rampart.metrics.lead import Lead
from rampart.metrics.tasks import TaskTests
from rampart.reports.grids import UNDECIDED
from rampart.reports.percent import number
from rampart.reports.seeds import spell_seeds
from rampart.reports.sheets import Sheet
from rampart.units import format_eps

_ASIDE = ("ours", "published", "difference")
#: Endings of the columns of one measure in CSV.
_COLUMNS = ("", "_low", "_high", "_published", "_difference")
#: Columns of one test in CSV.
_TEST = (
    *("pairs", "difference", "low", "high", "bootstrap_low", "bootstrap_high"),
    *("t", "p", "wilcoxon", "wilcoxon_p"),
)


def sheet_of(table: ComparedTable) -> Sheet:
    """Return a table with percent for readers, and with fractions for programs."""
    heads = (*table.labels, *(_ASIDE * len(MEASURES)), "missing runs")
    groups = (("", len(table.labels)), *((measure, len(_ASIDE)) for measure in MEASURES), ("", 1))
    lines = tuple(
        (*line.labels, *_flat(line.figures, _spelled), line.missing) for line in table.lines
    )
    exact_heads = (
        *table.labels,
        "seeds",
        *(f"{measure}{end}" for measure in MEASURES for end in _COLUMNS),
        "missing",
    )
    exact = tuple(
        (
            *line.labels,
            len(line.figures[MEASURES[0]].ours),
            *_flat(line.figures, _exact),
            line.missing,
        )
        for line in table.lines
    )
    return Sheet(
        table.name, table.title, len(table.labels), groups, heads, lines, (exact_heads, *exact)
    )


def _flat(
    figures: Mapping[str, Compared], cells: Callable[[Compared], Sequence[object]]
) -> tuple[str, ...]:
    return tuple(str(cell) for measure in MEASURES for cell in cells(figures[measure]))


def _spelled(figure: Compared) -> tuple[str, str, str]:
    return (
        spell_seeds(figure.ours) if figure.ours else "",
        "" if figure.published is None else number(figure.published),
        spell_points(figure.difference),
    )


def _exact(figure: Compared) -> tuple[str, ...]:
    spread = spread_over_seeds(figure.ours) if len(figure.ours) >= LEAST_SEEDS else None
    ends = (spread.low, spread.high) if spread else (None, None)
    return tuple(map(_digits, (figure.mean, *ends, figure.published, figure.difference)))


def _digits(value: float | None) -> str:
    return "" if value is None else f"{round(value, 6) + 0.0:g}"


def spell_points(difference: float | None) -> str:
    """Return a difference of fractions in points with its sign; empty if there is none."""
    if difference is None:
        return ""
    # Rounded first, and never -0.0.
    return f"{round(100 * difference, 1) + 0.0:+.1f}"


def sheet_of_tests(found: Iterable[Comparison]) -> Sheet:
    """Return the tests over pairs as a table."""
    heads = (
        *("eps", "over", "comparison", "measure", "pairs", "difference", "interval", "bootstrap"),
        *("bounds", "t", "p", "Wilcoxon p", "published t, same pairs", "published t, all pairs"),
    )
    found = list(found)
    lines = tuple(
        (
            format_eps(one.eps),
            one.over,
            f"{one.method} - {one.reference}",
            one.measure,
            *(_spelled_tests(one.ours, _bounds(one.lead))),
            "" if one.published is None else f"{one.published.student.t:.4f}",
            _with_pairs(one.published_all),
        )
        for one in found
    )
    exact = tuple(
        (
            format_eps(one.eps),
            *(one.over, one.method, one.reference, one.measure),
            *_exact_tests(one.ours),
            *_exact_tests(one.published),
            *_exact_tests(one.published_all),
        )
        for one in found
    )
    columns = tuple(
        f"{prefix}{name}" for prefix in ("", "published_", "published_all_") for name in _TEST
    )
    exact_heads = ("eps", "over", "method", "reference", "measure", *columns)
    title = "Table 9: tests over pairs of a backbone and a dataset"
    return Sheet("table-9", title, 4, (("", len(heads)),), heads, lines, (exact_heads, *exact))


def _bounds(lead: Lead | None) -> str:
    """The bounds where they reach beyond the interval, and whether they leave the sign open."""
    if lead is None or not lead.beyond:
        return ""
    bounds = f"{spell_points(lead.bounds[0])} to {spell_points(lead.bounds[1])}"
    return f"{bounds}, {UNDECIDED}" if lead.verdict == "grid" else bounds


def _spelled_tests(tests: TaskTests | None, bounds: str) -> tuple[str, ...]:
    if tests is None:
        return ("", "", "", "", "", "", "", "")
    student, boot = tests.student, tests.bootstrap
    return (
        str(student.n),
        spell_points(student.difference),
        f"[{spell_points(student.low)}, {spell_points(student.high)}]",
        f"[{spell_points(boot.low)}, {spell_points(boot.high)}]",
        bounds,
        f"{student.t:.4f}",
        f"{student.p:.2g}",
        f"{tests.rank_p:.2g}",
    )


def _with_pairs(tests: TaskTests | None) -> str:
    return "" if tests is None else f"{tests.student.t:.4f} ({tests.student.n})"


def _exact_tests(tests: TaskTests | None) -> tuple[object, ...]:
    if tests is None:
        return ("",) * len(_TEST)
    student, boot = tests.student, tests.bootstrap
    ends = (student.low, student.high, boot.low, boot.high)
    return (
        student.n,
        _digits(student.difference),
        *map(_digits, ends),
        f"{student.t:.6g}",
        f"{student.p:.6g}",
        f"{tests.rank_sum:g}",
        f"{tests.rank_p:.6g}",
    )
