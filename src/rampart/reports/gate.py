"""Decide whether a record meets conditions: a gate for releases and pipelines.

A condition asks for the lower end of a figure's interval, so that luck in the choice of images
passes no model. Checks that failed, or did not run, refuse to pass.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rampart.errors import InvalidArgument
from rampart.metrics.distributions import parse_distribution
from rampart.metrics.expectation import contributions
from rampart.records.record import EvaluationRecord
from rampart.records.summary import curve_points
from rampart.reports.named_records import Measured
from rampart.reports.percent import number, percent
from rampart.tolerance import within
from rampart.units import format_eps, is_corruption, parse_eps, require_norm

_FORM = re.compile(r"\s*(>=|>)\s*([0-9.eE+-]+)\s*(%?)\s*")


@dataclass(frozen=True)
class Threshold:
    """What a condition asks for.

    Attributes:
        operator: ">=" or ">".
        value: a fraction.
    """

    operator: str
    value: float

    def is_met(self, low: float) -> bool:
        """Return whether the lower end of an interval meets it."""
        return low > self.value if self.operator == ">" else low >= self.value

    def __str__(self) -> str:
        word = "above" if self.operator == ">" else "at least"
        return f"{word} {_spell(self.value)}"


@dataclass(frozen=True)
class Condition:
    """A condition and its outcome.

    Attributes:
        rule: "expected", "at", "clean", "checks" or "run".
        name: in words.
        met: the outcome.
        message: one sentence.
        value, low, high: the figure with its interval; None if there is none.
        threshold: that was asked for; None if there is none.
        operator: of the threshold; "" if there is none.
    """

    rule: str
    name: str
    met: bool
    message: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    threshold: float | None = None
    operator: str = ""


@dataclass(frozen=True)
class Decision:
    """The decision on a record.

    Attributes:
        record: name of the record.
        images: number of images.
        confidence: of the intervals.
        conditions: in the order in which they were asked, then the checks and the run.
    """

    record: str
    images: int
    confidence: float
    conditions: tuple[Condition, ...]

    @property
    def passed(self) -> bool:
        """Whether every condition is met."""
        return all(one.met for one in self.conditions)

    @property
    def verdict(self) -> str:
        """The outcome in one line."""
        missed = sum(not one.met for one in self.conditions)
        count = len(self.conditions)
        if self.passed:
            return f"gate: passed, {count} of {count} conditions met"
        return f"gate: failed, {missed} of {count} conditions not met"

    def facts(self) -> dict[str, Any]:
        """Return the decision as plain values for JSON."""
        return {
            "passed": self.passed,
            "record": self.record,
            "images": self.images,
            "confidence": self.confidence,
            "conditions": [asdict(one) for one in self.conditions],
        }


def parse_threshold(text: str, name: str) -> Threshold:
    """Return what a condition such as ">=0.40" or ">= 40%" asks for.

    Args:
        text: the operator and a fraction, or percent with its sign.
        name: the name of the value in an error.

    Raises:
        InvalidArgument: another operator, or a value outside [0, 1].
    """
    found = _FORM.fullmatch(text)
    try:
        value = float(found.group(2)) / (100 if found.group(3) else 1) if found else math.nan
    except ValueError:
        value = math.nan
    if found and 0 <= value <= 1:
        return Threshold(found.group(1), value)
    meant = found and not found.group(3) and 1 < value <= 100
    raise InvalidArgument(
        name,
        text,
        'a lower limit such as ">=0.40" or ">=40%"',
        f'write "{found.group(1)}{found.group(2)}%" if you mean percent' if meant and found else "",
    )


def decide(
    measured: Measured,
    expected: str | None = None,
    at: Sequence[tuple[str, str]] = (),
    clean: str | None = None,
    distribution: str | None = None,
) -> Decision:
    """Decide whether a record meets conditions on the lower ends of its intervals.

    Args:
        measured: the record.
        expected: condition on expected robustness, such as ">=0.40".
        at: strengths with conditions on accuracy there, such as ("4/255", ">=0.25").
        clean: condition on clean accuracy.
        distribution: of the strength for `expected`; uniform by default.

    Raises:
        InvalidArgument: no condition; or a threshold, a strength or a distribution that does not
            fit the record.
    """
    if not (expected or at or clean):
        do = 'write for example --expected ">=0.40"'
        raise InvalidArgument("conditions", "none", "--expected, --at or --clean", do)
    if distribution and not expected:
        raise InvalidArgument("distribution", distribution, "--expected too")
    record = measured.record
    conditions = [
        *([_expected(record, expected, distribution)] if expected else []),
        *([_clean(record, clean)] if clean else []),
        *(_at(record, eps, text) for eps, text in at),
        *_checks(record),
        *_run(measured),
    ]
    return Decision(measured.name, len(record), record.confidence, tuple(conditions))


def _expected(record: EvaluationRecord, text: str, distribution: str | None) -> Condition:
    threshold = parse_threshold(text, "expected")
    law, name = None, "expected robustness"
    if distribution:
        norm = require_norm(record.norm, "distribution", "leave out the distribution")
        law = parse_distribution(distribution, record.eps, norm)
        name += f" under {distribution}"
    values = contributions(record.critical, record.grid, law)
    ends = record.expected_interval(values)
    return _compared("expected", name, float(values.mean()), ends.low, ends.high, threshold)


def _clean(record: EvaluationRecord, text: str) -> Condition:
    point = curve_points(record)[0]
    threshold = parse_threshold(text, "clean")
    return _compared(
        "clean", "clean accuracy", point["accuracy"], point["low"], point["high"], threshold
    )


def _at(record: EvaluationRecord, eps: str, text: str) -> Condition:
    """Compare accuracy at a strength; between two of the grid it is at least that at the next."""
    threshold = parse_threshold(text, "at")
    if is_corruption(record.norm):
        strength, spelled = _severity(eps), f"severity {eps}"
    else:
        norm = require_norm(record.norm, "at")
        strength, spelled = parse_eps(eps, norm, "at"), f"eps = {eps}"
    reached = [point for point in curve_points(record) if within(strength, point["eps"])]
    if not reached:
        raise InvalidArgument(
            "at", eps, f"a strength up to {format_eps(record.eps)}, the last one of the record"
        )
    point = reached[0]
    name = f"accuracy at {spelled}"
    if not within(point["eps"], strength):
        name += f" (measured at {format_eps(point['eps'], record.eps)}, the next strength)"
    return _compared("at", name, point["accuracy"], point["low"], point["high"], threshold)


def _severity(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if 0 <= value <= 5:
        return value
    raise InvalidArgument("at", text, "a severity from 0 to 5")


def _compared(
    rule: str, name: str, value: float, low: float, high: float, threshold: Threshold
) -> Condition:
    met = threshold.is_met(low)
    figure = f"{percent(value)} [{number(low)}, {number(high)}]"
    verb = "is" if met else "is not"
    message = f"{name} is {figure}: its lower end, {_spell(low)}, {verb} {threshold}."
    return Condition(
        rule, name, met, message, value, low, high, threshold.value, threshold.operator
    )


def _spell(fraction: float) -> str:
    """Return a fraction in percent with as many digits as a threshold may have."""
    return f"{round(100 * fraction, 4):.10g} %"


def _checks(record: EvaluationRecord) -> list[Condition]:
    """The trust checks: a failed one refuses to pass, and so do checks that did not run."""
    checks = record.metadata.get("checks")
    if checks is None:
        if is_corruption(record.norm):
            return []
        message = "the checks did not run: evaluate with evaluation.checks=true."
        return [Condition("checks", "trust checks", False, message)]
    failed = [one for one in checks["verdicts"] if one["status"] == "fail"]
    warned = sum(one["status"] == "warn" for one in checks["verdicts"])
    if not failed:
        message = f"no check failed, {warned} with a warning." if warned else "no check failed."
        return [Condition("checks", "trust checks", True, message)]
    return [
        Condition("checks", f"check {one['check']}", False, f"failed: {one['message']}")
        for one in failed
    ]


def _run(measured: Measured) -> list[Condition]:
    if not measured.unfinished:
        return []
    message = f"the run is not finished: {measured.unfinished}."
    return [Condition("run", "finished run", False, message)]
