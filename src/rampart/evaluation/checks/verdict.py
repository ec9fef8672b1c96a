"""A verdict: the result of one check."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

#: "skipped" where a check has nothing to judge.
Status = Literal["pass", "warn", "fail", "skipped"]


@dataclass(frozen=True)
class Verdict:
    """The result of one check.

    Attributes:
        check: name of the check, the same in every version.
        status: "fail" if the numbers must not be used, "warn" if they need attention.
        value: the measured value; None if nothing was measured.
        limit: the limit of `value`; None if there is none.
        message: observation, consequence and advice, in one sentence.
    """

    check: str
    status: Status
    value: float | None
    limit: float | None
    message: str

    def as_dict(self) -> dict[str, str | float | None]:
        """Return the fields for JSON, which has neither NaN nor infinity."""
        value = self.value if self.value is not None and math.isfinite(self.value) else None
        return {**asdict(self), "value": value}


def passed(check: str, value: float | None, limit: float | None, message: str) -> Verdict:
    """Return the verdict of a check that passed."""
    return Verdict(check, "pass", value, limit, message)


def skipped(check: str, why: str) -> Verdict:
    """Return the verdict of a check that has nothing to judge."""
    return Verdict(check, "skipped", None, None, why)


def overall(verdicts: Iterable[Verdict]) -> Literal["pass", "warn", "fail"]:
    """Return the worst status; "warn" if every check was skipped."""
    found = {verdict.status for verdict in verdicts}
    if "fail" in found:
        return "fail"
    return "warn" if "warn" in found or "pass" not in found else "pass"


def explain(verdicts: Iterable[Verdict]) -> list[str]:
    """Return lines for the console: failures, then warnings, then how many checks passed."""
    verdicts = list(verdicts)
    lines = [
        f"{verdict.status} {verdict.check}: {verdict.message}"
        for status in ("fail", "warn")
        for verdict in verdicts
        if verdict.status == status
    ]
    done = [verdict for verdict in verdicts if verdict.status != "skipped"]
    good = sum(verdict.status == "pass" for verdict in done)
    names = ", ".join(verdict.check for verdict in verdicts if verdict.status == "skipped")
    left_out = f"; skipped: {names}" if names else ""
    return [*lines, f"{good} of {len(done)} checks passed{left_out}."]
