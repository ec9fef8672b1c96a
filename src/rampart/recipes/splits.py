"""The splits that a configuration names, as images of the size that the model expects."""

from collections.abc import Callable
from typing import TypeVar

from rampart.data.datasets import load_defined
from rampart.data.defined_splits import DefinedSplits
from rampart.data.label_noise import with_label_noise
from rampart.data.splits import OneSplit, Splits
from rampart.errors import InvalidArgument
from rampart.models.sources import Source
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.initial_model import images_of_model
from rampart.schema.model_and_data import DataConfig

T = TypeVar("T", Splits, Splits | OneSplit)


def make_splits(config: RunConfig, source: Source | None = None) -> Splits:
    """Return the three configured splits, with image size and channels of the model.

    `source` is this model; by default the configured backbone.
    """
    return splits_of_size(config, *_expected_images(config, source))


def splits_of_size(config: RunConfig, channels: int, size: int | None) -> Splits:
    """Return the three configured splits, as images of one size."""
    return _load(config, channels, size, DefinedSplits.splits)


def make_evaluated_splits(config: RunConfig, source: Source | None) -> Splits | OneSplit:
    """Return the splits for an evaluation, with image size and channels of the model."""
    return evaluated_splits_of_size(config, *_expected_images(config, source))


def evaluated_splits_of_size(
    config: RunConfig, channels: int, size: int | None
) -> Splits | OneSplit:
    """Return the splits for an evaluation, as images of one size; it needs no training images."""
    split = config.evaluation.split
    return _load(config, channels, size, lambda defined: defined.evaluated(split))


def _expected_images(config: RunConfig, source: Source | None) -> tuple[int, int | None]:
    """Return channels and side of the images of a model."""
    channels, own_size = images_of_model(config, source)
    return channels, config.data.image_size or own_size


def _load(
    config: RunConfig, channels: int, size: int | None, choose: Callable[[DefinedSplits], T]
) -> T:
    data = config.data
    try:
        defined = load_defined(
            data.name,
            image_size=size,
            in_chans=channels,
            resize=data.resize,
            seed=data.seed,
            validation=data.validation,
            validation_fraction=data.validation_fraction,
            test_fraction=data.test_fraction,
            root=data.root,
            cache=data.cache,
            options=data.options,
            splits=data.splits.model_dump(exclude_none=True),
            split_file=data.split_file,
        )
        return with_configured_noise(choose(defined), config)
    except InvalidArgument as error:
        key = f"data.{error.name}" if error.name in DataConfig.model_fields else error.name
        raise error.renamed(key) from error


def with_configured_noise(splits: T, config: RunConfig) -> T:
    """Return splits with the configured label noise, which only training images have."""
    if isinstance(splits, OneSplit):
        return splits
    return with_label_noise(splits, config.data.label_noise, config.data.seed)
