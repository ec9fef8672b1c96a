"""A folder or a tar of images with one folder per class, with or without folders for splits.

`{train, val, test}/<class>/<image>` or `<class>/<image>`, below any number of single top folders.
Folders of splits with other names are refused unless the user names them, because they look like
classes.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from rampart.counting import counted
from rampart.data.decode import Decode, Decoded
from rampart.data.labels import in_order
from rampart.data.readers.images_in_parquet import how_to_read
from rampart.data.readers.split_names import known_split, refuse_unnamed_splits
from rampart.data.readers.tree import Tree, read_tree
from rampart.data.splits import Split, check_same_classes
from rampart.errors import DataError

#: Endings of tables, see `rampart.data.readers.table`.
TABLES = (".csv", ".tsv", ".parquet")
_LAYOUTS = "expected {train,val,test}/<class>/<image> or <class>/<image>"


def load_folder(
    path: Path, decode: Decode, names: Mapping[str, str] | None = None
) -> tuple[dict[str, Split], list[str]]:
    """Return the splits in a folder or a tar, and notes on what is left out.

    Args:
        path: a folder, or an uncompressed tar, which is not unpacked.
        decode: turns a picture into pixels.
        names: the folder of each split, as in {"train": "seg_train"}; "." is `path` itself. By
            default they are recognized by their usual names.

    Returns:
        splits by name, those that the folder has; notes.

    Raises:
        DataError: the path does not exist, there is no class folder, a class has no image, the
            splits have different classes, or folders look like splits but have other names.
    """
    top = read_tree(path)
    _refuse_parquet(top, path)
    tree = _without_wrappers(top)
    folders = _named_folders(tree, path, names) if names else _split_folders(tree, path)
    if not folders:
        folders = {"train": "."}
    places = {name: _find(tree, folder) for name, folder in folders.items()}
    found = {name: _read_split(*place, path, decode) for name, place in places.items()}
    for name in found:
        check_same_classes(found, name)
    notes = [
        f"ignored in {path}/{prefix.rstrip('/')}: {counted(len(inside.images), 'image')} beside "
        "the folders."
        for inside, prefix in places.values()
        if inside.images and prefix
    ]
    return found, notes + _note_left_out(top, tree, set(folders.values()), path)


def _refuse_parquet(tree: Tree, path: Path) -> None:
    """Refuse a folder whose images are all in parquet files."""
    if next(tree.walk(""), None) is None and (settings := how_to_read(path)):
        raise DataError(f"the images in '{path}' are inside parquet files: write {settings}.")


def _note_left_out(top: Tree, tree: Tree, used: set[str], path: Path) -> list[str]:
    """Return notes on folders, images and links that are not used."""
    notes = []
    used = {PurePosixPath(folder).parts[0] if folder != "." else "." for folder in used}
    ignored = sorted(set(tree.folders) - used) if "." not in used else []
    if ignored:
        images = sum(1 for name in ignored for _ in tree.folders[name].walk(""))
        notes.append(f"ignored in {path}: {', '.join(ignored)} ({counted(images, 'image')}).")
    if tree.images:
        notes.append(f"ignored in {path}: {counted(len(tree.images), 'image')} beside the folders.")
    if left_out := top.all_left_out():
        notes.append(f"left out of {path}, because they are not image files: {left_out}.")
    if top.loops:
        notes.append(
            f"not followed in {path}: {counted(len(top.loops), 'link')} to a folder above, such "
            f"as {min(top.loops)}."
        )
    return notes


def _without_wrappers(tree: Tree) -> Tree:
    """Descend while there is a single folder that is neither a split nor a class."""
    while len(tree.folders) == 1 and not tree.images:
        (name, only), *_ = tree.folders.items()
        if known_split(name) or only.images or not only.folders:
            break
        tree = only
    return tree


def _named_folders(tree: Tree, path: Path, names: Mapping[str, str]) -> dict[str, str]:
    """Return the folder that the user names for each split."""
    for name, folder in names.items():
        try:
            _find(tree, folder)
        except KeyError:
            has = ", ".join(sorted(tree.folders)) or "none"
            raise DataError(
                f"data.splits.{name}={folder}: '{path}' has no such folder; it has {has}."
            ) from None
    return dict(names)


def _find(tree: Tree, folder: str) -> tuple[Tree, str]:
    """Return a subfolder and the prefix of its paths; `a/a` for a folder `a` with nothing else."""
    prefix, parts = "", PurePosixPath(folder).parts
    for part in parts:
        tree, prefix = tree.folders[part], f"{prefix}{part}/"
    while parts and list(tree.folders) == [parts[-1]] and not tree.images:
        tree, prefix = tree.folders[parts[-1]], f"{prefix}{parts[-1]}/"
    return tree, prefix


def _split_folders(tree: Tree, path: Path) -> dict[str, str]:
    """Return the folder of each split; {} if the folders are classes."""
    folders: dict[str, str] = {}
    others = [name for name in tree.folders if not known_split(name)]
    for folder in sorted(tree.folders):
        name = known_split(folder)
        if others and tree.folders[folder].images:
            # It has images and stands beside classes, so it is a class called like a split.
            continue
        if name in folders:
            raise DataError(
                f"'{path}' has two folders for {name}: {folders[name]} and {folder}; name one of "
                f"them by data.splits.{name}."
            )
        if name:
            folders[name] = folder
    inside = {name: _find(tree, name)[0] for name in others}
    if not folders:
        _refuse_splits_below(inside, path)
    own = {name: _find(tree, folder)[0].folders.keys() for name, folder in folders.items()}
    refuse_unnamed_splits(
        {name: sub.folders.keys() for name, sub in inside.items() if not sub.images},
        folders,
        path,
        own.get("train", set()),
    )
    return folders


def _refuse_splits_below(inside: Mapping[str, Tree], path: Path) -> None:
    """Refuse folders that would be classes, but hold folders of splits, such as photos/train.

    Raises:
        DataError: one of them holds two splits or more.
    """
    holders = [
        name
        for name, tree in inside.items()
        if len({known_split(one) for one in tree.folders} - {None}) > 1
    ]
    if not holders:
        return
    first = min(holders)
    splits = " and ".join(sorted(one for one in inside[first].folders if known_split(one))[:2])
    advice = f"write data={path / first}"
    if len(holders) > 1:
        advice = f"move its images to train/{first}/ and test/{first}/, as for every class"
    raise DataError(
        f"'{path / first}' holds the splits {splits}, but stands where a class is expected: "
        f"{advice}; for classes write data.splits.train=. instead."
    )


def _read_split(tree: Tree, prefix: str, path: Path, decode: Decode) -> Split:
    where = f"{path}/{prefix}".rstrip("/")
    classes = in_order(tree.folders)
    if not classes:
        raise DataError(f"'{where}' has no class folders; {_LAYOUTS}{_other_way(path, prefix)}.")
    if len(classes) == 1:
        raise DataError(
            f"'{where}' has only one class, '{classes[0]}'; give at least two"
            f"{_other_way(path, prefix)}."
        )
    members = [list(tree.folders[name].walk(f"{prefix}{name}/")) for name in classes]
    for name, images in zip(classes, members, strict=True):
        if not images:
            left_out = tree.folders[name].all_left_out()
            but = f", only other files ({left_out})" if left_out else ""
            raise DataError(
                f"class '{name}' in '{where}' has no image{but}; add some or remove it."
            )
    ids = [identity for images in members for identity, _ in images]
    files = [file for images in members for _, file in images]
    labels = np.repeat(np.arange(len(classes), dtype=np.int64), [len(m) for m in members])
    return Split(ids, labels, classes, Decoded(files, ids, decode))


def _other_way(path: Path, prefix: str) -> str:
    """Return advice for a folder without classes: leave this split out, or read a table in it."""
    if prefix:
        return (
            f"; if {prefix} has no labels, leave it out by naming the other splits, as in "
            "data.splits.train=train"
        )
    tables = sorted(one for one in path.glob("*") if one.suffix.lower() in TABLES)
    return f"; for the images that a table lists write data={tables[0]}" if tables else ""
