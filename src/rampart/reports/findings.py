"""The findings of a comparison in sentences, losses as well as wins."""

from collections.abc import Sequence

from rampart.counting import counted
from rampart.metrics.adaptation import has_measurable_delay
from rampart.reports.grids import BY_LINES, UNDECIDED
from rampart.reports.leads import doubt
from rampart.reports.percent import percent
from rampart.reports.tables import Row, aggregate
from rampart.units import format_eps

_NAMES = {"fix": "RFT-fix", "standard": "standard fine-tuning"}
_REFERENCES = tuple(_NAMES)

#: Keys that must be equal before figures of evaluations are ranked.
_CONDITIONS = {
    "threats": ("norm", "eps"),
    "attacks": ("attack", "attack_options"),
    "data": ("data", "split", "n"),
}

#: Smaller differences, below half a point, are called equal.
_EQUAL_BELOW = 0.005


def findings(rows: Sequence[Row]) -> str:
    """Return a few sentences on the rows of `comparison_rows`.

    They compare the clean accuracy of the methods with standard fine-tuning, name the method with
    the highest expected robustness and accuracy at full strength, and state whether its lead may
    be chance or is undecided by the grid, and whether no schedule wins. Runs that are not finished
    are named and left out.
    """
    if not rows:
        return "There is nothing to compare."
    finished = [row for row in rows if "unfinished" not in row]
    about = _findings(finished) if finished else ""
    return " ".join(filter(None, [about, _left_out(rows), _cut(rows)]))


def _left_out(rows: Sequence[Row]) -> str:
    """Name the runs that are not finished, and how far they came."""
    named = [f"{row['run']} ({row['unfinished']})" for row in rows if "unfinished" in row]
    return f"Not finished, so left out here: {_enumerate(named)}." if named else ""


def _cut(rows: Sequence[Row]) -> str:
    """Name the runs whose history is not whole."""
    named = [f"{row['run']} ({row['history']})" for row in rows if "history" in row]
    why = "Without a delay, because the history is not whole"
    return f"{why}: {_enumerate(named)}." if named else ""


def _findings(rows: Sequence[Row]) -> str:
    different = [
        condition
        for condition, keys in _CONDITIONS.items()
        if len({str([row.get(key) for key in keys]) for row in rows}) > 1
    ]
    if different:
        return f"The runs were evaluated under different {_enumerate(different)}: no ranking."
    methods = aggregate(rows)
    if len(methods) == 1:
        return _one(methods[0])
    sentences = [
        _transfer(methods),
        _clean(methods),
        _ranking(methods, rows),
        _noise(methods, rows),
        _caution(methods),
        _unmeasured_delay(rows),
    ]
    return " ".join(filter(None, sentences))


def _one(method: Row) -> str:
    return (
        f"{_capital(_spell_name(method))}: {percent(method['clean'], 0)} clean, "
        f"{percent(method['adversarial'], 0)} "
        f"at {format_eps(method['eps'])}, {percent(method['expected'], 0)} expected robustness."
    )


def _transfer(methods: Sequence[Row]) -> str:
    """RFT-fix against standard fine-tuning, which shows whether transfer is suboptimal."""
    fix, standard = _reference(methods, "fix"), _reference(methods, "standard")
    if fix is None or standard is None:
        return ""
    gap = _describe_difference(fix["clean"] - standard["clean"], "below", "above")
    figures = f"({percent(fix['clean'], 0)} against {percent(standard['clean'], 0)})"
    return f"RFT-fix ends {gap} standard fine-tuning in clean accuracy {figures}{_late(fix)}."


def _late(method: Row) -> str:
    """The delay of adaptation; empty if there is none."""
    delays = method["delays"]
    if not delays or all(delay == 1 for delay in delays):
        return ""
    if all(delay is None for delay in delays):
        return ", and never exceeds 5 % on the validation split"
    latest = "never" if None in delays else f"only in epoch {max(delays)}"
    prefix = " in its slowest run" if len(delays) > 1 else ""
    return f", and exceeds 5 % on the validation split {latest}{prefix}"


def _clean(methods: Sequence[Row]) -> str:
    """The schedules against standard fine-tuning."""
    standard = _reference(methods, "standard")
    if standard is None:
        return ""
    parts = [
        f"{_describe_difference(method['clean'] - standard['clean'], 'lower', 'higher', 'equal')} "
        "under "
        f"{_spell_name(method)} ({percent(method['clean'], 0)})"
        for method in _schedules(methods)
    ]
    # The sentence on RFT-fix has named the accuracy of standard fine-tuning already.
    known = _reference(methods, "fix") is not None
    reference = "" if known else f" ({percent(standard['clean'], 0)})"
    start = f"Compared with standard fine-tuning{reference}, clean accuracy is "
    return f"{start}{_enumerate(parts)}." if parts else ""


