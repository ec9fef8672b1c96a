"""A verdict: what one check measured, what it allows, and what the difference means."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

#: "skipped" where a check has nothing to judge.
Status = Literal["pass", "warn", "fail", "skipped"]


@dataclass(frozen=True)
class Verdict:
    """What one check found.

    Attributes:
        check: its name, the same in every version.
        status: "fail" where the numbers are not to be used, "warn" where they need a look.
        value: what was measured; None where nothing was.
        limit: what `value` was compared with; None where it was not.
        message: what was seen, what it means for the numbers and what to do, as one sentence.
    """

    check: str
    status: Status
    value: float | None
    limit: float | None
    message: str

    def as_dict(self) -> dict[str, str | float | None]:
        """Return the fields as they are written to JSON, which has no NaN and no infinity."""
        value = self.value if self.value is not None and math.isfinite(self.value) else None
        return {**asdict(self), "value": value}


def passed(check: str, value: float | None, limit: float | None, message: str) -> Verdict:
    """Return the verdict of a check that found nothing."""
    return Verdict(check, "pass", value, limit, message)


def skipped(check: str, why: str) -> Verdict:
    """Return the verdict of a check that has nothing to judge."""
    return Verdict(check, "skipped", None, None, why)


def overall(verdicts: Iterable[Verdict]) -> Literal["pass", "warn", "fail"]:
    """Return the worst status; "warn" where every check was skipped, since nothing was shown."""
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
