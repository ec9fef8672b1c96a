"""Check all files of a run, of a folder of runs, or of a published run against their checksums.

Pictures, the files of trackers and partial results are left out: no figure is read from a picture,
and partial results are checked when an evaluation resumes. A report is checked: its figures must be
those of the files beside it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from rampart.checksums import KEY, LISTING, MARK, listed_checksums, require_checksum
from rampart.counting import counted
from rampart.errors import RampartError, RunError
from rampart.files import read_text
from rampart.progress.work import watched
from rampart.records.storage import checksums_in
from rampart.runs.contents import SET_ASIDE, evaluations_in, runs_in
from rampart.runs.evaluation_folder import EvaluationFolder
from rampart.runs.history import History
from rampart.runs.report_page import is_page, require_page
from rampart.runs.run_folder import RunFolder
from rampart.runs.shortfall import shortfall_of

#: Endings of files that have no checksum.
PICTURES = (".png",)
_DO = "restore it, or train again"
_DO_CARD = "restore it, or delete it; `rampart publish` writes its own"


@dataclass
class FilesCheck:
    """The result of checking files.

    Attributes:
        matching: files that match their checksums.
        unknown: files without a checksum, which an older version wrote.
        faults: a sentence about each damaged, changed or missing file.
    """

    matching: list[Path] = field(default_factory=list)
    unknown: list[Path] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        text = f"{counted(len(self.matching), 'file')} as written"
        if self.unknown:
            text += f", {len(self.unknown)} without a checksum (such as {self.unknown[0]})"
        return f"{text}, {len(self.faults)} damaged, changed or missing."

    def check(self, file: Path, read: Callable[[], object]) -> None:
        """Read a file, and sort it by what it turns out to be."""
        try:
            read()
        except RampartError as error:
            self.faults.append(str(error))
            return
        text = read_text(file)
        (self.matching if KEY in text and MARK in text else self.unknown).append(file)

    def check_page(self, page: Path, do: str = "") -> None:
        """Check a page, if there is one, against its checksum and the files that it shows.

        Args:
            page: a report or a model card.
            do: what the user can do about damage, as a clause; by default to make a report again.
        """
        if not page.is_file():
            return
        again = f"make it again with `rampart report {quote(str(page.parent))} --html`"
        try:
            require_page(page, do or again)
        except RampartError as error:
            self.faults.append(str(error))
        else:
            self.matching.append(page)

    def check_listed(self, folder: Path) -> None:
        """Check the files that checksums.json lists in a folder."""
        listed: dict[str, str] = {}
        if (folder / LISTING).is_file():
            self.check(folder / LISTING, lambda: listed.update(listed_checksums(folder, _DO)))
        elif folder.is_dir():
            found = (file for file in sorted(folder.iterdir()) if file.is_file())
            found = (file for file in found if file.suffix not in PICTURES)
            self.unknown += [file for file in found if not is_page(file)]
        for name, expected in listed.items():
            self.check_bytes(folder / name, expected.removeprefix(MARK), LISTING)

    def check_bytes(self, file: Path, expected: str, where: str) -> None:
        """Check a file against its SHA-256, which the file `where` states."""
        try:
            require_checksum(file, expected, where, _DO)
        except RampartError as error:
            self.faults.append(str(error))
        else:
            self.matching.append(file)


def check_files(path: Path) -> FilesCheck:
    """Check the files of a run, of an evaluation, or of all runs and evaluations in a folder.

    Of a published run the folder lists all files, of a study the copy of the study's file.

    Raises:
        RunError: the folder holds neither.
    """
    found = FilesCheck()
    runs = [path] if (path / "run.json").is_file() else runs_in(path)
    if (path / LISTING).is_file():
        found.check_listed(path)
        if not runs:
            return found
    evaluations = [path] if EvaluationFolder(path).is_finished() else evaluations_in(path)
    if not runs and not evaluations:
        raise RunError(f"{path} holds no run and no evaluation: give a folder that Rampart wrote.")
    runs, evaluations = _in_use(path, runs), _in_use(path, evaluations)
    folders = len(runs) + len(evaluations)
    for number, folder in enumerate(watched([*runs, *evaluations], "files", folders, "folder")):
        if number < len(runs):
            _check_run(RunFolder(folder), found)
        else:
            _check_evaluation(EvaluationFolder(folder), found)
    return found


def _in_use(path: Path, folders: list[Path]) -> list[Path]:
    """Return the folders that were not set aside as damaged, unless `path` is such a one."""
    return [one for one in folders if SET_ASIDE not in one.relative_to(path).parts]


def _check_run(run: RunFolder, found: FilesCheck) -> None:
    found.check(run.status_file, run.facts)
    found.check(run.config, run.settings)
    for file in (run.history, run.pilot):
        if file.is_file():
            found.check(file, History(file).rows)
    found.check_page(run.page)
    found.check_page(run.card, _DO_CARD)
    for folder in _listed_folders(run):
        found.check_listed(folder)
    try:
        found.faults += _missing_parts(run)
    except RampartError:
        # The damage is among the faults already.
        return


def _listed_folders(run: RunFolder) -> Iterator[Path]:
    yield from (run.model, run.guidance, run.labels, run.refinement)
    for folder in (run.checkpoints, run.best, run.baseline):
        yield from sorted(folder.glob("step-*"))


def _missing_parts(run: RunFolder) -> list[str]:
    """Return sentences on the parts that a complete run lacks."""
    if run.status() != "complete":
        return []
    lacks = shortfall_of(run).history
    faults = [f"{run.history} lacks rows ({lacks}): {_DO}."] if lacks else []
    for file in (run.model / "config.json", run.model / "model.safetensors"):
        if not file.is_file():
            faults.append(f"{file} is missing: {_DO}.")
    return faults


def _check_evaluation(folder: EvaluationFolder, found: FilesCheck) -> None:
    checksums: dict[str, str] = {}
    found.check(folder.record, lambda: checksums.update(checksums_in(folder.path)))
    for name, expected in checksums.items():
        found.check_bytes(folder.path / name, expected, folder.record.name)
    if folder.gallery.is_dir():
        found.check_listed(folder.gallery)
    found.check_page(folder.page)
