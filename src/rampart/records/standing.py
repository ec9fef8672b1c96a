"""Where a model stands among the published runs of the benchmark (arXiv 2508.14079).

The benchmark states accuracy under AutoAttack (standard version) at Linf 4/255, L2 2.0 and L1 75 on
images of 3 x 224 x 224, and under common corruptions of severity 3. A figure of a profile is
compared only if it was measured in the same way: same data, same strength, same attack.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rampart.published import (
    BENCHMARK_SIDE,
    BENCHMARK_STRENGTHS,
    BenchmarkResult,
    benchmark_results,
    short_name,
    sources,
)
from rampart.records.profile import MIDDLE_SEVERITY, Profile
from rampart.records.record import EvaluationRecord
from rampart.units import CORRUPTIONS, format_eps, require_norm

#: AutoAttack's standard version, as a section of the configuration.
_AUTOATTACK = {"name": "standard", "steps": 100, "targets": 9, "queries": 5000}
#: The benchmark drew one of eleven kinds for each image.
_ROUGH = "a rough comparison: the published runs corrupted each image by one of 11 kinds"


def standing(profile: Profile) -> dict[str, Any]:
    """Return the place of a model among the published runs on the same data.

    Returns:
        - source: of the published figures;
        - data: the name of the dataset, None if the benchmark does not have it;
        - places: for each figure that both have: `figure` ("clean", a norm or "corruptions"),
          `strength`, the model's `value`, `runs` and how many of them are `below`, their median and
          best value, `note`;
        - missing: for each figure that cannot be compared, the reason.
    """
    data = _dataset(profile.records[0])
    runs = [run for run in benchmark_results() if run.dataset == data]
    found: dict[str, Any] = {
        "source": f"arXiv {sources()['benchmark'].arxiv}",
        "data": data if runs else None,
        "places": [],
        "missing": {},
    }
    if not runs:
        known = ", ".join(sorted({run.dataset for run in benchmark_results()}))
        found["missing"]["all"] = f"the published runs are on other data: {known}"
        return found
    if reason := _not_comparable(profile.records[0]):
        found["missing"]["all"] = reason
        return found
    clean = float((profile.records[0].critical > 0).mean())
    found["places"].append(_place("clean", "", clean, runs))
    for record in profile.norms:
        reason = _differs(record)
        if reason:
            found["missing"][record.norm] = reason
            continue
        eps = _strength(record)
        index = int(np.abs(record.grid - eps).argmin())
        value = float((record.critical > index).mean())
        found["places"].append(_place(record.norm, format_eps(eps), value, runs))
    if kinds := profile.corruptions:
        if {one.norm for one in kinds} == set(CORRUPTIONS):
            value = float(np.mean([one.right_at(MIDDLE_SEVERITY).mean() for one in kinds]))
            severity = f"severity {MIDDLE_SEVERITY}"
            place = _place("corruptions", severity, value, runs)
            found["places"].append({**place, "note": _ROUGH})
        else:
            found["missing"]["corruptions"] = "not all kinds were measured"
    return found


def _place(figure: str, strength: str, value: float, runs: list[BenchmarkResult]) -> dict[str, Any]:
    values = np.array([getattr(run, figure) for run in runs])
    return {
        "figure": figure,
        "strength": strength,
        "value": value,
        "runs": len(runs),
        "below": int((values < value).sum()),
        "median": float(np.median(values)),
        "best": float(values.max()),
        "note": "",
    }


def _dataset(record: EvaluationRecord) -> str:
    data = record.metadata.get("data")
    name = data.get("name") if isinstance(data, Mapping) else data
    return short_name("dataset", str(name))


def _not_comparable(record: EvaluationRecord) -> str:
    """Return why no figure of a record can stand beside the published ones; empty if it can."""
    metadata, data = record.metadata, record.metadata.get("data", {})
    shape = data.get("shape") if isinstance(data, Mapping) else None
    if shape != [3, BENCHMARK_SIDE, BENCHMARK_SIDE]:
        pixels = " x ".join(map(str, shape or ("unknown",)))
        return f"the published runs have images of 3 x 224 x 224 pixels, not {pixels}"
    if metadata.get("split") != "test":
        return "the published runs are evaluated on the test split"
    if record.top_k != 1 or metadata.get("target", "none") != "none":
        return "the published runs count the likeliest class, untargeted"
    return ""


def _strength(record: EvaluationRecord) -> float:
    return BENCHMARK_STRENGTHS[require_norm(record.norm, "records")]


def _differs(record: EvaluationRecord) -> str:
    """Return why a record under a norm cannot stand beside the published ones."""
    attack = record.metadata.get("attack")
    own = dict(attack) if isinstance(attack, Mapping) else {"name": attack}
    if any(own.get(key) != value for key, value in _AUTOATTACK.items()):
        return f"the published runs are attacked by AutoAttack (standard), not by {own.get('name')}"
    eps = _strength(record)
    if not np.isclose(record.grid, eps, rtol=1e-9, atol=0).any():
        return f"the strengths do not contain {format_eps(eps)}"
    return ""
