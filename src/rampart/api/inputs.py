"""Turn a model and data given in Python into the subject of an evaluation."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rampart.data.copies import warn_of_copies
from rampart.data.datasets import EMBEDDED, refuse_fractions
from rampart.data.decode import Decode
from rampart.data.from_torch import split_of
from rampart.data.looking import note_changes
from rampart.data.naming import require_data
from rampart.data.splits import OneSplit, Split, Splits
from rampart.devices import require_device
from rampart.errors import InvalidArgument
from rampart.models.external.class_names import check_classes
from rampart.models.external.load import load_model
from rampart.models.external.loaded import LoadedModel, callable_model
from rampart.models.normalized import NormalizedModel, require_pixels
from rampart.plugins import GIVEN
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.evaluation.subject import Subject
from rampart.recipes.resizing import note_resize, resized_as
from rampart.recipes.splits import evaluated_splits_of_size
from rampart.restoring import in_mode, restored_buffers

Classifier = Callable[[Tensor], Any]


def subject_of(
    model: str | Path | Classifier, data: Any, config: RunConfig, device: torch.device
) -> Subject:
    """Return the subject of an evaluation.

    Args:
        model: as for `rampart.evaluate`.
        data: as for `rampart.evaluate`.
        config: of the evaluation.
        device: where to compute.

    Raises:
        RampartError: the model or the data is invalid.
    """
    named = isinstance(model, str | Path)
    found = _load(config, device, config.data.image_size) if named else None
    channels, side = size_of(model, config)
    if found is not None and found.input_size is not None:
        channels, side, _ = found.input_size
    given = config
    if found is not None:
        config = resized_as(found, config)
    splits = note_resize(splits_for(data, config, channels, side), config, given)
    shape = splits[config.evaluation.split].image_shape
    if found is None:
        found = _wrap(model, config, device, shape)
    elif found.input_size is None:
        found = _load(config, device, shape[-1])
    known = len(splits.class_names)
    if not isinstance(data, str | Path):
        splits = _with_all_names(splits, found.num_classes)
    found = check_classes(found, splits.class_names, config.evaluation.match)
    return Subject(found, splits, config, extra_outputs=len(splits.class_names) - known)


def splits_for(data: Any, config: RunConfig, channels: int, side: int | None) -> Splits | OneSplit:
    """Return the images to evaluate on.

    Args:
        data: as for `rampart.evaluate`.
        config: of the evaluation.
        channels: of the images, for files and PIL images.
        side: of the images in pixels, for files and PIL images; None for the side of the images.

    Raises:
        RampartError: data that cannot be read.
    """
    if not isinstance(data, str | Path):
        decode = Decode(side, channels, config.data.resize) if side else None
        require_no_files(config)
        require_no_draw(config, "every image of the object is evaluated")
        split = split_of(data, f"{config.evaluation.split}/", decode)
        require_side(split, config.data.image_size)
        parts: dict[str, Split] = {config.evaluation.split: split}
        return OneSplit(split, tuple(note_changes(parts)), tuple(warn_of_copies(parts)))
    if str(data) in EMBEDDED:
        side = None
    elif side is None:
        require_data(str(data), config.data.root)
        raise InvalidArgument(
            "image_size",
            None,
            "the side of the images that the model accepts",
            "write image_size=224",
        )
    return evaluated_splits_of_size(config, channels, side)


def require_no_files(config: RunConfig) -> None:
    """Refuse keys that describe files, for data that are given as objects."""
    data = config.data
    keys = {
        "root": data.root,
        "options": data.options,
        "splits": data.splits.model_dump(exclude_none=True),
        "split_file": data.split_file,
    }
    for key, value in keys.items():
        if value:
            raise InvalidArgument(
                key, value, "none, because the data are given as objects", "leave it out"
            )


def require_no_draw(config: RunConfig, why: str) -> None:
    """Refuse keys that describe how missing splits are drawn, for data from which none is drawn."""
    refuse_fractions(fractions_of(config), why)
    if config.data.validation == "drawn":
        raise InvalidArgument("validation", "drawn", f"official, because {why}", "leave it out")


def fractions_of(config: RunConfig) -> dict[str, float]:
    """Return the fraction of the images for each split that the data may lack."""
    return {"test": config.data.test_fraction, "validation": config.data.validation_fraction}


def require_side(split: Split, side: int | None) -> None:
    """Refuse images of another side than the one that the user states."""
    if side is not None and side not in split.image_shape[1:]:
        raise InvalidArgument(
            "image_size",
            side,
            f"{split.image_shape[2]}, the side of the tensors",
            "resize them, or omit it",
        )


def device_for(model: object, device: str | torch.device | None) -> torch.device:
    """Return the given device, else that of a module's parameters, else the CPU.

    Raises:
        InvalidArgument: this machine has no such device.
    """
    if device is not None:
        return require_device(device)
    parameters = iter(model.parameters()) if isinstance(model, nn.Module) else iter(())
    return next((parameter.device for parameter in parameters), torch.device("cpu"))


@contextmanager
def eval_mode(model: object) -> Iterator[None]:
    """Put a module in eval mode inside the block; restore its mode and its buffers afterwards."""
    if not isinstance(model, nn.Module):
        yield
        return
    with in_mode(model, training=False), restored_buffers(model):
        yield


def _load(config: RunConfig, device: torch.device, size: int | None) -> LoadedModel:
    wanted = config.model
    return load_model(wanted.name, image_size=size, mean=wanted.mean, std=wanted.std, device=device)


def _wrap(
    model: Any, config: RunConfig, device: torch.device, size: tuple[int, int, int]
) -> LoadedModel:
    wanted = config.model
    if not callable(model) or isinstance(model, type):
        do = "create an object of the class" if isinstance(model, type) else ""
        raise InvalidArgument("model", model, "a module, another callable or a reference", do)
    require_pixels(model, wanted.mean)
    return callable_model(
        model,
        input_size=size,
        mean=wanted.mean,
        std=wanted.std,
        name=wanted.name.removeprefix(GIVEN),
        device=device,
    )


def size_of(model: object, config: RunConfig) -> tuple[int, int | None]:
    """Return channels and side of the images of a callable; None for an unknown side."""
    side = config.data.image_size
    if isinstance(model, NormalizedModel):
        return model.in_chans, side or model.image_size
    return len(config.model.mean or (0, 0, 0)), side


def _with_all_names(splits: Splits | OneSplit, classes: int | None) -> Splits | OneSplit:
    """Extend class names that are numbers, as without names, to the number of outputs."""
    names = list(splits.class_names)
    numbered = names == [str(number) for number in range(len(names))]
    if not (isinstance(splits, OneSplit) and numbered and classes and classes > len(names)):
        return splits
    names = [str(number) for number in range(classes)]
    return replace(splits, split=replace(splits.split, class_names=names))
