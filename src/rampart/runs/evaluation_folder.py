"""The folder of an evaluation: what lies where, and when the evaluation is finished.

samples.parquet  one row per sample
curve.csv        accuracy at every strength
summary.json     the usual figures
record.json      how the samples were evaluated; the last file of a record
curve.png        the curve drawn
partial/      results of the samples so far, gone at the very end
"""

from dataclasses import dataclass
from pathlib import Path

from rampart.errors import RunError
from rampart.files import intended_name, remove


@dataclass(frozen=True)
class EvaluationFolder:
    """Paths inside the folder of one evaluation."""

    path: Path

    @property
    def samples(self) -> Path:
        """One row per sample."""
        return self.path / "samples.parquet"

    @property
    def curve(self) -> Path:
        """Accuracy at every strength."""
        return self.path / "curve.csv"

    @property
    def summary(self) -> Path:
        """The usual figures."""
        return self.path / "summary.json"

    @property
    def record(self) -> Path:
        """How the samples were evaluated; the last file of a record."""
        return self.path / "record.json"

    @property
    def picture(self) -> Path:
        """The curve drawn."""
        return self.path / "curve.png"

    @property
    def partial(self) -> Path:
        """Results of the samples so far."""
        return self.path / "partial"

    def has_begun(self) -> bool:
        """Whether an evaluation was started here and has not been finished."""
        return self.partial.exists()

    def is_finished(self) -> bool:
        """Whether a whole evaluation lies here.

        An evaluation that was stopped after its record and before its end is not finished.
        """
        return self.record.is_file() and not self.has_begun()

    def require_own(self) -> None:
        """Refuse a folder with files of somebody else: none is replaced or mixed with ours.

        Raises:
            RunError: it holds another file than those of an evaluation.
        """
        others = sorted(set(self._entries()) - set(self._own_entries()))
        if others:
            raise RunError(
                f"output folder {self.path} holds other files, such as {others[0].name}: choose "
                "another --output."
            )

    def clear(self) -> None:
        """Delete what an evaluation has left, and nothing else."""
        # Without a record nothing is taken for a finished evaluation if this is interrupted.
        for entry in (self.record, *self._own_entries()):
            remove(entry)

    def _entries(self) -> list[Path]:
        return list(self.path.iterdir()) if self.path.is_dir() else []

    def _own_entries(self) -> list[Path]:
        """What is ours in the folder, with what a kill while writing has left."""
        ours = (self.samples, self.curve, self.summary, self.record, self.picture, self.partial)
        names = {path.name for path in ours}
        return [entry for entry in self._entries() if intended_name(entry) in names]
