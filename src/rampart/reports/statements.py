"""The values of `measures` and of summaries as lines of text."""

from collections.abc import Iterator, Mapping
from typing import Any

from rampart.counting import counted
from rampart.reports.grids import spell_bounds
from rampart.reports.headline import spell_balanced, spell_images
from rampart.reports.measures import EXPECTED, Facts
from rampart.reports.percent import number, percent, signed
from rampart.runs.contents import spell
from rampart.runs.passes import spell_passes
from rampart.units import format_eps


def report_lines(facts: Facts) -> list[str]:
    """Return the lines of `measures.report`, with an empty line between its parts."""
    parts = [record_lines(one) for one in facts["records"]]
    eps = facts["records"][0]["eps"]
    parts += [_method_lines(one, eps) for one in facts["methods"]]
    parts += [_pair_lines(one, eps) for one in facts["pairs"]]
    lines = [line for part in parts for line in (*part, "")]
    return lines[:-1]


def record_lines(facts: Facts) -> list[str]:
    """Return the lines of one record: curve, figures, classes, stages, checks and cost."""
    attack = "" if facts["attack"] == facts["norm"] else f"{facts['attack']} "
    lines = [
        f"{facts['name']}: {spell_images(facts)}, {attack}under {facts['norm']}, "
        f"{100 * facts['confidence']:g} % intervals"
    ]
    if facts.get("unfinished"):
        lines.append(f"  warning: the run is not finished: {facts['unfinished']}")
    if facts.get("others"):
        others = spell(facts["others"])
        lines.append(f"  note: the evaluation of the run's own configuration; others: {others}")
    lines += [
        f"  {format_eps(point['eps'], facts['eps']):>9}  {_fraction(point, 'accuracy')}"
        for point in facts["curve"]
    ]
    lines += _figure_lines(facts)
    lines += _published_line(facts)
    lines += _class_lines(facts)
    lines += [line for line in (_stage_line(facts), _needed_line(facts)) if line]
    if "training_passes" in facts:
        lines.append(f"training: {spell_passes(facts['training_passes'])}")
    return [*lines, *evaluation_lines(facts)]


def evaluation_lines(facts: Mapping[str, Any]) -> list[str]:
    """Return the lines on unbalanced classes, checks, pruning, rerun and cost of an evaluation.

    Args:
        facts: a summary, with `pruning` from the metadata added.
    """
    balanced = spell_balanced(facts)
    lines = [
        f"balanced: {balanced}" if balanced else "",
        *_check_lines(facts),
        _pruning_line(facts),
        _rerun_line(facts),
        _cost_line(facts),
    ]
    return [line for line in lines if line]


def _check_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """The overall verdict, and every failure and warning in full."""
    if "checks" not in facts:
        return
    verdicts = [one for one in facts["checks"]["verdicts"] if one["status"] != "skipped"]
    passed = sum(one["status"] == "pass" for one in verdicts)
    yield f"checks: {facts['checks']['overall']}, {passed} of {len(verdicts)} checks passed"
    for status in ("fail", "warn"):
        yield from (
            f"  {status} {one['check']}: {one['message']}"
            for one in verdicts
            if one["status"] == status
        )


def _pruning_line(facts: Mapping[str, Any]) -> str:
    """The escalation, or the error that the recheck of fast mode excludes."""
    pruning = facts.get("pruning") or {}
    if pruning.get("escalated"):
        return f"escalation: all pruned runs were repeated in full ({pruning['escalated']})"
    if not pruning.get("excluded"):
        return ""
    return (
        f"fast mode: errors above {number(pruning['excluded'])} points are excluded at 95 % "
        f"({pruning['rechecked']} of {counted(pruning['gave_up'], 'image')} that gave runs up were "
        f"attacked in full, {pruning['lowered']} changed)"
    )


def _rerun_line(facts: Mapping[str, Any]) -> str:
    """The strength at which the rerun differs most from the engine."""
    strengths = facts["rerun"]["strengths"] if "rerun" in facts else []
    if not strengths:
        return ""
    worst = max(strengths, key=lambda at: abs(at["accuracy"] - at["alone"]))
    gap, eps = worst["accuracy"] - worst["alone"], format_eps(worst["eps"])
    largest = f"largest difference {signed(gap)} points at {eps}"
    found = largest if gap else "no difference at any strength"
    return (
        f"rerun: {counted(facts['rerun']['n'], 'image')} attacked at each strength alone, {found}"
    )


def _cost_line(facts: Mapping[str, Any]) -> str:
    known = [facts[key] for key in ("forwards", "backwards") if facts.get(key) is not None]
    if not known or facts.get("seconds") is None:
        return ""
    passes = counted(round(sum(known) / facts["n"]), "pass")
    # The rows of an interrupted call are not known.
    rows = {} if facts.get("resumed") else facts.get("rows") or {}
    all_rows = (
        f" ({round(sum(rows.values()) / facts['n'])} with checks, rerun and filler)" if rows else ""
    )
    return f"cost: {passes} per image{all_rows}, {facts['seconds']:.0f} s"


