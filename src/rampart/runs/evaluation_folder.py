"""The folder of an evaluation: its files, and when the evaluation is finished.

samples.parquet  one row per sample
curve.csv        accuracy at every strength
summary.json     the usual figures
record.json      how the samples were evaluated; written last
curve.png        a plot of the curve
gallery/         a handful of adversarial examples as pictures
report.html      all of it as one page
partial/         partial results; deleted when the evaluation ends
attacked/        partial results of an evaluation that drew images, kept so that it can grow
writer.lock      the process that writes the folder
"""

import json
from dataclasses import dataclass
from pathlib import Path

from rampart.errors import RunError
from rampart.files import intended_name, read_text, remove, require_output_folder
from rampart.runs.lock import is_lock


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
        """How the samples were evaluated; the file of the record that is written last."""
        return self.path / "record.json"

    @property
    def picture(self) -> Path:
        """A plot of the curve."""
        return self.path / "curve.png"

    @property
    def gallery(self) -> Path:
        """A handful of adversarial examples as pictures."""
        return self.path / "gallery"

    @property
    def page(self) -> Path:
        """The figures as one page."""
        return self.path / "report.html"

    @property
    def partial(self) -> Path:
        """The partial results."""
        return self.path / "partial"

    @property
    def attacked(self) -> Path:
        """The partial results of a finished evaluation of a part of the images."""
        return self.path / "attacked"

    def has_begun(self) -> bool:
        """Whether an evaluation was started here and has not been finished."""
        return self.partial.exists()

    def is_finished(self) -> bool:
        """Whether the folder holds a complete evaluation.

        An evaluation that was stopped between its record and its end is not finished.
        """
        return self.record.is_file() and not self.has_begun()

    def require_own(self) -> None:
        """Refuse a folder that holds other files, so that none is replaced or mixed with ours.

        Raises:
            RunError: the folder holds a file that no evaluation writes, or cannot be written.
        """
        require_output_folder(self.path)
        if others := self._others():
            raise RunError(
                f"output folder {self.path} holds other files, such as {others[0].name}: choose "
                "another --output."
            )

    def clear(self) -> None:
        """Delete the files of an evaluation, and nothing else."""
        # The record goes first: if this is interrupted, the rest must not look finished.
        for entry in (self.record, *self._own_entries()):
            remove(entry)

    def is_of_a_run(self) -> bool:
        """Whether the folder holds nothing but the evaluation of a run, finished or not."""
        if not self.path.is_dir() or self._others():
            return False
        try:
            record = json.loads(read_text(self.record))
            return bool(record["metadata"]["model"]["source"] == "run")
        except (OSError, ValueError, TypeError, KeyError):
            # Nobody can read it.
            return True

    def _others(self) -> list[Path]:
        """The entries that no evaluation writes."""
        entries = {entry for entry in self._entries() if not is_lock(entry)}
        return sorted(entries - set(self._own_entries()))

    def _entries(self) -> list[Path]:
        return list(self.path.iterdir()) if self.path.is_dir() else []

    def _own_entries(self) -> list[Path]:
        """The entries that an evaluation writes, temporary files of a killed one included."""
        files = (self.samples, self.curve, self.summary, self.record, self.picture, self.page)
        names = {path.name for path in (*files, self.gallery, self.partial, self.attacked)}
        return [entry for entry in self._entries() if intended_name(entry) in names]
