"""The folder of a run: what lies where, when it may be written, and what its status is.

config.yaml      the configuration in full
run.json         status: running, interrupted, failed or complete
history.jsonl    one row per epoch
pilot.jsonl      those of a pilot at full strength that the run started over from
checkpoints/     the newest checkpoint;  best/: the best one, where it is kept
model/           the finished model, as timm loads it
evaluations/     one folder per evaluation
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rampart.errors import RunError
from rampart.files import write_atomic
from rampart.runs.evaluation_folder import EvaluationFolder
from rampart.version import __version__

#: What run.json goes on saying when the status changes.
KEPT = ("data", "start", "parameters", "linear_probe", "pilot")


@dataclass(frozen=True)
class RunFolder:
    """Paths inside the folder of one run."""

    path: Path

    @property
    def config(self) -> Path:
        """The configuration in full."""
        return self.path / "config.yaml"

    @property
    def status_file(self) -> Path:
        """Status and version."""
        return self.path / "run.json"

    @property
    def history(self) -> Path:
        """One row per epoch."""
        return self.path / "history.jsonl"

    @property
    def pilot(self) -> Path:
        """The history of a pilot that the run started over from."""
        return self.path / "pilot.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The newest checkpoint."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """The best checkpoint, where it is kept."""
        return self.path / "best"

    @property
    def model(self) -> Path:
        """The finished model."""
        return self.path / "model"

    @property
    def evaluations(self) -> Path:
        """One folder per evaluation."""
        return self.path / "evaluations"

    def finished_evaluations(self) -> list[EvaluationFolder]:
        """The evaluations that are finished, by name."""
        found = map(EvaluationFolder, sorted(self.evaluations.glob("*")))
        return [folder for folder in found if folder.is_finished()]

    @property
    def tracking(self) -> Path:
        """What trackers write."""
        return self.path / "tracking"

    def exists(self) -> bool:
        """Whether Rampart started a run here; a `config.yaml` alone may be anybody's."""
        return self.config.is_file() and "rampart" in self.facts()

    def facts(self) -> dict[str, Any]:
        """What run.json says; empty where it is missing or no run's.

        Raises:
            RunError: it is damaged.
        """
        if not self.status_file.is_file():
            return {}
        try:
            facts = json.loads(self.status_file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise RunError(f"{self.status_file} is damaged ({error}).") from error
        return facts if isinstance(facts, dict) else {}

    def status(self) -> str:
        """The run's status, or "missing" where no run was started."""
        return str(self.facts().get("status", "missing"))

    def set_status(self, status: str, **facts: Any) -> None:
        """Write the status in one move; what was found out before stays (`KEPT`)."""
        kept = {key: value for key, value in self.facts().items() if key in KEPT}
        content = {"status": status, "rampart": __version__, **kept, **facts}
        write_atomic(self.status_file, json.dumps(content, indent=1) + "\n")

    def require_finished(self) -> None:
        """Refuse a folder without a finished model.

        Raises:
            RunError: no run, or one that is not complete.
        """
        if not self.exists():
            raise RunError(
                f"{self.path} holds no run: give a folder that `rampart train` has made."
            )
        if self.status() != "complete":
            raise RunError(
                f"{self.path} holds no finished model (its run is {self.status()}): finish it with "
                f"`rampart train {self.config} --output {self.path} --resume`."
            )

    def require_free(self, resume: bool | None, overwrite: bool) -> None:
        """Refuse a folder that holds something, unless the user said what to do with it.

        Args:
            resume: go on with what it holds; None where that cannot be.
            overwrite: replace what it holds.

        Raises:
            RunError: the folder exists and neither `resume` nor `overwrite` fits what it holds.
        """
        if resume and overwrite:
            raise RunError("--resume and --overwrite contradict each other: give one of them.")
        if self.path.is_file():
            raise RunError(f"output folder {self.path} is a file: choose another path.")
        if resume and not self.exists():
            raise RunError(f"{self.path} holds no run to resume: leave out --resume to start one.")
        occupied = self.path.is_dir() and any(self.path.iterdir())
        if occupied and not self.exists():
            raise RunError(
                f"output folder {self.path} exists and holds no run of Rampart, so it is left "
                "alone: choose another with --output."
            )
        if occupied and not (resume or overwrite):
            going_on = "" if resume is None else "--resume goes on with its run, "
            raise RunError(
                f"output folder {self.path} exists: {going_on}--overwrite replaces it, --output "
                "chooses another."
            )
        self._require_writable()

    def clear(self) -> None:
        """Delete what an earlier run left, and nothing else."""
        if not self.exists():
            return
        ours = (self.checkpoints, self.best, self.model, self.evaluations, self.tracking)
        for folder in (*ours, self._dropped_folder):
            shutil.rmtree(folder, ignore_errors=True)
        # run.json goes last: without it the rest would no longer be known as a run.
        for file in (self.history, self.pilot, self.config, self.status_file):
            file.unlink(missing_ok=True)

    def drop_training(self) -> None:
        """Delete what has been trained, so that the run starts over; its history is put aside.

        Each goes in one move: half a checkpoint would be taken for a damaged one.
        """
        for folder in (self.checkpoints, self.best):
            if folder.is_dir():
                shutil.rmtree(self._dropped_folder, ignore_errors=True)
                folder.replace(self._dropped_folder)
        shutil.rmtree(self._dropped_folder, ignore_errors=True)
        if self.history.is_file():
            self.history.replace(self.pilot)

    @property
    def _dropped_folder(self) -> Path:
        return self.path / "dropped"

    def _require_writable(self) -> None:
        """Fail before the work, not after it."""
        parent = self.path.absolute()
        while not parent.exists():
            parent = parent.parent
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise RunError(
                f"output folder {self.path} cannot be written ({parent} is not a folder that you "
                "may write to): choose another with --output."
            )
