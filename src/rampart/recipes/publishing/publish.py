"""Publish a finished run in a folder or on the Hugging Face hub."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from rampart.counting import counted
from rampart.files import replacing_folder
from rampart.recipes.publishing.destination import HUB, require_destination
from rampart.recipes.publishing.files import Files, files_of, notes_on
from rampart.recipes.publishing.hub import upload
from rampart.reports.card.write import Place
from rampart.runs.run_folder import RunFolder


@dataclass(frozen=True)
class Publication:
    """A published run.

    Attributes:
        place: the folder, or the address on the hub.
        reference: by which timm and Rampart load the model.
        sizes: bytes of each file, by its path.
        notes: what to know about the files, in sentences.
        dry_run: nothing was written.
    """

    place: str
    reference: str
    sizes: dict[str, int]
    notes: tuple[str, ...]
    dry_run: bool

    def lines(self) -> list[str]:
        """Return what a user has to know, a sentence in each line."""
        listed = [f"{name}: {size:,} bytes" for name, size in self.sizes.items()]
        total = f"{counted(len(self.sizes), 'file')}, {sum(self.sizes.values()) / 1e6:.1f} MB"
        notes = [f"note: {one}" for one in self.notes]
        if self.dry_run:
            return [*listed, *notes, f"dry run: {self.place} would get {total}"]
        return [*notes, f"published {total} in {self.place}", f"timm loads {self.reference}"]


def publish_run(
    path: Path, to: str, *, private: bool = False, license: str = "", dry_run: bool = False
) -> Publication:
    """Publish the model of a finished run, its card and its evaluations.

    Args:
        path: the run's folder.
        to: a folder that is empty or does not exist, or "hf:OWNER/NAME" for the hub. A repository
            that exists gets a new commit.
        private: create a private repository.
        license: of the model, an identifier of the hub such as "apache-2.0".
        dry_run: check everything and write nothing.

    Raises:
        InvalidArgument: the name, the license, or `private` for a folder.
        RunError: the run is not finished, the folder is not empty, or the hub refuses.
        RampartError: a file of the run is damaged.
    """
    run = RunFolder(path)
    run.require_finished()
    require_destination(to, private=private, license=license)
    if to.startswith(HUB):
        name = to.removeprefix(HUB)
        place = Place(f"hf-hub:{name}")
        files = files_of(run, place, license)
        where = upload(name, files, private=private, dry_run=dry_run)
    else:
        place = Place()
        files = files_of(run, place, license)
        where = to
        if not dry_run:
            _copy(files, Path(to))
    sizes = {
        file: one.stat().st_size if isinstance(one, Path) else len(one.encode())
        for file, one in files.items()
    }
    reference = place.reference.replace("FOLDER", to)
    return Publication(where, reference, sizes, tuple(notes_on(run)), dry_run)


def _copy(files: Files, folder: Path) -> None:
    with replacing_folder(folder) as scratch:
        for name, one in files.items():
            target = scratch / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(one, Path):
                shutil.copyfile(one, target)
            else:
                target.write_text(one, encoding="utf-8", newline="")
