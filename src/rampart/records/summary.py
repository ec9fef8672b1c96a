"""The usual figures of a record."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rampart.metrics.classes import class_means, worst_class
from rampart.metrics.continuum import bounds
from rampart.metrics.curve import Floats
from rampart.metrics.expectation import contributions, published_robustness
from rampart.metrics.intervals import proportion_interval
from rampart.records.record import EvaluationRecord


def summary(record: EvaluationRecord) -> dict[str, Any]:
    """Return the usual figures of a record, as fractions and not percent.

    Returns:
        - n, num_classes, norm, eps, top_k, split, attack (its name), attack_options,
          attack_suite, mode, data, seed;
        - clean, adversarial (at eps) and expected (uniform on [0, eps]), each with `_low` and
          `_high`; confidence and interval_method of these intervals;
        - expected_published: expected robustness by the publication's rule (the trapezoid on
          k/255), for tables beside published figures; None if the grid lacks a gray level;
        - expected_bounds: expected robustness lies between them, whatever the curve does between
          its strengths (`metrics.continuum`);
        - balanced: clean, adversarial and expected as means over the classes instead of the images;
          images_per_class: the smallest and the largest number;
        - by_class: the label, the number of images and the expected robustness of each class;
        - worst_class: the class of the lowest expected robustness, with an interval that allows
          for the selection of this class;
        - curve: a list of {eps, accuracy, low, high};
        - found_by: for each stage the number of samples whose adversarial example it found;
        - forwards, backwards, seconds: passes spent on the samples, and the time of the last call;
        - rows, resumed: rows that went through the model in that call, with checks, rerun and
          filler, and the number of samples that it read from an interrupted one;
        - until (the precision, whether it is reached, images, available, looks, interval), rerun
          and checks if the metadata have them.

        A value that is not known is None.
    """
    c = contributions(record.critical, record.grid)
    expected = record.expected_interval(c)
    curve = curve_points(record)
    metadata = record.metadata
    return {
        "n": len(record),
        "num_classes": number_of_classes(record),
        "norm": record.norm,
        "eps": record.eps,
        "top_k": record.top_k,
        "split": metadata.get("split"),
        "attack": _name(metadata.get("attack")),
        "attack_options": metadata.get("attack"),
        "attack_suite": metadata.get("attack_suite"),
        "mode": metadata.get("mode"),
        "data": metadata.get("data"),
        "seed": metadata.get("seed"),
        **_figure("clean", curve[0]),
        **_figure("adversarial", curve[-1]),
        "expected": float(c.mean()),
        "expected_low": expected.low,
        "expected_high": expected.high,
        "expected_published": _published(record),
        "confidence": record.confidence,
        "interval_method": {"accuracy": "wilson", "expected": expected.method},
        "expected_bounds": _bounds(record),
        **_over_classes(record, c),
        "worst_class": _worst_class(record, c),
        "curve": curve,
        "found_by": _count_found_by(record),
        "forwards": _passes(record, "forwards"),
        "backwards": _passes(record, "backwards"),
        "seconds": metadata.get("seconds"),
        "rows": metadata.get("rows"),
        "resumed": metadata.get("resumed"),
        **{key: metadata[key] for key in ("until", "rerun", "checks") if key in metadata},
    }


def number_of_classes(record: EvaluationRecord) -> int | None:
    """Return the number of classes of the data; None if the metadata do not tell."""
    model = record.metadata.get("model")
    classes = model.get("classes") if isinstance(model, Mapping) else None
    return len(classes) if classes else None


def curve_points(record: EvaluationRecord) -> list[dict[str, float]]:
    """Return the curve with its intervals, a list of {eps, accuracy, low, high}."""
    points, n = [], len(record)
    for eps, accuracy in zip(record.grid.tolist(), record.accuracy.tolist(), strict=True):
        interval = proportion_interval(round(accuracy * n), n, record.confidence)
        points.append(
            {"eps": eps, "accuracy": accuracy, "low": interval.low, "high": interval.high}
        )
    return points


def _published(record: EvaluationRecord) -> float | None:
    return published_robustness(record.critical, record.grid) if record.norm == "linf" else None


def _bounds(record: EvaluationRecord) -> dict[str, float]:
    found = bounds(record.critical, record.grid, distances=record.distance)
    return {"low": found.low, "high": found.high}


def _over_classes(record: EvaluationRecord, c: Floats) -> dict[str, Any]:
    last = len(record.grid) - 1
    values = {"clean": record.critical > 0, "adversarial": record.critical > last, "expected": c}
    found = {name: class_means(one, record.labels) for name, one in values.items()}
    expected = found["expected"]
    columns = (expected.labels.tolist(), expected.counts.tolist(), expected.means.tolist())
    rows = zip(*columns, strict=True)
    return {
        "balanced": {name: one.mean for name, one in found.items()},
        "images_per_class": {"least": min(columns[1]), "most": max(columns[1])},
        "by_class": [{"label": label, "n": n, "expected": mean} for label, n, mean in rows],
    }


def _worst_class(record: EvaluationRecord, c: Floats) -> dict[str, Any]:
    worst = worst_class(c, record.labels, record.confidence)
    return {
        "label": worst.label,
        "n": worst.count,
        "ties": worst.ties,
        "expected": worst.mean,
        "expected_low": worst.own.low,
        "expected_high": worst.own.high,
    }


def _figure(name: str, point: Mapping[str, float]) -> dict[str, float]:
    keys = {name: "accuracy", f"{name}_low": "low", f"{name}_high": "high"}
    return {key: point[column] for key, column in keys.items()}


def _name(component: Any) -> Any:
    """The name of a component that is stored with its options."""
    return component.get("name") if isinstance(component, Mapping) else component


def _count_found_by(record: EvaluationRecord) -> dict[str, int] | None:
    """Samples by the stage that found their adversarial example, or "clean"; largest first."""
    if record.found_by is None:
        return None
    stages = Counter(name.partition("/")[0] for name in record.found_by if name is not None)
    return dict(sorted(stages.items(), key=lambda item: (-item[1], item[0])))


def _passes(record: EvaluationRecord, name: str) -> int | None:
    """The passes of the whole evaluation from the metadata, else the sum over the samples."""
    column = getattr(record, name)
    total = None if column is None else int(column.sum())
    return record.metadata.get(name, total)
