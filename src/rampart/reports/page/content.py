"""The sections of a page: each names its template and holds the values that it shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scipy import special

from rampart.counting import counted, in_thousands
from rampart.metrics.curve import Integers
from rampart.metrics.sequential import SHARE
from rampart.records.record import EvaluationRecord
from rampart.registry import flatten
from rampart.reports.headline import spell_balanced
from rampart.reports.measures import EXPECTED
from rampart.reports.page.charts import Chart, live
from rampart.reports.page.curves import curve_chart, curve_rows, spell_strength
from rampart.reports.page.words import MEANINGS
from rampart.reports.percent import number, percent
from rampart.reports.statements import evaluation_lines
from rampart.runs.passes import Passes
from rampart.units import format_eps, is_corruption

Facts = Mapping[str, Any]

#: Distributions of the strength that every page of a norm shows beside the uniform one.
DISTRIBUTIONS = {
    "beta:a=2,b=5": "weak attacks are likelier: Beta(2, 5)",
    "beta:a=5,b=2": "strong attacks are likelier: Beta(5, 2)",
}
#: Classes in the first table; the others follow in a table that opens.
MOST_BRITTLE = 10
#: Most classes of a page, which would be too large with tens of thousands.
MOST_CLASSES = 500


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        id: of its element.
        title: its heading.
        template: name of its file, without the ending.
        values: for the template.
        charts: that the script replaces by live ones.
    """

    id: str
    title: str
    template: str
    values: dict[str, Any] = field(default_factory=dict)
    charts: tuple[Chart, ...] = ()


@dataclass(frozen=True)
class Page:
    """A whole page.

    Attributes:
        kind: evaluation, run or comparison.
        title: the heading.
        lead: what was measured, in one sentence.
        tiles: (figure, label, interval) of the most important figures.
        sections: in their order.
        data: for the script.
        made_from: checksums of what the page shows, by name.
    """

    kind: str
    title: str
    lead: str
    tiles: tuple[tuple[str, str, str], ...]
    sections: tuple[Section, ...]
    data: dict[str, Any] = field(default_factory=dict)
    made_from: Mapping[str, str] = field(default_factory=dict)

    def script_data(self) -> dict[str, Any]:
        """Return the values for the script, with the specifications of all charts."""
        charts = {one.id: live(one) for section in self.sections for one in section.charts}
        return {**self.data, "charts": charts}


def distributions_for(record: EvaluationRecord, wanted: Sequence[str] = ()) -> list[str]:
    """Return the distributions of a page besides the uniform one; none for a corruption."""
    if is_corruption(record.norm) or not record.eps:
        return list(wanted)
    return [*DISTRIBUTIONS, *(text for text in wanted if text not in DISTRIBUTIONS)]


def tiles_of(facts: Facts) -> tuple[tuple[str, str, str], ...]:
    """Return the most important figures with their intervals."""
    labels = {
        "clean": "clean accuracy",
        "adversarial": f"accuracy at {spell_strength(facts['eps'], facts['norm'])}",
        "expected": "expected robustness",
    }
    return tuple(
        (
            percent(facts[name]),
            label,
            f"{number(facts[f'{name}_low'])} to {number(facts[f'{name}_high'])}",
        )
        for name, label in labels.items()
    )


def curve_section(facts: Facts, record: EvaluationRecord) -> Section:
    """Return the curve, its table, and expected robustness over several distributions."""
    figures = [
        {
            "name": _spell_distribution(name, facts),
            "value": percent(figure["value"]),
            "interval": f"{number(figure['low'])} to {number(figure['high'])}",
            "bounds": f"{number(figure['bounds']['low'])} to {number(figure['bounds']['high'])}",
        }
        for name, figure in facts["figures"].items()
        if "bounds" in figure
    ]
    chart = curve_chart(facts)
    values = {
        "chart": chart,
        "rows": curve_rows(facts),
        "figures": figures,
        "confidence": f"{100 * facts['confidence']:g} %",
        "adjustable": bool(expectation_data(record)),
        "eps": format_eps(record.eps),
        "head": "Severity" if is_corruption(record.norm) else "eps",
    }
    return Section("curve", "Accuracy at every strength", "curve", values, (chart,))


def _spell_distribution(name: str, facts: Facts) -> str:
    if name != EXPECTED:
        return DISTRIBUTIONS.get(name, name)
    if is_corruption(facts["norm"]):
        return "every severity is equally likely"
    return f"uniform on [0, {format_eps(facts['eps'])}]"


def expectation_data(record: EvaluationRecord) -> dict[str, Any] | None:
    """Return what the script needs to compute expected robustness: counts, not images.

    The formulas are those of `metrics.expectation` and `metrics.intervals`.
    """
    if is_corruption(record.norm) or not record.eps:
        return None
    counts = [0] * (len(record.grid) + 1)
    for index in record.critical.tolist():
        counts[index] += 1
    sequential = "until" in record.metadata
    confidence = 1 - SHARE * (1 - record.confidence) if sequential else record.confidence
    return {
        "grid": record.grid.tolist(),
        "counts": counts,
        "z": float(special.ndtri((1 + confidence) / 2)),
        "sequential": sequential,
        "norm": record.norm,
    }


def checks_section(facts: Facts) -> Section | None:
    """Return every check with its question and its answer."""
    checks = facts.get("checks")
    if not isinstance(checks, Mapping):
        return None
    order = ("fail", "warn", "pass", "skipped")
    verdicts = sorted(checks["verdicts"], key=lambda one: order.index(one["status"]))
    rows = [{**one, "meaning": MEANINGS.get(one["check"], "")} for one in verdicts]
    return Section("checks", "Trust checks", "checks", {"rows": rows})


