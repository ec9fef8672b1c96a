"""The profile of a model: its records under several threats, compared image by image.

Every record covers the same images with the same model. A threat is described at two places of its
range: at the largest strength and at half of it. The images that withstand every threat at such a
place are the worst case, the union of all threats (Tramèr and Boneh 2019, arXiv 1904.13000).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rampart.errors import InvalidArgument
from rampart.metrics.curve import Floats, Integers
from rampart.metrics.expectation import contributions
from rampart.metrics.intervals import mean_interval
from rampart.records.pairing import align_samples
from rampart.records.record import EvaluationRecord
from rampart.records.summary import curve_points
from rampart.units import format_eps

Booleans = NDArray[np.bool_]
#: Places of the range of a threat: no perturbation, half of the largest strength, the largest.
PLACES = ("clean", "half", "largest")
#: Strengths as fractions of the largest one are equal up to rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Profile:
    """Records of one model on the same images, one per threat.

    Attributes:
        records: each under another norm; the first one gives the order of the images.

    Raises:
        InvalidArgument: no record, two under one norm, records of different images, models or
            criteria, or a grid without half of its largest strength.
    """

    records: tuple[EvaluationRecord, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "records", tuple(self.records))
        if not self.records:
            raise InvalidArgument("records", "none", "at least one record")
        first, *others = self.records
        for number, other in enumerate(others, start=1):
            _require_same_model(first, other)
            if other.norm in {one.norm for one in self.records[:number]}:
                raise InvalidArgument("records", f"two under {other.norm}", "one for each threat")
        for one in self.records:
            half_index(one)
        # Aligned once here, so that another set of images is refused at once.
        object.__setattr__(self, "_rows", tuple(align_samples(first, one) for one in self.records))

    def __len__(self) -> int:
        return len(self.records[0])

    @property
    def confidence(self) -> float:
        """Confidence of all intervals, that of the first record."""
        return self.records[0].confidence

    @property
    def critical(self) -> dict[str, Integers]:
        """For each threat the (N,) critical indices, in the order of the first record's images."""
        rows: Sequence[Integers] = self.__dict__["_rows"]
        return {
            one.norm: one.critical[order] for one, order in zip(self.records, rows, strict=True)
        }

    def robust(self, place: str) -> dict[str, Booleans]:
        """For each threat, (N,) whether an image withstands it at a place of its range.

        Args:
            place: "clean", "half" or "largest".
        """
        critical = self.critical
        return {one.norm: critical[one.norm] > _index(one, place) for one in self.records}

    def worst(self, place: str) -> Booleans:
        """(N,) whether an image withstands every threat at a place of its range, as `robust`."""
        return np.logical_and.reduce(list(self.robust(place).values()))

    def shared_fractions(self) -> Floats:
        """The strengths, as fractions of the largest one, that the grids of all threats contain."""
        first, *others = (one.grid / one.eps for one in self.records)
        shared = [f for f in first if all(np.abs(f - g).min() < _ROUNDING for g in others)]
        return np.array(shared)

    def worst_critical(self) -> Integers:
        """(N,) critical indices of the worst case on the grid of shared fractions.

        All threats grow together: at the fraction f an image has to withstand each threat at f
        times its largest strength.
        """
        shared, critical = self.shared_fractions(), self.critical
        falls = []
        for one in self.records:
            fractions = np.append(one.grid / one.eps, np.inf)
            falls.append(np.searchsorted(shared, fractions - _ROUNDING)[critical[one.norm]])
        return np.minimum.reduce(falls)


def _index(record: EvaluationRecord, place: str) -> int:
    """Return the grid index of a place of the range."""
    if place == "half":
        return half_index(record)
    return {"clean": 0, "largest": len(record.grid) - 1}[place]


