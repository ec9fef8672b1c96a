"""The verdict of a page in sentences: transfer, robustness, trust."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rampart.counting import counted
from rampart.metrics.adaptation import adaptation_delay, has_measurable_delay
from rampart.records.record import EvaluationRecord
from rampart.reports.page.curves import spell_strength
from rampart.reports.percent import number, percent
from rampart.runs.afterwards import REFINEMENT, spell_afterwards
from rampart.skill import chance_of, clearly_above
from rampart.units import is_corruption

Facts = Mapping[str, Any]
History = Sequence[Mapping[str, Any]]
Status = Literal["pass", "warn", "fail", "note"]

#: The question that each check asks of the model or of the results.
MEANINGS = {
    "pixels": "Are the images in [0, 1], and is the model more accurate on another range?",
    "normalization": "Does the first layer get images that are normalized once?",
    "input": "Does the model write into its input?",
    "mode": "Does the model follow eval()?",
    "logits": "Are the outputs finite logits, and neither probabilities nor scores of a sigmoid?",
    "determinism": "Does the same batch give the same logits twice?",
    "batch": "Do an image's logits depend on the other images of its batch?",
    "gradients": "Does a gradient arrive at the pixels?",
    "slope": "Does the gradient predict how the loss changes?",
    "masking": "Do random points or queries find adversarial examples that gradients miss?",
    "unbounded": "Does an attack without a bound reduce accuracy to zero?",
    "clean": "Is clean accuracy above that of guessing, and is the order of the classes right?",
    "classes": "Does every output belong to a class of the data?",
    "finite": "Are the logits of all images and adversarial examples finite?",
    "black-box": "Does Square find adversarial examples that gradient attacks missed?",
    "fab": "Does FAB find adversarial examples that APGD missed?",
    "pruning": "Did the recheck of pruned runs lower the critical strength of an image?",
    "rerun": "Is accuracy lower if each strength is attacked alone?",
    "monotone": "Is accuracy higher at a larger strength, if each is attacked alone?",
    "strength": "Does an attack within eps change a margin, and is eps usual for these images?",
}
_OVERALL = {
    "pass": "nothing suggests that the numbers cannot be trusted",
    "warn": "the numbers need the attention that the warnings ask for",
    "fail": "do not use these numbers before the failures are explained",
}
_ALERTS = {
    "suboptimal-transfer",
    "unexplained-delay",
    "fell-behind",
    "forgotten-task",
    "no-adaptation",
}


@dataclass(frozen=True)
class Statement:
    """One part of the verdict.

    Attributes:
        title: its subject.
        status: how it reads; "note" for a fact that is neither good nor bad.
        sentences: the text.
    """

    title: str
    status: Status
    sentences: tuple[str, ...]


def verdict(
    facts: Facts, record: EvaluationRecord, history: History = (), run: Facts | None = None
) -> list[Statement]:
    """Return the verdict on an evaluation, and on the run that it belongs to.

    Args:
        facts: `rampart.reports.measures.measure`.
        record: of the evaluation.
        history: rows of the run; empty for other models.
        run: content of run.json.
    """
    return [transfer(facts, record, history, run or {}), robustness(facts), trust(facts)]


def transfer(facts: Facts, record: EvaluationRecord, history: History, run: Facts) -> Statement:
    """State whether the model knows its task: clean accuracy beside guessing, and the delay."""
    chance = chance_of(record.labels, record.top_k)
    figures = f"clean accuracy is {_figure(facts, 'clean')}, and guessing reaches {percent(chance)}"
    title = "Did it transfer?" if history else "Does it know the task?"
    lines = [*_after_training(run), *_delay(history, facts.get("num_classes"), run), *_pilot(run)]
    if not clearly_above(facts["clean"], chance, facts["n"]):
        text = f"It did not learn the task: {figures}." if history else f"No: {figures}."
        return Statement(title, "fail", (text, *_alerts(history), *lines))
    alerts = _alerts(history)
    late = "with a delay" if alerts else "without a sign of suboptimal transfer"
    text = f"Yes, {late}: {figures}." if history else f"Yes: {figures}."
    return Statement(title, "warn" if alerts else "pass", (text, *alerts, *lines))


def _delay(history: History, classes: int | None, run: Facts) -> list[str]:
    """The first epoch in which the run exceeded 5 %, where guessing does not reach that."""
    if not history or REFINEMENT in run or not has_measurable_delay(classes):
        return []
    delay = adaptation_delay([row["val_clean"] for row in history if "val_clean" in row])
    when = "never" if delay is None else f"first in epoch {delay}"
    return [f"Clean accuracy on the validation split exceeded 5 % {when}."]


def _after_training(run: Facts) -> list[str]:
    said = spell_afterwards(run)
    return [said] if said else []


def _pilot(run: Facts) -> list[str]:
    pilot = run.get("pilot")
    text = str(pilot.get("verdict", "")) if isinstance(pilot, Mapping) else ""
    return [f"Pilot: {text}"] if text else []


def _alerts(history: History) -> list[str]:
    """What the monitor of transfer said in training."""
    said = [alert for row in history for alert in row.get("alerts", ())]
    return [f"{_capital(one['message'])}" for one in said if one["code"] in _ALERTS]


def robustness(facts: Facts) -> Statement:
    """State expected robustness with its interval and bounds, and accuracy at full strength."""
    norm, eps = facts["norm"], facts["eps"]
    at = spell_strength(eps, norm)
    over = f"severities 0 to {eps:g}" if is_corruption(norm) else f"eps from 0 to {at[6:]}"
    low, high = facts["expected_low"], facts["expected_high"]
    value = f"{percent(facts['expected'])} [{number(low)}, {number(high)}]"
    ends = facts["expected_bounds"]
    lines = [
        f"Expected robustness, the mean accuracy over {over}, is {value}.",
        f"At {at} the model is right on {_figure(facts, 'adversarial')} of the images.",
        f"The brackets are {100 * facts['confidence']:g} % intervals over the choice of images.",
    ]
    if not (low <= ends["low"] and ends["high"] <= high):
        between = f"{percent(ends['low'])} and {percent(ends['high'])}"
        lines.append(
            "Accuracy was measured at the strengths of the curve only. Whatever it does between "
            f"them, expected robustness on these images lies between {between}."
        )
    return Statement("How robust is it?", "note", tuple(lines))


def trust(facts: Facts) -> Statement:
    """State the outcome of the checks and what it means."""
    title = "Can the numbers be trusted?"
    checks = facts.get("checks")
    if not isinstance(checks, Mapping):
        text = "The checks did not run, so nothing is known about it."
        return Statement(title, "warn", (text, *_limits(facts)))
    verdicts = [one for one in checks["verdicts"] if one["status"] != "skipped"]
    passed = sum(one["status"] == "pass" for one in verdicts)
    overall: Status = checks["overall"]
    means = _OVERALL.get(overall, _OVERALL["warn"])
    lines = [f"{passed} of {counted(len(verdicts), 'check')} passed: {means}."]
    for status in ("fail", "warn"):
        lines += [
            f"{_capital(status)} {one['check']}: {one['message']}"
            for one in verdicts
            if one["status"] == status
        ]
    return Statement(title, overall, (*lines, *_limits(facts)))


def _limits(facts: Facts) -> list[str]:
    if is_corruption(facts["norm"]):
        return []
    return [
        "An attack gives an upper bound: a stronger one may find more adversarial examples, and "
        "never fewer."
    ]


def _figure(facts: Facts, name: str) -> str:
    ends = f"[{number(facts[f'{name}_low'])}, {number(facts[f'{name}_high'])}]"
    return f"{percent(facts[name])} {ends}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
