"""The page of a comparison: curves together and paired differences, where these are fair."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import join
from typing import Any

from rampart.counting import counted
from rampart.errors import InvalidArgument
from rampart.records.record import EvaluationRecord
from rampart.reports.measures import EXPECTED, unlike
from rampart.reports.measures import report as measure_all
from rampart.reports.named_records import Measured
from rampart.reports.page.content import Page, Section
from rampart.reports.page.curves import curve_chart, history_chart, joint_chart, spell_strength
from rampart.reports.percent import number, percent, signed
from rampart.units import format_eps

Facts = dict[str, Any]
#: Names of runs with the rows of their histories.
Histories = Sequence[tuple[str, Sequence[Mapping[str, Any]]]]


def comparison_page(
    measured: Sequence[Measured],
    distributions: Sequence[str] = (),
    histories: Histories = (),
    findings: str = "",
    command: str = "",
) -> Page:
    """Return the page of several evaluations.

    Where norm, data or attack differ, a warning stands in place of the joint chart and of the
    differences, and every evaluation has a chart of its own.

    Args:
        measured: two evaluations or more.
        distributions: of the strength, besides the uniform one.
        histories: of the runs.
        findings: sentences on the runs.
        command: that makes the page again.

    Raises:
        InvalidArgument: a distribution does not fit.
    """
    measured = _distinct(measured)
    unfair = conditions(measured)
    if unfair:
        facts = [measure_all([one], distributions)["records"][0] for one in measured]
        together: Facts = {"records": facts, "methods": [], "pairs": []}
    else:
        together, why = _together(measured, distributions)
        unfair = unfair if not why else [why]
    records = together["records"]
    sections = [
        Section("verdict", "Verdict", "comparison", _verdict(together, unfair, findings)),
        _curves(records, joint=not unfair),
        *_differences(together["pairs"]),
        *_trust(records),
        *_histories(histories),
        Section("settings", "How to reproduce it", "settings", _settings(measured, command)),
    ]
    names = ", ".join(one["name"] for one in records)
    lead = f"{counted(len(records), 'evaluation')}: {names}."
    return Page("comparison", "Comparison", lead, (), tuple(sections))


def conditions(measured: Sequence[Measured]) -> list[str]:
    """Return in words in what the evaluations differ besides the model; [] if in nothing."""
    first, found = measured[0].record, list[str]()
    for other in measured[1:]:
        second = other.record
        if first.norm != second.norm:
            found.append(f"norm ({first.norm} against {second.norm})")
        if set(first.ids) != set(second.ids) or _data(first) != _data(second):
            found.append(f"data ({_spell_data(first)} against {_spell_data(second)})")
        found += unlike(first, second)
    return list(dict.fromkeys(found))


def _distinct(measured: Sequence[Measured]) -> list[Measured]:
    """Return the evaluations under names that differ: curves of one name would be one curve."""
    found: list[Measured] = []
    for one in measured:
        names = [other.name for other in found]
        place = 2
        name = one.name
        while name in names:
            name, place = f"{one.name} ({place})", place + 1
        found.append(one._replace(name=name))
    return found


def _data(record: EvaluationRecord) -> Any:
    data = record.metadata.get("data")
    return data.get("fingerprint") if isinstance(data, Mapping) else data


def _spell_data(record: EvaluationRecord) -> str:
    data = record.metadata.get("data")
    name = data.get("name") if isinstance(data, Mapping) else data
    return f"{counted(len(record), 'image')} of {Path(str(name)).name}"


def _together(measured: Sequence[Measured], distributions: Sequence[str]) -> tuple[Facts, str]:
    """Return the figures of all; without pairs, and why, where the strengths differ."""
    try:
        return measure_all(measured, distributions), ""
    except InvalidArgument as error:
        facts = [measure_all([one], distributions)["records"][0] for one in measured]
        return {"records": facts, "methods": [], "pairs": []}, str(error)


def _verdict(together: Facts, unfair: Sequence[str], findings: str) -> Facts:
    advice = [
        figure["advice"]
        for pair in together["pairs"]
        for figure in pair["figures"].values()
        if "advice" in figure
    ]
    unfinished = [
        f"{one['name']} is not finished: {one['unfinished']}."
        for one in together["records"]
        if one.get("unfinished")
    ]
    methods = [
        {
            "name": one["method"],
            "seeds": len(one["records"]),
            **{name: _over_seeds(one["figures"][name]) for name in _FIGURES},
        }
        for one in together["methods"]
    ]
    return {
        "unfair": list(unfair),
        "sentences": [text for text in (findings, *advice) if text],
        "unfinished": unfinished,
        "methods": methods,
    }


_FIGURES = ("clean", "adversarial", EXPECTED)


def _over_seeds(figure: Facts) -> str:
    if "seeds" in figure:
        return " and ".join(map(percent, figure["seeds"]))
    return _interval(figure)


def _interval(figure: Mapping[str, float]) -> str:
    return f"{percent(figure['value'])} [{number(figure['low'])}, {number(figure['high'])}]"


def _curves(records: Sequence[Facts], joint: bool) -> Section:
    if joint:
        charts = [joint_chart([(one["name"], one) for one in records])]
    else:
        charts = [
            curve_chart(one, f"curve-{place}", one["name"]) for place, one in enumerate(records)
        ]
    rows = [
        {
            "name": one["name"],
            "n": one["n"],
            "threat": f"{one['norm']}, {spell_strength(one['eps'], one['norm'])}",
            **{name: _cell(one["figures"][name]) for name in _FIGURES},
            "bounds": _bounds(one["figures"][EXPECTED]),
        }
        for one in records
    ]
    values = {"figures": charts, "named": not joint, "rows": rows}
    return Section("curves", "Accuracy at every strength", "curves", values, tuple(charts))


def _cell(figure: Mapping[str, float]) -> dict[str, str]:
    ends = f"{number(figure['low'])} to {number(figure['high'])}"
    return {"value": percent(figure["value"]), "interval": ends}


def _bounds(figure: Facts) -> str:
    ends = figure["bounds"]
    return f"{number(ends['low'])} to {number(ends['high'])}"


def _differences(pairs: Sequence[Facts]) -> list[Section]:
    if not pairs:
        return []
    tables = [
        {
            "title": f"{pair['first']} − {pair['second']}",
            "images": counted(pair["n"], "shared image"),
            "seeds": counted(len(pair["seeds"]), "shared seed") if "seeds" in pair else "",
            "rows": [_difference(name, figure) for name, figure in pair["figures"].items()],
        }
        for pair in pairs
    ]
    return [Section("differences", "Paired differences", "differences", {"tables": tables})]


def _difference(name: str, figure: Facts) -> dict[str, str]:
    ends = figure.get("bounds")
    several = " and ".join(map(signed, figure["seeds"])) if "seeds" in figure else ""
    return {
        "name": {"adversarial": "at full strength", EXPECTED: "expected robustness"}.get(
            name, name
        ),
        "value": several or signed(figure["difference"]),
        "interval": "" if several else f"{signed(figure['low'])} to {signed(figure['high'])}",
        "p": f"{figure['p']:.2g} ({figure['test']})" if "p" in figure else "",
        "bounds": f"{signed(ends['low'])} to {signed(ends['high'])}" if ends else "",
        "note": figure.get("note", ""),
    }


def _trust(records: Sequence[Facts]) -> list[Section]:
    rows = []
    for one in records:
        checks = one.get("checks")
        said = [
            f"{verdict['status']} {verdict['check']}: {verdict['message']}"
            for verdict in (checks["verdicts"] if checks else ())
            if verdict["status"] in ("fail", "warn")
        ]
        overall = checks["overall"] if checks else "skipped"
        rows.append({"name": one["name"], "status": overall, "said": said})
    return [Section("checks", "Trust checks", "all-checks", {"rows": rows})]


def _histories(histories: Histories) -> list[Section]:
    charts = tuple(
        history_chart(rows, f"history-{place}", name)
        for place, (name, rows) in enumerate(histories)
        if rows
    )
    if not charts:
        return []
    return [Section("training", "Training", "histories", {"figures": charts}, charts)]


def _settings(measured: Sequence[Measured], command: str) -> Facts:
    facts = []
    for one in measured:
        made = one.record.metadata.get("command")
        versions = one.record.metadata.get("versions", {})
        spelled = ", ".join(f"{name} {version}" for name, version in versions.items())
        facts += [(one.name, str(made))] if made else []
        facts += [(f"versions of {one.name}", spelled)] if spelled else []
        facts.append((f"strengths of {one.name}", _strengths(one.record)))
    return {"command": command, "facts": facts, "settings": []}


def _strengths(record: EvaluationRecord) -> str:
    return f"{counted(len(record.grid) - 1, 'strength')} up to {format_eps(record.eps)}"


def command_for(paths: Sequence[Path], distributions: Sequence[str] = ()) -> str:
    """Return the command that makes the page of these folders."""
    options = [word for text in distributions for word in ("-d", text)]
    return join(["rampart", "report", *map(str, paths), "--html", *options])
