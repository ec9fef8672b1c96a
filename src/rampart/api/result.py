"""The result of an evaluation in Python: the record, with methods for its figures."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from rampart.errors import RunError
from rampart.metrics.curve import Floats
from rampart.metrics.distributions import Distribution, parse_distribution
from rampart.metrics.expectation import contributions
from rampart.records.record import EvaluationRecord
from rampart.records.storage import load_record, save_record
from rampart.records.summary import curve_points, summary
from rampart.reports.headline import spell_expected, spell_images
from rampart.runs.evaluation_folder import EvaluationFolder
from rampart.units import format_eps, require_norm

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Curve(NamedTuple):
    """Accuracy at every strength, with intervals; each an array (n + 1,).

    Attributes:
        eps: strengths from 0 up, fractions of the pixel range.
        accuracy: fraction of the images that are robust at that strength, in [0, 1].
        low: lower end of its confidence interval (Wilson's).
        high: upper end.
    """

    eps: Floats
    accuracy: Floats
    low: Floats
    high: Floats


class Expected(NamedTuple):
    """Expected robustness, in [0, 1], with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False, repr=False)
class EvaluationResult(EvaluationRecord):
    """A record of critical strengths, one row per image; every figure is computed from it.

    See `EvaluationRecord` for the columns, such as `critical`, `labels` and `metadata`.
    """

    @classmethod
    def of(cls, record: EvaluationRecord) -> Self:
        """Return a record as a result."""
        return cls(**{one.name: getattr(record, one.name) for one in fields(record)})

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Return the result that `save`, or the command `rampart evaluate`, wrote to a folder.

        Raises:
            RunError: the record is missing or damaged.
        """
        return cls.of(load_record(folder))

    @property
    def clean(self) -> float:
        """Accuracy without perturbation, in [0, 1]."""
        return float(self.accuracy[0])

    @property
    def adversarial(self) -> float:
        """Accuracy at eps, in [0, 1]."""
        return float(self.accuracy[-1])

    @property
    def checks(self) -> str | None:
        """The worst verdict of the checks: pass, warn or fail; None if there were no checks.

        `metadata["checks"]["verdicts"]` contains every verdict.
        """
        overall = self.metadata.get("checks", {}).get("overall")
        return None if overall is None else str(overall)

    def curve(self) -> Curve:
        """Return accuracy at every strength with its interval."""
        points = curve_points(self)
        return Curve(*(np.array([point[key] for point in points]) for key in Curve._fields))

    def expected(self, distribution: Distribution | str | None = None) -> Expected:
        """Return expected robustness over a distribution of strengths, with its interval.

        Args:
            distribution: such as `Beta(2, 5, 8 / 255)` or "beta:a=2,b=5"; uniform on [0, eps] by
                default.

        Raises:
            UnknownName: the distribution is unknown.
            InvalidArgument: it extends beyond eps, or the record is of a corruption.
        """
        if isinstance(distribution, str):
            norm = require_norm(self.norm, "distribution", "leave out the distribution")
            distribution = parse_distribution(distribution, self.eps, norm)
        values = contributions(self.critical, self.grid, distribution)
        interval = self.expected_interval(values)
        return Expected(float(values.mean()), interval.low, interval.high)

    def plot(self, path: str | Path | None = None, title: str = "") -> "Figure":
        """Return a figure of the curve; with `path` (.png, .svg or .pdf) also save it.

        Raises:
            InvalidArgument: the path has another file ending.
            RunError: the file cannot be written.
        """
        # Rendering is slow to import.
        from rampart.reports.plots import draw_curve, save_curve

        if path is not None:
            save_curve(self, path, title)
        return draw_curve(self, title)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the record and a plot of its curve to a folder.

        `rampart report FOLDER` and `EvaluationResult.load(folder)` read it.

        Raises:
            RunError: the folder holds another record or other files, or cannot be written.
        """
        target = EvaluationFolder(Path(folder))
        if target.record.exists() and not overwrite:
            raise RunError(
                f"{folder} holds a record: choose another folder, or pass overwrite=True."
            )
        target.require_own()
        save_record(self, target.path)
        self.plot(target.picture, str(self.metadata.get("model", {}).get("name", "")))

    def __repr__(self) -> str:
        attack = self.metadata.get("attack", {}).get("name", "attack unknown")
        checks = f", checks {self.checks}" if self.checks else ""
        figures = summary(self)
        return (
            f"EvaluationResult({spell_images(figures)}, {self.norm}, {attack}: clean "
            f"{self.clean:.1%}, at {format_eps(self.eps)} {self.adversarial:.1%}, "
            f"{spell_expected(figures)}{checks})"
        )
