"""The images in a folder or a tar, by their paths, and a count of the files that are left out."""

import os
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from rampart.data.decode import ImageFile
from rampart.data.naming import not_a_file
from rampart.data.readers.archive import members_of
from rampart.errors import DataError, shown

#: Endings of images; other files are left out and counted.
IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".avif", ".gif"),
    *(".bmp", ".dib", ".tif", ".tiff", ".tga", ".ico", ".qoi", ".pcx"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".jpf", ".jpx"),
)
LINK_IN_TAR = "links in the tar"
#: Reading them may never end.
SPECIAL = "pipes, sockets or devices"


@dataclass
class Tree:
    """The images in a folder and its subfolders.

    Attributes:
        folders: subfolders by name.
        images: in the folder itself, by name.
        left_out: number of files in the folder itself that are not read, by their ending.
        loops: paths of links to a folder above them, which are not followed; in the top folder.
    """

    folders: dict[str, "Tree"] = field(default_factory=dict)
    images: dict[str, ImageFile] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    loops: list[str] = field(default_factory=list)

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

    def add(self, name: str, image: ImageFile) -> None:
        """Add a file to the folder, or count it if it is not an image by its name."""
        if name.lower().endswith(IMAGE_SUFFIXES):
            self.images[name] = image
        else:
            # A name that is not UTF-8 could not be printed.
            self.left_out[shown(PurePosixPath(name).suffix.lower()) or "no ending"] += 1

    def all_left_out(self) -> str:
        """Return the files left out here and below, as in ".txt 2, .heic 1"; "" without any."""
        count: Counter[str] = Counter()
        trees = [self]
        while trees:
            tree = trees.pop()
            count += tree.left_out
            trees += tree.folders.values()
        return ", ".join(f"{ending} {number}" for ending, number in count.most_common())


def read_tree(path: Path) -> Tree:
    """Return the images below a folder or in a tar, without hidden ones.

    Raises:
        DataError: the path does not exist, is another kind of file, or holds a folder that cannot
            be read.
    """
    if path.is_dir():
        tree = Tree()
        _read_folder(path, tree, (os.path.realpath(path),), tree.loops, path)
        return tree
    if path.is_file():
        return _read_tar(path)
    what = "does not exist" if not path.exists() else f"is {not_a_file(path)}"
    raise DataError(f"data folder '{path}' {what}; give a folder or a .tar of images.")


def _read_folder(
    folder: Path, tree: Tree, above: tuple[str, ...], loops: list[str], top: Path
) -> None:
    """Read a folder into `tree`; `above` are the real paths of this folder and those above it."""
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise DataError(f"folder '{folder}' cannot be read ({error.strerror}).") from error
    for entry in entries:
        path = Path(entry.path)
        if _is_hidden(entry.name):
            continue
        _refuse_dead_link(path)
        if not path.is_dir():
            if path.exists() and not path.is_file():
                tree.left_out[SPECIAL] += 1
            else:
                tree.add(entry.name, ImageFile(path))
            continue
        real = os.path.realpath(path)
        if any(f"{one}/".startswith(f"{real}/") for one in above):
            # Following the link would find every image again, under other labels.
            loops.append(path.relative_to(top).as_posix())
        else:
            _read_folder(path, tree.below([entry.name]), (*above, real), loops, top)


def _refuse_dead_link(path: Path) -> None:
    """Refuse a link to nothing, which may stand for an image or a class; not for another file."""
    if path.is_symlink() and not path.exists() and path.suffix.lower() in ("", *IMAGE_SUFFIXES):
        raise DataError(
            f"'{path}' is a link to '{path.readlink()}', which does not exist; repair it or "
            "remove it."
        )


def _read_tar(path: Path) -> Tree:
    tree = Tree()
    try:
        members = members_of(path)
    except tarfile.TarError as error:
        raise DataError(
            f"'{path}' is not a folder, a table (.csv, .tsv, .parquet) or an uncompressed tar "
            f"({error}); unpack it if it is packed, and give the folder."
        ) from error
    for member in members:
        *folders, name = [part for part in PurePosixPath(member.name).parts if part != "."] or [""]
        if any(_is_hidden(part) for part in (*folders, name)):
            continue
        here = tree.below([*folders, name] if member.isdir() and name else folders)
        if member.isfile():
            here.add(name, ImageFile(path, member.offset_data, member.size))
        elif not member.isdir():
            here.left_out[LINK_IN_TAR if member.issym() or member.islnk() else SPECIAL] += 1
    return tree


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"
