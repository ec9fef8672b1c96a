"""The profile of a model: its records under several threats, compared image by image.

Every record covers the same images with the same model. A threat is described at two places of its
range: at the largest strength and at half of it; for a corruption at the severities 5 and 3. The
images that withstand every threat at such a place are the worst case, the union of all threats
(Tramèr and Boneh 2019, arXiv 1904.13000).
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
from rampart.units import SEVERITIES, Perturbation, format_eps, is_corruption

Booleans = NDArray[np.bool_]
#: Places of the range of a threat: no perturbation, half of the largest strength, the largest.
PLACES = ("clean", "half", "largest")
#: The severity at which the figures of corruptions are usually compared.
MIDDLE_SEVERITY = 3
#: Strengths as fractions of the largest one are equal up to rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Profile:
    """Records of one model on the same images, one per threat.

    Attributes:
        records: each under another norm or corruption; the first one gives the order of the images.

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
    def norms(self) -> list[EvaluationRecord]:
        """The records under a norm."""
        return [one for one in self.records if not is_corruption(one.norm)]

    @property
    def corruptions(self) -> list[EvaluationRecord]:
        """The records under a corruption."""
        return [one for one in self.records if is_corruption(one.norm)]

    @property
    def corruption_rows(self) -> list[Integers]:
        """For each record under a corruption its rows in the order of the first record's images."""
        rows: Sequence[Integers] = self.__dict__["_rows"]
        pairs = zip(self.records, rows, strict=True)
        return [order for one, order in pairs if is_corruption(one.norm)]

    @property
    def confidence(self) -> float:
        """Confidence of all intervals, that of the first record."""
        return self.records[0].confidence

    @property
    def critical(self) -> dict[Perturbation, Integers]:
        """For each threat the (N,) critical indices, in the order of the first record's images."""
        rows: Sequence[Integers] = self.__dict__["_rows"]
        return {
            one.norm: one.critical[order] for one, order in zip(self.records, rows, strict=True)
        }

    def robust(self, place: str) -> dict[Perturbation, Booleans]:
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
        """The strengths, as fractions of the largest one, that the grids of all norms contain."""
        first, *others = (one.grid / one.eps for one in self.norms)
        shared = [f for f in first if all(np.abs(f - g).min() < _ROUNDING for g in others)]
        return np.array(shared)

    def worst_critical(self) -> Integers:
        """(N,) critical indices of the worst norm on the grid of shared fractions.

        All norms grow together: at the fraction f an image has to withstand each of them at f times
        its largest strength. Corruptions have whole severities and are left out.
        """
        shared, critical = self.shared_fractions(), self.critical
        falls = []
        for one in self.norms:
            fractions = np.append(one.grid / one.eps, np.inf)
            falls.append(np.searchsorted(shared, fractions - _ROUNDING)[critical[one.norm]])
        return np.minimum.reduce(falls)


def _index(record: EvaluationRecord, place: str) -> int:
    """Return the grid index of a place of the range."""
    if place == "half":
        return half_index(record)
    return {"clean": 0, "largest": len(record.grid) - 1}[place]


def half_index(record: EvaluationRecord) -> int:
    """Return the grid index of half of the largest strength; of a corruption that of severity 3.

    Raises:
        InvalidArgument: the grid does not contain it.
    """
    if is_corruption(record.norm):
        return MIDDLE_SEVERITY
    found = np.flatnonzero(np.abs(record.grid / (record.eps or 1) - 0.5) < _ROUNDING)
    if not len(found):
        got = f"{record.norm} up to {format_eps(record.eps)} without half of it"
        raise InvalidArgument("records", got, "strengths that contain half of the largest one")
    return int(found[0])


def profile_summary(profile: Profile) -> dict[str, Any]:
    """Return the figures of a profile as plain values, fractions and not percent.

    Returns:
        - n, model, data, split, attack, confidence;
        - threats: for each norm `eps`, the largest strength, and `half_eps`; accuracy `clean`, at
          `half` and at the `largest` strength, and `expected` robustness (uniform on [0, eps]),
          each a mapping {value, low, high}; the curve; the overall verdict of its checks;
        - corruptions: None without any; else accuracy `clean`, at `half` (severity 3), at the
          `largest` severity and `expected` (the mean over the severities), all as the mean over the
          `kinds`, whose own figures follow. As in ImageNet-C, an image counts at each severity by
          itself, whether or not it is right at lower ones;
        - worst: `threats`, what it covers, and the figures of the images that withstand all of
          them, a corruption at every severity up to the place; `expected` and `curve` are over the
          fraction of the largest strengths of the norms, None without a norm.
    """
    first = profile.records[0]
    return {
        "n": len(profile),
        "model": _name(first.metadata.get("model")),
        "data": _name(first.metadata.get("data")),
        "split": first.metadata.get("split"),
        "attack": _name(profile.norms[0].metadata.get("attack")) if profile.norms else None,
        "confidence": profile.confidence,
        "threats": [_under_norm(one, profile.confidence) for one in profile.norms],
        "corruptions": _corruptions(profile),
        "worst": _worst(profile),
    }


def _under_norm(record: EvaluationRecord, confidence: float) -> dict[str, Any]:
    figure = partial(_figure, confidence=confidence)
    return {
        "norm": record.norm,
        "eps": record.eps,
        "half_eps": float(record.grid[half_index(record)]),
        **{place: figure(record.critical > _index(record, place)) for place in PLACES},
        "expected": figure(contributions(record.critical, record.grid)),
        "curve": curve_points(record),
        "checks": record.metadata.get("checks", {}).get("overall"),
        "seconds": record.metadata.get("seconds"),
    }


def _corruptions(profile: Profile) -> dict[str, Any] | None:
    """Return the figures of the corruptions, each image by itself at each severity."""
    if not profile.corruptions:
        return None
    figure = partial(_figure, confidence=profile.confidence)
    # (kinds, N, 6): a column for the clean image and one for each severity.
    right = np.array(
        [
            np.stack([one.right_at(severity) for severity in (0, *SEVERITIES)], 1)[order]
            for one, order in zip(profile.corruptions, profile.corruption_rows, strict=True)
        ]
    )

    def facts(values: Floats) -> dict[str, Any]:
        return {
            "clean": figure(values[:, 0]),
            "half": figure(values[:, MIDDLE_SEVERITY]),
            "largest": figure(values[:, -1]),
            "expected": figure(values[:, 1:].mean(1)),
            "curve": [
                {"eps": float(severity), **_point(figure(values[:, severity]))}
                for severity in (0, *SEVERITIES)
            ],
        }

    kinds = [one.norm for one in profile.corruptions]
    own = {kind: facts(values.astype(float)) for kind, values in zip(kinds, right, strict=True)}
    return {**facts(right.mean(0)), "kinds": own}


def _worst(profile: Profile) -> dict[str, Any]:
    """Return the figures of the images that withstand every threat."""
    figure = partial(_figure, confidence=profile.confidence)
    found: dict[str, Any] = {
        "threats": [one.norm for one in profile.records],
        **{place: figure(profile.worst(place)) for place in PLACES},
        "expected": None,
        "curve": None,
    }
    if not profile.norms:
        return found
    shared, critical = profile.shared_fractions(), profile.worst_critical()
    return {
        **found,
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
