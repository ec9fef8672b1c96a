"""Datasets of the Hugging Face hub, `hfds/<name>`, with their published splits."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from PIL import Image

from rampart.data.decode import Decode
from rampart.data.readers.torchvision import Pictures
from rampart.data.splits import Split
from rampart.errors import DataError, MissingExtra, UnknownName

#: Names of splits on the hub, the usual one first.
HUB_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "test": ("test", "testing"),
}


def load_hub(name: str, root: str, decode: Decode, options: Mapping[str, Any]) -> dict[str, Split]:
    """Return the published splits; arguments and errors as `load_reader`."""
    if find_spec("datasets") is None:
        raise MissingExtra("datasets", "hub", f"dataset 'hfds/{name}'")
    from datasets import get_dataset_split_names

    for option in options:
        if option not in ("input_key", "target_key"):
            raise UnknownName("option of a hub dataset", option, ("input_key", "target_key"))
    published = get_dataset_split_names(name)
    found = {}
    for split, names in HUB_NAMES.items():
        for alias in names:
            if alias in published and split not in found:
                found[split] = _hub_split(name, alias, root, decode, options)
    if "train" not in found:
        raise DataError(f"dataset 'hfds/{name}' has no split 'train'; it has {published}.")
    return found


def _hub_split(
    name: str, split: str, root: str, decode: Decode, options: Mapping[str, Any]
) -> Split:
    from timm.data.readers.reader_factory import create_reader

    reader = create_reader(f"hfds/{name}", root=root or None, split=split, **options)
    column = options.get("target_key", "label")
    labels = np.asarray(reader.dataset[column], dtype=np.int64)
    classes = sorted(reader.class_to_idx, key=reader.class_to_idx.__getitem__)
    ids = [f"{split}/{i}" for i in range(len(labels))]
    return Split(ids, labels, classes, Pictures(_Opened(reader), decode, f"hfds/{name} {split}"))


@dataclass(frozen=True)
class _Opened:
    """The picture of an item `(file, label)` of a timm reader."""

    reader: Any

    def __call__(self, index: int) -> Image.Image:
        file, _ = self.reader[index]
        with file, Image.open(file) as picture:
            picture.load()
            return picture