def classes_section(facts: Facts, record: EvaluationRecord) -> Section | None:
    """Return the classes with the most brittle first, and what they are confused with."""
    classes = facts.get("classes") or []
    if len(classes) < 2:
        return None
    clean = confusions(record, record.predictions)
    attacked = record.attacked_predictions
    astray = {} if attacked is None else confusions(record, attacked)
    # `measures` lists the classes that occur in the order of their labels.
    labelled = zip(classes, sorted(set(record.labels.tolist())), strict=True)
    ordered = sorted(
        labelled, key=lambda pair: (pair[0][EXPECTED]["value"], pair[0]["clean"]["value"])
    )
    rows = [
        {
            "name": one["class"],
            "n": one["n"],
            **{name: _cell(one[name]) for name in ("clean", "adversarial", EXPECTED)},
            "confused": _spell_confused(clean.get(label, {})),
            "astray": _spell_confused(astray.get(label, {})),
        }
        for one, label in ordered
    ]
    values = {
        "rows": rows[:MOST_BRITTLE],
        "others": rows[MOST_BRITTLE:MOST_CLASSES],
        "left_out": len(rows[MOST_CLASSES:]),
        "at": spell_strength(facts["eps"], facts["norm"]),
        "confidence": f"{100 * facts['confidence']:g} %",
        "changed": "corrupted" if is_corruption(record.norm) else "under attack",
        "known": attacked is not None,
        "balanced": spell_balanced(facts),
    }
    return Section("classes", "Classes", "classes", values)


def _cell(figure: Facts) -> dict[str, Any]:
    ends = f"{number(figure['low'])} to {number(figure['high'])}"
    return {"value": percent(figure["value"]), "interval": ends, "width": 100 * figure["value"]}


def class_names(record: EvaluationRecord) -> list[str]:
    """Return the names of the classes; empty if the record does not know them."""
    model = record.metadata.get("model")
    names = model.get("classes", []) if isinstance(model, Mapping) else []
    return [str(name) for name in names]


def class_name(record: EvaluationRecord, label: int) -> str:
    """Return the name of a class, or its number."""
    names = class_names(record)
    return names[label] if 0 <= label < len(names) else str(label)


def confusions(record: EvaluationRecord, predictions: Integers) -> dict[int, dict[str, int]]:
    """Return for each label the classes of its wrong predictions, the commonest first.

    Args:
        record: the images.
        predictions: (N,) of the clean images, or under attack.
    """
    found: dict[int, dict[str, int]] = {}
    pairs = zip(record.labels.tolist(), predictions.tolist(), strict=True)
    for label, prediction in pairs:
        if prediction not in (label, -1):
            own = found.setdefault(label, {})
            name = class_name(record, prediction)
            own[name] = own.get(name, 0) + 1
    return {
        label: dict(sorted(own.items(), key=lambda item: (-item[1], item[0])))
        for label, own in found.items()
    }


def _spell_confused(counts: Mapping[str, int], most: int = 3) -> str:
    shown = [f"{name} ({count})" for name, count in list(counts.items())[:most]]
    more = len(counts) - most
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def cost_section(
    facts: Facts, record: EvaluationRecord, history: Sequence[Facts] = (), run: Facts | None = None
) -> Section:
    """Return passes and seconds of the evaluation and of the training."""
    told = (line.partition(": ") for line in evaluation_lines(facts))
    names = {"cost": "evaluation", "rerun": "rerun", "escalation": "escalation"}
    rows = [(names[key], text) for key, _, text in told if key in names]
    hardware = record.metadata.get("hardware")
    if hardware:
        rows.append(("hardware of the evaluation", str(hardware)))
    rows += _training_cost(history, run or {})
    return Section(
        "cost",
        "Cost",
        "pairs",
        {"caption": "Passes of images through the model, and time", "rows": rows},
    )


def _training_cost(history: Sequence[Facts], run: Facts) -> list[tuple[str, str]]:
    if not history:
        return []
    passes = sum(row.get("forwards", 0) + row.get("backwards", 0) for row in history)
    seconds = sum(row.get("seconds", 0.0) for row in history)
    text = f"{counted(len(history), 'epoch')}, {in_thousands(passes)} passes, {seconds:,.0f} s"
    rows = [("training", text)]
    for name, own in Passes.of((), run).facts().items():
        if own and name != "total":
            rows.append((name.replace("_", " "), f"{in_thousands(own)} passes"))
    parameters = run.get("parameters")
    if isinstance(parameters, Mapping):
        trained, of = parameters.get("trained", 0), parameters.get("all", 0)
        rows.append(("parameters", f"{trained:,} trained of {of:,}"))
    return rows


def settings_section(
    settings: Mapping[str, Any], metadata: Mapping[str, Any], command: str
) -> Section:
    """Return the command that reproduces the page's figures, versions, and every setting."""
    model, data = metadata.get("model"), metadata.get("data")
    facts = [
        *((f"version of {name}", str(one)) for name, one in metadata.get("versions", {}).items()),
        *_fingerprints("model", model),
        *_fingerprints("data", data),
    ]
    values = {
        "command": command,
        "facts": facts,
        "settings": [(key, _spell(value)) for key, value in flatten(settings).items()],
    }
    return Section("settings", "How to reproduce it", "settings", values)


def _fingerprints(name: str, known: Any) -> list[tuple[str, str]]:
    if not isinstance(known, Mapping) or not known.get("fingerprint"):
        return []
    return [(f"fingerprint of the {name}", str(known["fingerprint"]))]


def _spell(value: Any) -> str:
    return "" if value is None else str(value)
