"""Figures beyond the summary of a record, as plain values and without another attack.

Every figure (clean, adversarial at eps_g, expected robustness under some distribution) is the mean
of one number per sample. The same figures therefore apply to one record, to a pair of records of
the same samples, and to several seeds of one method.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from rampart.metrics.classes import class_means, worst_class
from rampart.metrics.continuum import bounds, bracket
from rampart.metrics.crossing import disagreement
from rampart.metrics.curve import Floats, Integers
from rampart.metrics.distributions import Distribution, default_distribution, parse_distribution
from rampart.metrics.expectation import contributions
from rampart.metrics.hierarchy import hierarchical_difference, hierarchical_interval
from rampart.metrics.intervals import LEAST_SEEDS, mean_interval
from rampart.metrics.lead import Bracket, Lead, lead_between
from rampart.metrics.planning import samples_needed
from rampart.records.pairing import align_critical, align_rows
from rampart.records.record import EvaluationRecord
from rampart.records.summary import summary
from rampart.reports.advice import advice
from rampart.reports.grids import undecided
from rampart.reports.named_records import Measured, group_by_method
from rampart.reports.paired import POINT, paired_difference
from rampart.units import require_norm

#: Expected robustness under the uniform distribution on [0, eps_g].
EXPECTED = "expected"

Facts = dict[str, Any]
Laws = Mapping[str, Distribution]

#: Settings that two evaluations should share, so that only their models differ; with the path of
#: each in the metadata.
COMPARED = {
    "attack": ("attack",),
    "size of the images": ("settings", "data", "image_size"),
    "resizing of the images": ("settings", "data", "resize"),
    "criterion": ("target",),
    "top_k": ("top_k",),
}


def report(
    measured: Sequence[Measured], distributions: Sequence[str] = (), per_class: bool = False
) -> Facts:
    """Return all figures of the records, as plain values for JSON.

    Args:
        measured: records, one or more.
        distributions: distributions of the strength besides the uniform one, such as
            "beta:a=2,b=5" (`parse_distribution`).
        per_class: list every class, not only the worst.

    Returns:
        - records: one entry per record (`measure`);
        - methods: one entry per method with several seeds (`over_seeds`);
        - pairs: differences between two methods or two records.

    Raises:
        UnknownName: a distribution is unknown.
        InvalidArgument: a distribution does not fit, or samples or threat models differ.
    """
    records = [one.record for one in measured]
    laws = [_laws(record, distributions) for record in records]
    facts = [
        {
            "name": one.name,
            "others": list(one.others),
            **({"unfinished": one.unfinished} if one.unfinished else {}),
            **({"training_passes": one.passes.facts()} if one.passes else {}),
            **measure(one.record, own, per_class),
        }
        for one, own in zip(measured, laws, strict=True)
    ]
    methods = group_by_method(measured)
    several = {name: method for name, method in methods.items() if len(method) > 1}
    return {
        "records": facts,
        "methods": [over_seeds(name, method, laws[0]) for name, method in several.items()],
        "pairs": _pairs(measured, several, laws[0]),
    }


def measure(record: EvaluationRecord, laws: Laws, per_class: bool = False) -> Facts:
    """Return the summary of one record, and for each figure its interval and the worst class.

    Each figure has the number of images needed for +-1 point. Expected robustness also has
    `bounds`: it lies between them, whatever the curve does between its strengths.
    """
    values = _values(record, record.critical, laws)
    figures = {name: _figure(v, record.confidence) for name, v in values.items()}
    for name, law in laws.items():
        interval = record.expected_interval(values[name])
        figures[name] |= {"low": interval.low, "high": interval.high}
        found = bounds(record.critical, record.grid, law, record.distance)
        figures[name]["bounds"] = {"low": found.low, "high": found.high}
    worst = {name: _worst(record, v) for name, v in values.items() if name != "clean"}
    classes = {"classes": _classes(record, values)} if per_class else {}
    pruning = record.metadata.get("pruning")
    return {**summary(record), "pruning": pruning, "figures": figures, "worst": worst, **classes}


def difference(first: Measured, second: Measured, laws: Laws) -> Facts:
    """Return first - second on the same samples, for each figure with interval and exact test.

    Clean and adversarial accuracy use McNemar's test, expected robustness the sign-flip test. Each
    figure has the number of images needed for +-1 point of the difference, says whether it may be
    chance, and why interval and test disagree where they do (`reports.paired`). Expected robustness
    also has `advice`, `crossings`, the `bounds` of the difference for any curve between the
    strengths, and a `verdict` (`metrics.lead`): "decided", "chance" or "grid".

    Raises:
        InvalidArgument: the records differ in samples, norm or grid.
    """
    ours, theirs = first.record, second.record
    order = align_rows(ours, theirs)
    critical = theirs.critical[order]
    values, others = _values(ours, ours.critical, laws), _values(ours, critical, laws)
    figures = {
        name: paired_difference(v, others[name], ours.confidence, binary=name not in laws)
        for name, v in values.items()
    }
    for name, law in laws.items():
        doubtful = figures[name]["doubtful"], figures["adversarial"]["doubtful"]
        figures[name] |= _choice(first, second, order, law, doubtful)
    return {
        "first": first.name,
        "second": second.name,
        "n": len(ours),
        "unlike": unlike(ours, theirs),
        "figures": figures,
    }


def unlike(first: EvaluationRecord, second: EvaluationRecord) -> list[str]:
    """Return the settings other than the model in which two evaluations differ (`COMPARED`)."""
    found = []
    for name, keys in COMPARED.items():
        values = []
        for record in (first, second):
            value: Any = record.metadata
            for key in keys:
                value = value.get(key) if isinstance(value, Mapping) else None
            values.append(value)
        if values[0] != values[1]:
            found.append(f"{name} ({_spell(values[0])} against {_spell(values[1])})")
    return found


def _spell(value: Any) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    return " ".join(f"{v}" if k == "name" else f"{k}={v}" for k, v in value.items())


def over_seeds(name: str, method: Sequence[Measured], laws: Laws) -> Facts:
    """Return each figure over several seeds, with an interval over both seeds and samples.

    Below `LEAST_SEEDS` seeds the ends are those of the seeds' range, and `seeds` has their values.

    Raises:
        InvalidArgument: the records differ in samples, norm or grid.
    """
    tables = _tables(method, method[0].record, laws)
    figures = {
        figure: _seed_value(table, method[0].record.confidence) for figure, table in tables.items()
    }
    return {"method": name, "records": [one.name for one in method], "figures": figures}


def _laws(record: EvaluationRecord, distributions: Sequence[str]) -> dict[str, Distribution]:
    laws = {EXPECTED: default_distribution(record.eps)}
    for text in distributions:
        norm = require_norm(record.norm, "distribution", "leave out the distribution")
        laws[text] = parse_distribution(text, record.eps, norm)
    return laws


def _values(record: EvaluationRecord, critical: Integers, laws: Laws) -> dict[str, Floats]:
    """For each figure one number in [0, 1] per sample."""
    last = len(record.grid) - 1
    right = {"clean": critical > 0, "adversarial": critical > last}
    expected = {name: contributions(critical, record.grid, law) for name, law in laws.items()}
    return {**{name: v.astype(np.float64) for name, v in right.items()}, **expected}


def _figure(values: Floats, confidence: float) -> Facts:
    mean, interval = float(values.mean()), mean_interval(values, confidence)
    needed = samples_needed(POINT, mean, float(values.std()), confidence)
    return {"value": mean, "low": interval.low, "high": interval.high, "samples_needed": needed}


def _worst(record: EvaluationRecord, values: Floats) -> Facts:
    worst = worst_class(values, record.labels, record.confidence)
    ends = {"value": worst.mean, "low": worst.own.low, "high": worst.own.high}
    shared = {"ties": worst.ties, "classes": worst.classes}
    return {"class": _class(record, worst.label), "n": worst.count, **shared, **ends}


def _classes(record: EvaluationRecord, values: Mapping[str, Floats]) -> list[Facts]:
    """One entry per class that occurs: its name, its number of images, and each figure."""
    tables = {name: class_means(v, record.labels, record.confidence) for name, v in values.items()}
    first = tables["clean"]
    return [
        {
            "class": _class(record, int(label)),
            "n": int(first.counts[k]),
            **{
                name: {"value": float(t.means[k]), "low": float(t.low[k]), "high": float(t.high[k])}
                for name, t in tables.items()
            },
        }
        for k, label in enumerate(first.labels)
    ]


def _class(record: EvaluationRecord, label: int) -> str:
    model = record.metadata.get("model")
    names = model.get("classes", []) if isinstance(model, Mapping) else []
    return str(names[label]) if label < len(names) else str(label)


def _choice(
    first: Measured,
    second: Measured,
    order: Integers,
    law: Distribution,
    doubtful: tuple[bool, bool],
) -> Facts:
    """Which model to choose, and the ranges of strengths in which that changes."""
    ours, theirs = first.record, second.record
    distances = ours.distance, None if theirs.distance is None else theirs.distance[order]
    critical = theirs.critical[order]
    found = disagreement(ours.critical, critical, ours.grid, law, ours.confidence, distances)
    grid = ours.grid.tolist()
    facts = _lead_facts(found.lead, grid, ours.norm)
    # The test may doubt what the interval alone decides.
    chance = {"verdict": "chance"} if doubtful[0] and facts["verdict"] == "decided" else {}
    return {
        **facts,
        **chance,
        "crossings": [list(change) for change in found.crossings],
        "decided": None if found.decided is None else list(found.decided),
        "stretches": [asdict(part) for part in found.stretches],
        "opposite": found.opposite,
        "certain": not any(doubtful),
        "advice": advice(found, (first.name, second.name), grid, ours.norm, doubtful),
    }


def _lead_facts(found: Lead, grid: Sequence[float], norm: str) -> Facts:
    """The bounds of a difference, its verdict, and the strengths that would decide it."""
    facts: Facts = {
        "bounds": dict(zip(("low", "high"), found.bounds, strict=True)),
        "verdict": found.verdict,
    }
    if found.verdict == "grid":
        facts["undecided"] = undecided(found, grid, norm)
    return facts


def _pairs(
    measured: Sequence[Measured], several: Mapping[str, Sequence[Measured]], laws: Laws
) -> list[Facts]:
    """Differences between methods with several seeds, else between the first record and others."""
    if len(measured) == 2 or not several:
        return [difference(measured[0], other, laws) for other in measured[1:]]
    found = [_method_difference(pair, several, laws) for pair in combinations(several, 2)]
    return [facts for facts in found if facts]


def _method_difference(
    pair: tuple[str, str], methods: Mapping[str, Sequence[Measured]], laws: Laws
) -> Facts:
    """First - second of two methods over their shared seeds; empty with fewer than two of these."""
    seeds = [{o.record.metadata["run"]["seed"]: o for o in methods[name]} for name in pair]
    shared = sorted(seeds[0].keys() & seeds[1].keys())
    if len(shared) < 2:
        return {}
    reference = seeds[0][shared[0]].record
    first, second = (_tables([own[s] for s in shared], reference, laws) for own in seeds)
    figures = {n: _seed_difference(first[n], second[n], reference.confidence) for n in first}
    for name, law in laws.items() if len(shared) >= LEAST_SEEDS else ():
        ours, theirs = (_brackets([own[s] for s in shared], reference, law) for own in seeds)
        found = lead_between(
            ours, theirs, partial(hierarchical_difference, confidence=reference.confidence)
        )
        figures[name] |= _lead_facts(found, reference.grid.tolist(), reference.norm)
    names = {"first": pair[0], "second": pair[1], "seeds": shared}
    return {**names, "n": len(reference), "figures": figures}


def _tables(
    method: Sequence[Measured], reference: EvaluationRecord, laws: Laws
) -> dict[str, Floats]:
    """For each figure its (S, N) values, with the samples in the order of the reference."""
    rows = [_values(reference, align_critical(reference, one.record), laws) for one in method]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def _brackets(
    method: Sequence[Measured], reference: EvaluationRecord, law: Distribution
) -> Bracket:
    """(S, N) contributions with their bounds, with the samples in the order of the reference."""
    rows = []
    for one in method:
        order, known = align_rows(reference, one.record), one.record.distance
        distances = None if known is None else known[order]
        rows.append(bracket(one.record.critical[order], reference.grid, law, distances))
    return Bracket(*(np.stack(part) for part in zip(*rows, strict=True)))


def _seed_value(table: Floats, confidence: float) -> Facts:
    """The mean of (S, N) values, with its interval or with the values of too few seeds."""
    mean = {"value": float(table.mean())}
    if len(table) < LEAST_SEEDS:
        return mean | _few(table.mean(axis=1))
    interval = hierarchical_interval(table, confidence)
    return {**mean, "low": interval.low, "high": interval.high}


def _seed_difference(first: Floats, second: Floats, confidence: float) -> Facts:
    """The same for the difference of two (S, N) tables of shared seeds and samples."""
    mean = {"difference": float((first - second).mean())}
    if len(first) < LEAST_SEEDS:
        return mean | _few((first - second).mean(axis=1))
    interval = hierarchical_difference(first, second, confidence)
    return {**mean, "low": interval.low, "high": interval.high}


def _few(values: Floats) -> Facts:
    return {"low": float(values.min()), "high": float(values.max()), "seeds": values.tolist()}
