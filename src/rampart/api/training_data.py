"""Turn data given in Python into the splits of a run."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from rampart.api.inputs import (
    fractions_of,
    require_no_draw,
    require_no_files,
    require_side,
    size_of,
)
from rampart.data.completing import complete_splits
from rampart.data.datasets import EMBEDDED
from rampart.data.decode import Decode
from rampart.data.defined_splits import without_validation
from rampart.data.from_torch import split_of
from rampart.data.naming import require_data
from rampart.data.splits import SPLIT_NAMES, Split, Splits
from rampart.errors import DataError, InvalidArgument
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.initial_model import images_of_model
from rampart.recipes.splits import make_splits, splits_of_size, with_configured_noise


def training_splits(data: Any, module: nn.Module | None, config: RunConfig) -> Splits:
    """Return the three splits of a run.

    Args:
        data: as for `rampart.finetune`.
        module: the network, if it is given as an object; it determines the images.
        config: of the run.

    Raises:
        RampartError: data that cannot be read, or splits that do not fit together.
    """
    if isinstance(data, Splits):
        require_no_files(config)
        require_no_draw(config, "the object has all three splits")
        require_side(data.train, config.data.image_size)
        return with_configured_noise(data, config)
    named = isinstance(data, str | Path | Mapping)
    if named and module is None:
        return make_splits(config)
    channels, side = _image_size(module, config)
    if not named:
        decode = Decode(side, channels, config.data.resize) if side else None
        return with_configured_noise(_convert(data, config, decode), config)
    if config.data.name in EMBEDDED:
        side = None
    elif side is None:
        require_data(config.data.name, config.data.root)
        raise InvalidArgument(
            "image_size", None, "the side of the module's images in pixels", "write image_size=224"
        )
    return splits_of_size(config, channels, side)


def _image_size(module: nn.Module | None, config: RunConfig) -> tuple[int, int | None]:
    """Return channels and side of the images that the network accepts."""
    if module is not None:
        return size_of(module, config)
    channels, side = images_of_model(config)
    return channels, config.data.image_size or side


def _convert(data: Any, config: RunConfig, decode: Decode | None) -> Splits:
    """Return the splits of datasets and loaders; draw missing ones from the training images."""
    require_no_files(config)
    tensors = isinstance(data, tuple) and all(isinstance(part, Tensor) for part in data)
    parts = data if isinstance(data, tuple) and not tensors else (data,)
    if not 1 <= len(parts) <= len(SPLIT_NAMES):
        raise InvalidArgument("data", f"{len(parts)} parts", "(train, validation[, test])")
    found = {
        name: split_of(part, f"{name}/", decode)
        for name, part in zip(SPLIT_NAMES, parts, strict=False)
    }
    found, notes = _with_one_naming(found), list[str]()
    if config.data.validation == "drawn":
        found, notes = without_validation(found, notes)
    _require_one_size(found, config.data.image_size)
    return complete_splits(found, notes, fractions_of(config), config.data.seed)


def _with_one_naming(found: dict[str, Split]) -> dict[str, Split]:
    """Number the classes of all splits up to the largest label, if they have no names."""
    names = [list(split.class_names) for split in found.values()]
    longest = max(names, key=len)
    if any(one != [str(number) for number in range(len(one))] for one in names):
        return found
    return {name: replace(split, class_names=longest) for name, split in found.items()}


def _require_one_size(found: Mapping[str, Split], side: int | None) -> None:
    first = found["train"].image_shape
    if first[1] != first[2]:
        raise DataError(
            f"the images are {first[1]} x {first[2]} pixels, but training needs squares: crop or "
            "resize them."
        )
    require_side(found["train"], side)
    for name, split in found.items():
        if split.image_shape != first:
            raise DataError(
                f"the images of {name} have the shape {split.image_shape}, those of train {first}: "
                "resize them to one shape."
            )
