"""The folder of a run: its files, when it may be written, and its status.

config.yaml      the full configuration
run.json         status: starting, running, interrupted, failed or complete
history.jsonl    one row per epoch
pilot.jsonl      the rows of a failed pilot, whose epochs are lost
checkpoints/     the newest checkpoint
baseline/        during a pilot: the clean baseline, if the run may continue from it
best/            the best checkpoint, if the run saves it
guidance/        with objective=noisy-labels: class probabilities of the training images
labels/          with data.labels=check: training images whose labels are likely wrong
report.html      the run and its own evaluation as one page
model/           the finished model, in the format that timm loads, and its card
evaluations/     one folder per evaluation
profiles/        one folder per profile, which holds evaluations under several threats
refinement/      of a refined run: the criticality of its layers
writer.lock      the process that writes the folder
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from rampart.checksums import read_checked, with_checksum
from rampart.errors import RunError
from rampart.files import is_scratch, require_output_folder, write_atomic
from rampart.plugins import GIVEN
from rampart.runs.afterwards import REFINEMENT
from rampart.runs.contents import runs_in, spell
from rampart.runs.evaluation_folder import EvaluationFolder
from rampart.runs.lock import is_lock, writer_of
from rampart.runs.settings_file import read_settings
from rampart.version import __version__

#: The status before a run has begun: until then nothing in its folder counts.
STARTING = "starting"
#: Keys that run.json retains when the status changes.
RETAINED = (
    *("data", "content", "label_noise", "start", "parameters", "computing"),
    *("linear_probe", "guidance", "label_check", "pilot", REFINEMENT),
)


@dataclass(frozen=True)
class RunFolder:
    """Paths inside the folder of one run."""

    path: Path

    @property
    def config(self) -> Path:
        """The full configuration."""
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
        """The history of a failed pilot, whose epochs are lost."""
        return self.path / "pilot.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The newest checkpoint."""
        return self.path / "checkpoints"

    @property
    def baseline(self) -> Path:
        """The clean baseline of a pilot, if the run may continue from it."""
        return self.path / "baseline"

    @property
    def best(self) -> Path:
        """The best checkpoint, if the run saves it."""
        return self.path / "best"

    @property
    def model(self) -> Path:
        """The finished model."""
        return self.path / "model"

    @property
    def card(self) -> Path:
        """The model card beside the finished model."""
        return self.model / "README.md"

    @property
    def page(self) -> Path:
        """The run and its own evaluation as one page."""
        return self.path / "report.html"

    @property
    def refinement(self) -> Path:
        """The criticality of the layers of a refined run, as a table and a picture."""
        return self.path / "refinement"

    @property
    def labels(self) -> Path:
        """The check of the training labels."""
        return self.path / "labels"

    @property
    def guidance(self) -> Path:
        """The guidance for noisy labels that the run began with."""
        return self.path / "guidance"

    @property
    def evaluations(self) -> Path:
        """One folder per evaluation."""
        return self.path / "evaluations"

    @property
    def profiles(self) -> Path:
        """One folder per profile."""
        return self.path / "profiles"

    def finished_evaluations(self) -> list[EvaluationFolder]:
        """The finished evaluations, sorted by name."""
        found = map(EvaluationFolder, sorted(self.evaluations.glob("*")))
        return [folder for folder in found if folder.is_finished()]

    @property
    def tracking(self) -> Path:
        """The files of trackers."""
        return self.path / "tracking"

    def exists(self) -> bool:
        """Whether Rampart began a run here; a `config.yaml` alone does not show that."""
        if not self.config.is_file():
            return False
        facts = self.facts()
        return "rampart" in facts and facts.get("status") != STARTING

    def is_unfinished_start(self) -> bool:
        """Whether a run was killed here before it began, so that any command may start it anew."""
        try:
            facts = self.facts()
        except RunError:
            return False
        if "rampart" in facts and facts.get("status") == STARTING:
            return True
        entries = [one for one in self._entries() if not is_scratch(one)]
        # Killed before the file was written, or at the end of `clear`.
        none_but_status = entries == [self.status_file] and "rampart" in facts
        return none_but_status or (not entries and bool(self._entries()))

    def facts(self) -> dict[str, Any]:
        """The content of run.json; empty if the file is missing or belongs to something else.

        Raises:
            RunError: the file is damaged or was changed.
        """
        if not self.status_file.is_file():
            return {}
        facts = read_checked(self.status_file, "restore it, or train again in another --output")
        return facts if isinstance(facts, dict) else {}

    def settings(self) -> dict[str, Any]:
        """The content of config.yaml.

        Raises:
            RunError: the file is missing or damaged, or a setting was changed.
        """
        return read_settings(self.config)

    def status(self) -> str:
        """The status of the run, or "missing" if no run was started here."""
        return str(self.facts().get("status", "missing"))

    def set_status(self, status: str, **facts: Any) -> None:
        """Write the status atomically; the keys in `RETAINED` do not change."""
        retained = {key: value for key, value in self.facts().items() if key in RETAINED}
        content = {"status": status, "rampart": __version__, **retained, **facts}
        write_atomic(self.status_file, json.dumps(with_checksum(content), indent=1) + "\n")

    def begin(self) -> None:
        """Delete the files of an earlier run; the run has begun once `set_status` is called.

        A process that is killed in between leaves an unfinished start.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        content = {"status": STARTING, "rampart": __version__}
        write_atomic(self.status_file, json.dumps(with_checksum(content), indent=1) + "\n")
        for folder in self._own_folders():
            shutil.rmtree(folder, ignore_errors=True)
        for file in (self.history, self.pilot, self.config, self.page):
            file.unlink(missing_ok=True)

    def require_finished(self) -> None:
        """Refuse a folder without a finished model.

        Raises:
            RunError: the folder holds no run, or one that is not complete.
        """
        if not self.exists():
            raise self.no_run()
        if self.status() != "complete":
            raise RunError(
                f"{self.path} holds no finished model (its run is {self.status()}): "
                f"{self.how_to_resume()} to finish it."
            )

    def require_trained(self) -> None:
        """Refuse to train on in a folder whose run was made from finished runs.

        Raises:
            RunError: the run is a refinement that is not finished.
        """
        if REFINEMENT in self.facts() and self.status() != "complete":
            raise RunError(f"{self.path} holds a refinement: {self.how_to_resume()} to finish it.")

    def no_run(self) -> RunError:
        """Return the error for a folder without a run that has begun."""
        if not self.path.exists():
            return RunError(f"{self.path} holds no run: it does not exist, check the path.")
        if self.is_unfinished_start():
            do = "run the command that starts it again"
            return RunError(f"the run in {self.path} was stopped before it began: {do}.")
        inside = runs_in(self.path)
        do = (
            f"give one below it, {spell(inside)}"
            if inside
            else "give a folder that `rampart train` wrote"
        )
        return RunError(f"{self.path} holds no run{' itself' if inside else ''}: {do}.")

    def how_to_resume(self) -> str:
        """Return what to do to resume the run: a command, or a call for objects of Python."""
        tree, refined = self.settings(), self.facts().get(REFINEMENT)
        sections = [tree.get(name) for name in ("model", "data")]
        names = [one.get("name") if isinstance(one, dict) else one for one in sections]
        if any(str(name).startswith(GIVEN) for name in names):
            call = "refine" if refined else "finetune"
            return f"call rampart.{call} again with the same arguments and resume=True"
        if refined:
            again = f"rampart refine {quote(refined['of'])} --output {quote(str(self.path))}"
            return f"run `{again} --resume`"
        return f"run `rampart train --output {quote(str(self.path))} --resume`"

    def require_free(self, resume: bool | None, overwrite: bool) -> None:
        """Refuse a folder that is not empty, unless the user chose to resume or overwrite it.

        Args:
            resume: resume the run in the folder; None if that is not possible.
            overwrite: replace the run in the folder.

        Raises:
            RunError: the folder exists and neither `resume` nor `overwrite` fits it, it lies inside
                a run, or it holds what would be deleted although others made or write it.
        """
        if resume and overwrite:
            raise RunError("--resume and --overwrite contradict each other: give one of them.")
        require_output_folder(self.path)
        self._require_outside_runs()
        unfinished = self.is_unfinished_start()
        if resume and not (self.exists() or unfinished):
            raise RunError(f"{self.path} holds no run to resume: leave out --resume to start one.")
        occupied = bool(self._entries()) and not unfinished
        if occupied and not self.exists():
            raise RunError(
                f"output folder {self.path} exists and holds no run of Rampart, so it is not "
                "changed: choose another with --output."
            )
        if occupied and not (resume or overwrite):
            resuming = "" if resume is None else "--resume continues its run, "
            raise RunError(
                f"output folder {self.path} exists: {resuming}--overwrite replaces it, --output "
                "chooses another."
            )
        if overwrite or unfinished:
            self._require_replaceable()

    def _require_outside_runs(self) -> None:
        """Refuse to begin a run inside another one, which would delete it with its own files."""
        above = (one for one in self.path.resolve().parents if RunFolder(one).exists())
        if not self.exists() and (outer := next(above, None)):
            where = f"output folder {self.path} lies inside the run {outer}"
            raise RunError(f"{where}: choose another with --output.")

    def _require_replaceable(self) -> None:
        """Refuse to delete runs and evaluations of others, and what another process writes."""
        if others := self._of_others():
            raise RunError(
                f"{self.path} holds more than its own run ({spell(others, word='and')}), and "
                "--overwrite would delete it: move it, or choose another folder with --output."
            )
        for inside in (*self.evaluations.glob("*"), *self.profiles.glob("*")):
            if writer := writer_of(inside):
                raise RunError(
                    f"{inside} is being written by {writer}, and --overwrite would delete it: "
                    "wait until it ends, or stop it."
                )

    def _entries(self) -> list[Path]:
        """Return what lies in the folder, without locks."""
        found = self.path.iterdir() if self.path.is_dir() else ()
        return [one for one in found if not is_lock(one)]

    def _of_others(self) -> list[Path]:
        """Return what `clear` would delete although this run did not make it."""
        nested = [run for folder in self._own_folders() for run in (folder, *runs_in(folder))]
        others = [run for run in nested if RunFolder(run).exists()]
        entries = sorted(self.evaluations.iterdir()) if self.evaluations.is_dir() else []
        entries = [one for one in entries if not one.name.startswith(".") and one not in others]
        return others + [one for one in entries if not EvaluationFolder(one).is_of_a_run()]

    def deletes(self, path: Path) -> bool:
        """Return whether `clear` would delete a file or folder."""
        own = (folder.resolve() for folder in self._own_folders())
        return path.exists() and any(path.resolve().is_relative_to(folder) for folder in own)

    def _own_folders(self) -> list[Path]:
        results = (self.best, self.model, self.evaluations, self.profiles, self.refinement)
        others = (self.checkpoints, self.labels, self.guidance, self.tracking, self.baseline)
        return [*results, *others, self._dropped_folder]

    def clear(self) -> None:
        """Delete the files of an earlier run and its evaluations, and nothing else."""
        if self.exists() or self.is_unfinished_start():
            self.begin()
            # It goes last: without it the folder would no longer be recognized as a run.
            self.status_file.unlink(missing_ok=True)

    def drop_training(self) -> None:
        """Delete the checkpoints of a failed pilot; its history moves to pilot.jsonl.

        Each folder is moved before it is deleted: half a checkpoint would look damaged.
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