def half_index(record: EvaluationRecord) -> int:
    """Return the grid index of half of the largest strength.

    Raises:
        InvalidArgument: the grid does not contain it.
    """
    found = np.flatnonzero(np.abs(record.grid / (record.eps or 1) - 0.5) < _ROUNDING)
    if not len(found):
        got = f"{record.norm} up to {format_eps(record.eps)} without half of it"
        raise InvalidArgument("records", got, "strengths that contain half of the largest one")
    return int(found[0])


def profile_summary(profile: Profile) -> dict[str, Any]:
    """Return the figures of a profile as plain values, fractions and not percent.

    Returns:
        - n, model, data, attack, confidence;
        - threats: for each norm `eps`, the largest strength, and `half_eps`; accuracy `clean`, at
          `half` and at the `largest` strength, and `expected` robustness (uniform on [0, eps]),
          each a mapping {value, low, high}; the curve; the overall verdict of its checks;
        - worst: `threats`, the norms it covers, and the same four figures of the images that
          withstand all of them; `expected` and `curve` are over the fraction of the largest
          strengths.
    """
    first, confidence = profile.records[0], profile.confidence
    robust = {place: profile.robust(place) for place in PLACES}
    threats = [
        {
            "norm": one.norm,
            "eps": one.eps,
            "half_eps": float(one.grid[half_index(one)]),
            **{place: _figure(found[one.norm], confidence) for place, found in robust.items()},
            "expected": _figure(contributions(one.critical, one.grid), confidence),
            "curve": curve_points(one),
            "checks": one.metadata.get("checks", {}).get("overall"),
            "seconds": one.metadata.get("seconds"),
        }
        for one in profile.records
    ]
    return {
        "n": len(profile),
        "model": _name(first.metadata.get("model")),
        "data": _name(first.metadata.get("data")),
        "split": first.metadata.get("split"),
        "attack": _name(first.metadata.get("attack")),
        "confidence": confidence,
        "threats": threats,
        "worst": _worst(profile),
    }


def _worst(profile: Profile) -> dict[str, Any]:
    """Return the figures of the images that withstand every threat."""
    shared, critical = profile.shared_fractions(), profile.worst_critical()
    figure = partial(_figure, confidence=profile.confidence)
    return {
        "threats": [one.norm for one in profile.records],
        **{place: figure(profile.worst(place)) for place in PLACES},
        "expected": figure(contributions(critical, shared)),
        "curve": [
            {"fraction": fraction, **_point(figure(critical > index))}
            for index, fraction in enumerate(shared.tolist())
        ],
    }


def _point(figure: Mapping[str, float]) -> dict[str, float]:
    return {"accuracy": figure["value"], "low": figure["low"], "high": figure["high"]}


def _figure(values: Floats | Booleans, confidence: float) -> dict[str, float]:
    """Return the mean of one value per image, with its interval."""
    interval = mean_interval(values.astype(np.float64), confidence)
    return {"value": float(values.mean()), "low": interval.low, "high": interval.high}


def _name(component: Any) -> Any:
    """The name of a component that is stored with its options."""
    return component.get("name") if isinstance(component, Mapping) else component


def _require_same_model(first: EvaluationRecord, other: EvaluationRecord) -> None:
    """Refuse records of different models, images or criteria, as far as both state them."""
    for part, key in (
        ("model", "fingerprint"),
        ("data", "fingerprint"),
        ("data", "content"),
        ("", "top_k"),
        ("", "target"),
    ):
        ours, theirs = (_fact(one.metadata, part, key) for one in (first, other))
        if None not in (ours, theirs) and ours != theirs:
            raise InvalidArgument(
                "records",
                f"{other.norm} with {f'{part} {key}'.strip()} {theirs}",
                f"{ours}, like {first.norm}",
                "evaluate one model on the same images under every threat",
            )


def _fact(metadata: Mapping[str, Any], part: str, key: str) -> Any:
    section = metadata.get(part, {}) if part else metadata
    return section.get(key) if isinstance(section, Mapping) else None
