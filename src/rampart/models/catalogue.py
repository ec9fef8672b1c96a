"""Backbones by name: where their weights come from, and how they are loaded.

The facts stand in `rampart/assets/backbones.toml`.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from rampart.errors import ModelError, UnknownName
from rampart.models.references import CATALOGUE_PREFIXES

#: Mean and std of each channel.
Normalization = tuple[tuple[float, float, float], tuple[float, float, float]]

#: The source whose names have no prefix; its weights are those of timm.
STUDY = "study"
NORMALIZATIONS: Mapping[str, Normalization] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}


@dataclass(frozen=True)
class Entry:
    """A backbone.

    Attributes:
        name: as in `model=ares:swinb_at`.
        source: the place that publishes it, which is the prefix of its name, or `STUDY`.
        title: short description.
        timm: timm's name of the architecture, with the tag of the weights if they are timm's.
        options: arguments of the architecture.
        normalization: a key of `NORMALIZATIONS`.
        key_filter: "timm" if timm's `checkpoint_filter_fn` has to rename the keys of the file.
        classes: outputs of the head.
        image_size: side of the images, in pixels.
        hub: repository on the Hugging Face hub, if the file lies there.
        address: of the file elsewhere.
        file: its name.
        bytes: its size; None if it is not known.
        license: of the weights.
        homepage: of the source.
        paper: that introduced the model.
        clean: published accuracy on ImageNet, in percent; None if there is none.
        autoattack: likewise, under AutoAttack at Linf 4/255.
        figures: where these two were published.
        note: anything else to know.
        refused: why it cannot be loaded; "" if it can.
        inferred: names of the facts that were concluded instead of read.
    """

    name: str
    source: str
    title: str
    timm: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    normalization: str = "imagenet"
    key_filter: str = ""
    classes: int = 1000
    image_size: int = 224
    hub: str = ""
    address: str = ""
    file: str = ""
    bytes: int | None = None
    license: str = ""
    homepage: str = ""
    paper: str = ""
    clean: float | None = None
    autoattack: float | None = None
    figures: str = ""
    note: str = ""
    refused: str = ""
    inferred: tuple[str, ...] = ()

    @property
    def is_robust(self) -> bool:
        """Whether the weights were trained to be robust."""
        return self.source != STUDY

    @property
    def has_timm_weights(self) -> bool:
        """Whether timm itself loads the weights."""
        return self.source == STUDY

    @property
    def place(self) -> str:
        """The address of the file, or its place on the hub."""
        return f"https://huggingface.co/{self.hub}" if self.hub else self.address


@cache
def catalogue() -> Mapping[str, Entry]:
    """Return all backbones by their names."""
    text = files("rampart.assets").joinpath("backbones.toml").read_text(encoding="utf-8")
    return {one.name: one for one in _entries(tomllib.loads(text))}


def _entries(sources: Mapping[str, dict[str, Any]]) -> Iterator[Entry]:
    for source, shared in sources.items():
        models = shared.pop("models")
        for name, own in models.items():
            facts = {**shared, **own}
            address, drive = facts.pop("address", ""), facts.pop("drive", "")
            if "refused" not in facts:
                facts["address"] = address.format(file=facts["file"], drive=drive)
            inferred = tuple(key for key in facts.pop("inferred", ()) if facts.get(key))
            full = name if source == STUDY else f"{source}:{name}"
            yield Entry(full, source, inferred=inferred, **facts)


def find_entry(name: str) -> Entry | None:
    """Return the backbone with this name; None for a name that the catalogue does not have.

    A file or folder of this name comes first.

    Raises:
        UnknownName: the prefix is one of the catalogue, but the name is not.
        ModelError: the backbone cannot be loaded, or the name ends with a file.
    """
    entry = catalogue().get(name)
    if entry is None:
        prefix, colon, _ = name.partition(":")
        if colon and prefix in CATALOGUE_PREFIXES:
            known, _, file = name.rpartition(":")
            if known in catalogue():
                raise ModelError(f"'{name}' names a file: write {known} and model.weights={file}.")
            raise UnknownName("backbone", name, catalogue(), "`rampart models` lists them")
        return None
    if entry.refused:
        raise ModelError(
            f"'{name}' cannot be loaded: {entry.refused}. `rampart models` lists backbones that "
            "can; to load it with its own code, write model=FILE.py:FUNCTION."
        )
    return None if entry.has_timm_weights and Path(name).exists() else entry


def full_name(name: str) -> str:
    """Return timm's full name for a short name of the catalogue, and other names as they are.

    A record then states the weights, whatever timm's default tag is.
    """
    entry = catalogue().get(name)
    known = entry is not None and entry.has_timm_weights and not Path(name).exists()
    return entry.timm if entry is not None and known else name
