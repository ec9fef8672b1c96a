"""The folder of a profile: one folder per threat, and what sums them up.

linf/, l2/, l1/  the evaluations, one per norm
corruptions/     one folder per kind of corruption, each an evaluation
profile.md       a table of the threats
profile.png      the threats side by side
profile.json     the figures; written last
"""

from dataclasses import dataclass
from pathlib import Path

from rampart.errors import RunError
from rampart.files import intended_name, require_output_folder
from rampart.runs.evaluation_folder import EvaluationFolder
from rampart.runs.lock import is_lock
from rampart.units import NORMS, Perturbation, is_corruption


@dataclass(frozen=True)
class ProfileFolder:
    """Paths inside the folder of one profile."""

    path: Path

    @property
    def table(self) -> Path:
        """A table of the threats."""
        return self.path / "profile.md"

    @property
    def picture(self) -> Path:
        """The threats side by side."""
        return self.path / "profile.png"

    @property
    def summary(self) -> Path:
        """The figures; written last."""
        return self.path / "profile.json"

    def evaluation(self, threat: Perturbation) -> EvaluationFolder:
        """Return the folder of the evaluation under one threat."""
        inside = self.path / "corruptions" if is_corruption(threat) else self.path
        return EvaluationFolder(inside / threat)

    def require_own(self) -> None:
        """Refuse a folder that holds other files, so that none is mixed with ours.

        Raises:
            RunError: the folder holds a file that no profile writes, or cannot be written.
        """
        require_output_folder(self.path)
        if not self.path.is_dir():
            return
        ours = {self.table.name, self.picture.name, self.summary.name, *NORMS, "corruptions"}
        entries = [one for one in self.path.iterdir() if not is_lock(one)]
        if others := sorted(one for one in entries if intended_name(one) not in ours):
            raise RunError(
                f"output folder {self.path} holds other files, such as {others[0].name}: choose "
                "another --output."
            )