def _ranking(methods: Sequence[Row], rows: Sequence[Row]) -> str:
    """The best methods, whether or not they use a schedule."""
    eps = format_eps(methods[0]["eps"])
    best, strongest = _top(methods, "expected"), _top(methods, "adversarial")
    lost = "no schedule wins in expected robustness here: " if _lost(methods, best) else ""
    claim = f"{lost}{_spell_name(best)} has the highest expected robustness over 0 to {eps}"
    if UNDECIDED in doubt(best, _second(methods, best), rows):
        claim = f"{BY_LINES}, {claim}"
    above = _above(methods, best, rows)
    sentence = f"{_capital(claim)} ({percent(best['expected'], 0)}{above})"
    fraction = percent(strongest["adversarial"], 0)
    if strongest is best:
        return f"{sentence}, and the highest accuracy at {eps} ({fraction})."
    return f"{sentence}; at {eps} {_spell_name(strongest)} is highest ({fraction})."


def _above(methods: Sequence[Row], best: Row, rows: Sequence[Row]) -> str:
    """The lead over RFT-fix, or over the best schedule if RFT-fix itself or standard leads."""
    fix, schedules = _reference(methods, "fix"), _schedules(methods)
    rival = _top(schedules, "expected") if best["schedule"] in _REFERENCES and schedules else fix
    if rival is None or rival is best:
        return ""
    difference = _describe_difference(best["expected"] - rival["expected"], "below", "above")
    # The sentence on the closest rival says more.
    further = rival is not _second(methods, best)
    open_ = f", {UNDECIDED}" if further and UNDECIDED in doubt(best, rival, rows) else ""
    return f", {difference} {_spell_name(rival)}{open_}"


def _noise(methods: Sequence[Row], rows: Sequence[Row]) -> str:
    """A warning if the lead in expected robustness may be chance or is undecided by the grid."""
    best = _top(methods, "expected")
    second = _second(methods, best)
    lead = best["expected"] - second["expected"]
    if lead < 0.0005:
        return f"Its expected robustness is equal to that of {_spell_name(second)}."
    why = doubt(best, second, rows)
    return why and f"Its lead of {_points(lead)} over {_spell_name(second)} {why}."


def _caution(methods: Sequence[Row]) -> str:
    if any(method["runs"] > 1 for method in methods):
        return ""
    return "Each method has one run: the intervals cover the choice of images, not of the seed."


def _unmeasured_delay(rows: Sequence[Row]) -> str:
    """Say where guessing alone exceeds 5 %, so that every run would adapt in its first epoch."""
    classes = rows[0].get("num_classes")
    if has_measurable_delay(classes):
        return ""
    return (
        f"The adaptation delay cannot be measured: with {classes} classes, guessing alone reaches "
        "5 %."
    )


def _reference(methods: Sequence[Row], schedule: str) -> Row | None:
    """The method with this schedule, if there is exactly one."""
    found = [method for method in methods if method["schedule"] == schedule]
    return found[0] if len(found) == 1 else None


def _schedules(methods: Sequence[Row]) -> list[Row]:
    return [method for method in methods if method["schedule"] not in _REFERENCES]


def _lost(methods: Sequence[Row], best: Row) -> bool:
    return best["schedule"] in _REFERENCES and bool(_schedules(methods))


def _top(methods: Sequence[Row], figure: str) -> Row:
    return max(methods, key=lambda method: method[figure])


def _second(methods: Sequence[Row], best: Row) -> Row:
    return _top([method for method in methods if method is not best], "expected")


def _describe_difference(
    difference: float, below: str, above: str, equal: str = "within half a point of"
) -> str:
    if abs(difference) < _EQUAL_BELOW:
        return equal
    return f"{_points(difference)} {below if difference < 0 else above}"


def _points(difference: float) -> str:
    """Spell a difference everywhere alike: below ten points with one decimal."""
    points = 100 * abs(difference)
    return counted(round(points) if round(points, 1) >= 10 else round(points, 1), "point")


def _spell_name(method: Row) -> str:
    schedule, label = str(method["schedule"]), str(method["method"])
    return _NAMES.get(schedule, schedule) + label.removeprefix(schedule)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _enumerate(parts: Sequence[str]) -> str:
    return ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]
