"""A decision of the gate as SARIF 2.1.0, which code hosts and pipelines show.

Static Analysis Results Interchange Format (OASIS 2020). A condition that is met is a result of the
kind "pass", and one that is not met an error.
"""

from pathlib import Path
from typing import Any
from urllib.parse import quote

from rampart.reports.gate import Condition, Decision
from rampart.version import __version__

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
_RULES = {
    "expected": "The lower end of the interval of expected robustness meets its limit.",
    "clean": "The lower end of the interval of clean accuracy meets its limit.",
    "at": "The lower end of the interval of accuracy at a strength meets its limit.",
    "checks": "No check of whether the numbers can be trusted failed.",
    "run": "The run that trained the model is finished.",
}


def sarif(decision: Decision, path: Path) -> dict[str, Any]:
    """Return a decision as a SARIF log with one run.

    Args:
        decision: of the gate.
        path: of the record, as the user gave it.
    """
    names = list(_RULES)
    rules = [{"id": name, "shortDescription": {"text": text}} for name, text in _RULES.items()]
    driver = {"name": "Rampart", "version": __version__, "rules": rules}
    results = [_result(one, names.index(one.rule), path) for one in decision.conditions]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }


def _result(one: Condition, rule: int, path: Path) -> dict[str, Any]:
    figures = {
        name: value
        for name in ("value", "low", "high", "threshold")
        if (value := getattr(one, name)) is not None
    }
    # A colon in a relative path would look like a scheme.
    uri = path.resolve().as_uri() if path.is_absolute() else quote(path.as_posix(), safe="/")
    return {
        "ruleId": one.rule,
        "ruleIndex": rule,
        "kind": "pass" if one.met else "fail",
        "level": "none" if one.met else "error",
        "message": {"text": f"{one.name}: {one.message}"},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri}}}],
        **({"properties": figures} if figures else {}),
    }
