"""A folder or a tar of images with one folder per class, with or without folders for splits.

`{train, val, test}/<class>/<image>` or `<class>/<image>`, below any number of single top folders.
"""

import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from rampart.data.decode import Decode, Decoded, ImageFile
from rampart.data.splits import Split, check_same_classes
from rampart.errors import DataError

#: Recognized names of the folders of splits.
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
#: Endings of images; other files are ignored.
IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".jp2", ".avif"),
)
_LAYOUTS = "expected {train,val,test}/<class>/<image> or <class>/<image>"


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


def load_folder(path: Path, decode: Decode) -> tuple[dict[str, Split], list[str]]:
    """Return the splits in a folder or a tar, and notes on ignored files.

    Args:
        path: a folder, or an uncompressed tar, which is not unpacked.
        decode: turns a picture into pixels.

    Returns:
        splits by name, always with "train", and with the others that the folder has; notes.

    Raises:
        DataError: the path does not exist, there is no class folder, a class has no image, or the
            splits have different classes.
    """
    tree = _without_wrappers(read_tree(path))
    folders = _split_folders(tree, path)
    if not folders:
        return {"train": _read_split(tree, "", path, decode)}, _note_stray_images(tree, path)
    found = {
        name: _read_split(tree.folders[folder], f"{folder}/", path, decode)
        for name, folder in folders.items()
    }
    for name, split in found.items():
        check_same_classes(found["train"].class_names, split.class_names, name)
    ignored = sorted(set(tree.folders) - set(folders.values()))
    notes = [f"ignored in {path}: {', '.join(ignored)}."] if ignored else []
    return found, notes + _note_stray_images(tree, path)


def _note_stray_images(tree: Tree, path: Path) -> list[str]:
    count = len(tree.images)
    return [f"ignored in {path}: {count} image(s) beside the folders."] if count else []


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


def _without_wrappers(tree: Tree) -> Tree:
    """Descend while there is a single folder that is neither a split nor a class."""
    while len(tree.folders) == 1 and not tree.images:
        (name, only), *_ = tree.folders.items()
        if name.lower() in SPLIT_FOLDERS or only.images or not only.folders:
            break
        tree = only
    return tree


def _split_folders(tree: Tree, path: Path) -> dict[str, str]:
    """Return the folder of each split; {} if the folders are classes."""
    folders: dict[str, str] = {}
    others = [name for name in tree.folders if name.lower() not in SPLIT_FOLDERS]
    for folder in sorted(tree.folders):
        name = SPLIT_FOLDERS.get(folder.lower())
        if others and tree.folders[folder].images:
            # It has images and stands beside classes, so it is a class called like a split.
            continue
        if name in folders:
            raise DataError(f"'{path}' has two folders for {name}: {folders[name]} and {folder}.")
        if name:
            folders[name] = folder
    if folders and "train" not in folders:
        names = " and ".join(folders.values())
        raise DataError(f"'{path}' has {names} but no folder train; {_LAYOUTS}.")
    return folders


def _read_split(tree: Tree, prefix: str, path: Path, decode: Decode) -> Split:
    where = f"{path}/{prefix}".rstrip("/")
    classes = sorted(tree.folders)
    if not classes:
        raise DataError(f"'{where}' has no class folders; {_LAYOUTS}.")
    if len(classes) == 1:
        raise DataError(f"'{where}' has only one class, '{classes[0]}'; give at least two.")
    members = [list(tree.folders[name].walk(f"{prefix}{name}/")) for name in classes]
    for name, images in zip(classes, members, strict=True):
        if not images:
            raise DataError(f"class '{name}' in '{where}' has no image; add some or remove it.")
    ids = [identity for images in members for identity, _ in images]
    files = [file for images in members for _, file in images]
    labels = np.repeat(np.arange(len(classes), dtype=np.int64), [len(m) for m in members])
    return Split(ids, labels, classes, Decoded(files, ids, decode))
