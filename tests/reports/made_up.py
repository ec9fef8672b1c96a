"""Made-up evaluations and histories in the form in which runs leave them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rampart.records.record import EvaluationRecord
from rampart.records.summary import summary
from rampart.reports.method_names import RunResult

N, LEVELS = 200, 4


def record(alive: Sequence[float], norm: str = "linf", unit: float = 1 / 255) -> EvaluationRecord:
    """A record with the given accuracy at 0, unit, 2 unit, ..."""
    counts = [round(fraction * N) for fraction in alive]
    drops = [N - counts[0], *-np.diff(counts), counts[-1]]
    critical = np.repeat(np.arange(len(drops)), drops)
    return EvaluationRecord(
        norm=norm,
        grid=np.arange(len(alive)) * unit,
        ids=tuple(map(str, range(N))),
        labels=np.zeros(N, dtype=int),
        predictions=np.where(critical == 0, 1, 0),
        critical=critical,
        metadata={"attack": {"name": "apgd", "steps": 10}, "split": "test", "seed": 7},
    )


def history(clean: Sequence[float], alpha: float = 1.0) -> list[dict[str, Any]]:
    keys = {"eps": alpha * LEVELS / 255, "alpha": alpha}
    return [
        {"epoch": epoch, "val_clean": value, "val_robust": value / 2, **keys}
        for epoch, value in enumerate(clean, 1)
    ]


def run(
    schedule: str,
    alive: Sequence[float],
    seed: int = 0,
    clean: Sequence[float] = (0.5, 0.6),
    name: str = "",
    objective: str = "adversarial",
    **options: Any,
) -> RunResult:
    config = {
        "seed": seed,
        "schedule": {"name": schedule, "interval": "step", **options},
        "objective": {"name": objective},
        "threat": {"norm": "linf", "eps": "4/255"},
        "data": {"name": "digit-pairs", "workers": seed},
    }
    return RunResult(name or f"{schedule}-{seed}", config, summary(record(alive)), history(clean))


STANDARD = (0.95, 0.7, 0.4, 0.2, 0.0)
FIX = (0.3, 0.25, 0.2, 0.15, 0.1)
TWO_HINGE = (0.96, 0.9, 0.8, 0.65, 0.5)


def three_runs() -> list[RunResult]:
    return [
        run("standard", STANDARD),
        run("fix", FIX, clean=(0.01, 0.02, 0.2)),
        run("two-hinge", TWO_HINGE, start=0.25, end=0.75),
    ]