def _figure_lines(facts: Facts) -> Iterator[str]:
    for name, figure in facts["figures"].items():
        text = f"  {_spell_name(name, facts['eps'])}: {_fraction(figure, 'value')}"
        if "bounds" in figure:
            low, high = percent(figure["bounds"]["low"]), percent(figure["bounds"]["high"])
            text += f", bounds {low} to {high}"
        yield text


def _published_line(facts: Facts) -> Iterator[str]:
    """Expected robustness by the publication's rule, where the grid is finer than its own."""
    value, levels = facts.get("expected_published"), round(255 * facts["eps"])
    if value is not None and len(facts["curve"]) > levels + 1:
        yield f"  expected on whole gray levels, the publication's rule: {percent(value)}"


def _class_lines(facts: Facts) -> Iterator[str]:
    for name, worst in facts["worst"].items():
        yield f"  worst class {_spell_name(name, facts['eps'])}: {_spell_worst(worst)}"
    for one in facts.get("classes", []):
        figures = ", ".join(
            f"{_spell_name(name, facts['eps'])} {_fraction(one[name], 'value')}"
            for name in facts["figures"]
        )
        yield f"  class {one['class']} ({counted(one['n'], 'image')}): {figures}"


def _spell_worst(worst: Facts) -> str:
    """Name the worst class; of several that are equal, say how many they are."""
    ties, classes = worst["ties"], worst["classes"]
    if ties == classes > 1:
        return f"none, all {classes} classes have {percent(worst['value'])}"
    shared = (
        f"{ties} of {classes} classes share the lowest value, the first is " if ties > 1 else ""
    )
    images = counted(worst["n"], "image")
    return f"{shared}{worst['class']}, {_fraction(worst, 'value')} of {images}"


def _stage_line(facts: Facts) -> str:
    if facts["found_by"] is None:
        return ""
    stages = [
        f"{count} by {stage}" if stage != "clean" else f"{count} without perturbation"
        for stage, count in facts["found_by"].items()
    ]
    left = facts["n"] - sum(facts["found_by"].values())
    return f"  misclassified: {', '.join(stages) or 'none'}; robust: {left}"


def _needed_line(facts: Facts) -> str:
    needed = [
        f"{figure['samples_needed']:,} {_spell_name(name, facts['eps'])}"
        for name, figure in facts["figures"].items()
    ]
    return f"  images needed for +-1 point: {', '.join(needed)}"


def _method_lines(facts: Facts, eps: float) -> list[str]:
    few = any("seeds" in figure for figure in facts["figures"].values())
    images = "" if few else " and the images"
    lines = [f"{facts['method']}, over {counted(len(facts['records']), 'seed')}{images}:"]
    lines += [
        f"  {_spell_name(name, eps)}: {_over_seeds(f)}" for name, f in facts["figures"].items()
    ]
    return lines


def _over_seeds(figure: Facts) -> str:
    """The value with its interval, or the values of too few seeds for an interval."""
    if "seeds" in figure:
        return " and ".join(percent(value) for value in figure["seeds"])
    return _fraction(figure, "value")


def _pair_lines(facts: Facts, eps: float) -> list[str]:
    seeds = f" and {counted(len(facts['seeds']), 'shared seed')}" if "seeds" in facts else ""
    images = counted(facts["n"], "shared image")
    lines = [f"{facts['first']} - {facts['second']}, on {images}{seeds}:"]
    if facts.get("unlike"):
        others = ", ".join(facts["unlike"])
        lines.append(f"  warning: the evaluations also differ in {others}")
    for name, figure in facts["figures"].items():
        lines.append(f"  {_spell_name(name, eps)}: {_difference(figure)}")
        lines += [f"  {figure['note']}"] if "note" in figure else []
        # For two records the advice says the same.
        if "undecided" in figure and "advice" not in figure:
            lines.append(f"  the sign of this difference is {figure['undecided']}")
    chosen = {name: f["advice"] for name, f in facts["figures"].items() if "advice" in f}
    return [*lines, *(_advice(name, text, len(chosen) > 1) for name, text in chosen.items())]


def _advice(name: str, text: str, several: bool) -> str:
    return f"  under {'uniform' if name == EXPECTED else name}: {text}" if several else f"  {text}"


def _difference(figure: Facts) -> str:
    if "seeds" in figure:
        return f"{' and '.join(map(signed, figure['seeds']))} points, seed by seed"
    ends = f"[{signed(figure['low'])}, {signed(figure['high'])}]"
    text = f"{signed(figure['difference'])} points {ends}{_beyond(figure)}"
    if "p" in figure:
        text += f", p = {figure['p']:.2g} ({figure['test']})"
        text += f"; +-1 point needs {figure['pairs_needed']:,} images"
    return text


def _beyond(figure: Facts) -> str:
    """The bounds of a difference, where they reach beyond its interval."""
    bounds = figure.get("bounds")
    if bounds is None or (figure["low"] <= bounds["low"] and bounds["high"] <= figure["high"]):
        return ""
    return f", {spell_bounds((bounds['low'], bounds['high']))}"


def _spell_name(name: str, eps: float) -> str:
    if name == "adversarial":
        return f"at {format_eps(eps)}"
    return name if name in ("clean", EXPECTED) else f"expected under {name}"


def _fraction(figure: Mapping[str, float], key: str) -> str:
    return f"{percent(figure[key])} [{number(figure['low'])}, {number(figure['high'])}]"
