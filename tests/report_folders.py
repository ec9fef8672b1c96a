"""Folders of made-up evaluations and runs, from which pages are written."""

from pathlib import Path

import numpy as np

from rampart.files import write_atomic
from rampart.records.record import EvaluationRecord
from rampart.records.storage import save_record
from rampart.runs.history import History
from rampart.runs.run_folder import RunFolder
from rampart.runs.settings_file import write_settings

#: A name that would run a script if it were not escaped, in text, in an attribute or in JSON.
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> \"'&{{ 7*7 }}\u2028"
EPS = 4 / 255


def record(name="a model", classes=("cat", "dog", "fox"), n=60, seed=0, stuck=False, **metadata):
    """A record of `n` images with critical strengths at random; `stuck` predicts one class."""
    critical = np.random.default_rng(seed).integers(0, 6, n)
    if stuck:
        critical = np.where(np.arange(n) % len(classes) == 0, 5, 0)
    labels, wrong = np.arange(n) % len(classes), 1 + critical % max(1, len(classes) - 1)
    predictions = np.where(critical == 0, labels + 1, labels) % len(classes)
    verdicts = [
        {"check": "slope", "status": "pass", "value": 1.0, "limit": 0.75, "message": "good."},
        {"check": "fab", "status": "warn", "value": 0.1, "limit": 0.03, "message": f"<b>{name}"},
    ]
    return EvaluationRecord(
        norm="linf",
        grid=np.arange(5) / 255,
        ids=tuple(map(str, range(n))),
        labels=labels,
        predictions=predictions,
        critical=critical,
        attacked_predictions=np.where(
            (critical > 0) & (critical < 5), (labels + wrong) % len(classes), predictions
        ),
        metadata={
            "attack": {"name": "apgd", "steps": 10},
            "attack_suite": ["apgd-ce"],
            "split": "test",
            "seed": 7,
            "model": {"name": name, "classes": list(classes), "source": "timm"},
            "data": {"name": "photos", "fingerprint": "f" * 8},
            "settings": {"model": {"name": name}, "threat": {"eps": "4/255"}},
            "command": f"rampart evaluate '{name}' data=photos",
            "versions": {"rampart": "0.1.0", "torch": "2.6"},
            "checks": {"overall": "warn", "verdicts": verdicts},
            "forwards": 10 * n,
            "backwards": 8 * n,
            "seconds": 3.0,
            **metadata,
        },
    )


def evaluation(folder, **options):
    save_record(record(**options), folder)
    return folder


def rows(epochs=4):
    return [
        {
            "epoch": epoch,
            "eps": EPS * epoch / epochs,
            "alpha": epoch / epochs,
            "train_loss": 1.0 / epoch,
            "val_clean": 0.5 + 0.1 * epoch,
            "val_robust": 0.1 * epoch,
            "forwards": 100,
            "backwards": 90,
            "seconds": 2.0,
        }
        for epoch in range(1, epochs + 1)
    ]


def run(folder: Path, evaluated=True, history=None, **options):
    """A finished run with its own evaluation."""
    place = RunFolder(folder)
    folder.mkdir(parents=True)
    settings = {
        "seed": 7,
        "model": {"name": "net", "batch_norm": "frozen"},
        "data": {"name": "photos"},
        "threat": {"norm": "linf", "eps": "4/255"},
        "schedule": {"name": "two-hinge"},
        "objective": {"name": "adversarial"},
        "training": {"epochs": 4},
        "evaluation": {"split": "test"},
    }
    write_settings(place.config, settings)
    place.set_status("complete", data="f" * 8, epochs=4, parameters={"trained": 5, "all": 10})
    place.model.mkdir()
    for name in ("config.json", "model.safetensors"):
        (place.model / name).write_text("{}")
    for row in rows() if history is None else history:
        History(place.history).append(row)
    if evaluated:
        facts = {"run": settings, "run_folder": str(folder), "settings": settings}
        evaluation(place.evaluations / "own", name="net", **{**facts, **options})
    return folder


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    write_atomic(path, text.replace(old, new))


__all__ = ["EPS", "HOSTILE", "evaluation", "record", "rewrite", "rows", "run"]
