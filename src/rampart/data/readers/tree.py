"""The images in a folder or a tar, by their paths."""

import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from rampart.data.decode import ImageFile
from rampart.errors import DataError

#: Endings of images; other files are ignored.
IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".jp2", ".avif"),
)


@dataclass
class Tree:
    """The paths of the images in a folder and its subfolders."""

    folders: dict[str, "Tree"] = field(default_factory=dict)
    images: dict[str, ImageFile] = field(default_factory=dict)

    def below(self, parts: Sequence[str]) -> "Tree":
        """Return the subfolder at this path; create it if it is missing."""
        tree = self
        for part in parts:
            tree = tree.folders.setdefault(part, Tree())
        return tree

    def walk(self, prefix: str) -> Iterator[tuple[str, ImageFile]]:
        """Yield (`prefix` + relative path, image) for all images, sorted in every folder."""
        for name in sorted(self.images):
            yield prefix + name, self.images[name]
        for name in sorted(self.folders):
            yield from self.folders[name].walk(f"{prefix}{name}/")


def read_tree(path: Path) -> Tree:
    """Return the images below a folder or in a tar, without hidden ones."""
    if path.is_dir():
        return _read_folder(path)
    if path.is_file():
        return _read_tar(path)
    raise DataError(f"data folder '{path}' does not exist; give a folder or a .tar of images.")


def _read_folder(path: Path) -> Tree:
    tree = Tree()
    for folder, subfolders, files in os.walk(path, followlinks=True):
        subfolders[:] = [name for name in subfolders if not _is_hidden(name)]
        here = tree.below(Path(folder).relative_to(path).parts)
        here.images = {name: ImageFile(Path(folder, name)) for name in files if _is_image(name)}
    return tree


def _read_tar(path: Path) -> Tree:
    tree = Tree()
    try:
        with tarfile.open(path, mode="r:") as archive:
            members = archive.getmembers()
    except tarfile.TarError as error:
        raise DataError(
            f"'{path}' is not an uncompressed tar ({error}); unpack it and give the folder."
        ) from error
    for member in members:
        *folders, name = [part for part in PurePosixPath(member.name).parts if part != "."] or [""]
        if any(_is_hidden(part) for part in folders):
            continue
        here = tree.below([*folders, name] if member.isdir() and name else folders)
        if member.isfile() and _is_image(name):
            here.images[name] = ImageFile(path, member.offset_data, member.size)
    return tree


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _is_image(name: str) -> bool:
    return not _is_hidden(name) and name.lower().endswith(IMAGE_SUFFIXES)
