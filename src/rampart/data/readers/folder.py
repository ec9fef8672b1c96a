"""A folder or a tar of images with one folder per class, with or without folders for splits.

`{train, val, test}/<class>/<image>` or `<class>/<image>`, below any number of single top folders.
"""

from pathlib import Path

import numpy as np

from rampart.data.decode import Decode, Decoded
from rampart.data.readers.tree import Tree, read_tree
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
_LAYOUTS = "expected {train,val,test}/<class>/<image> or <class>/<image>"


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
