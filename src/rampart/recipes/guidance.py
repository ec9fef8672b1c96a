"""Guidance for training with noisy labels: class probabilities from outside the model."""

import copy
import csv
from collections.abc import Mapping
from dataclasses import replace
from io import StringIO
from pathlib import Path

import torch
from torch import Tensor, nn

from rampart.compiling import eagerly
from rampart.data.batches import ordered_batches
from rampart.data.splits import Split, Splits
from rampart.errors import DataError, InvalidArgument
from rampart.evaluation.held_out import (
    features_of,
    held_out_probabilities,
    neighbor_probabilities,
)
from rampart.files import read_text
from rampart.models.backbones import build_model
from rampart.models.normalized import NormalizedModel
from rampart.objectives.base import Objective
from rampart.objectives.noisy_labels import NoisyLabels
from rampart.objectives.separation import check_guidance
from rampart.recipes.accelerator import make_accelerator
from rampart.recipes.computing import decoding_workers
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.initial_model import make_model
from rampart.recipes.kept_guidance import kept_guidance
from rampart.runs.run_folder import RunFolder

_KEY = "objective.guide"


def with_guidance(
    splits: Splits,
    config: RunConfig,
    network: NormalizedModel | None = None,
    resumed: RunFolder | None = None,
) -> tuple[Splits, int]:
    """Return the splits with the guidance that the objective of a run needs.

    Guidance that the splits already have is checked, and a resumed run has that of its folder.

    Args:
        splits: of the run.
        config: of the run.
        network: the network of the run, in place of the configured backbone.
        resumed: the folder, if the run resumes.

    Returns:
        The splits, and the passes that were spent on the guidance.

    Raises:
        InvalidArgument: the guidance has other classes, or not one row per training image.
        RunError: the guidance in the folder is damaged, or the splits have another one.
        RampartError: the backbone of the guidance cannot be loaded, or the file not be read.
    """
    if not config.components.objective.needs_guidance:
        return splits, 0
    spent = 0
    kept = None if resumed is None else kept_guidance(resumed.guidance, splits.guidance)
    if kept is not None:
        splits = replace(splits, guidance=kept)
    elif splits.guidance is None:
        splits = replace(splits, guidance=_make(splits, config, _settings(config), network))
        spent = len(splits.train) if computes_guidance(config) else 0
    assert splits.guidance is not None
    _require_classes(splits.guidance, splits)
    check_guidance(splits.guidance, torch.from_numpy(splits.train.labels))
    return splits, spent


def computes_guidance(config: RunConfig) -> bool:
    """Return whether the guidance of a run costs a forward pass of every training image."""
    return config.components.objective.needs_guidance and not _is_table(_settings(config).guide)


def is_label_check(config: RunConfig) -> bool:
    """Return whether the guidance of a run is what a check of its labels computes too.

    These are the held-out probabilities of linear heads on features of the run's own backbone.
    """
    settings = _settings(config)
    needed = config.components.objective.needs_guidance
    return needed and settings.guide == "head" and not settings.guide_model


def bound_objective(config: RunConfig, splits: Splits, model: nn.Module) -> Objective:
    """Return the objective of a run for a training that starts from this model.

    Every call returns one with a memory of its own.
    """
    objective = config.components.objective
    if objective.needs_guidance:
        assert splits.guidance is not None, "with_guidance makes it"
        labels = torch.from_numpy(splits.train.labels)
        objective = objective.guided(splits.guidance, labels)
    return objective.bind(model)


def train_features(model: nn.Module, split: Split, config: RunConfig) -> Tensor:
    """Return the features (N, F) of all images of a split."""
    batches = ordered_batches(split, config.evaluation.batch_size, workers=decoding_workers(config))
    with eagerly(model):
        return features_of(model, batches, len(split))


def _settings(config: RunConfig) -> NoisyLabels:
    """Return where the guidance comes from; an own objective has the default."""
    objective = config.components.objective
    return objective if isinstance(objective, NoisyLabels) else NoisyLabels()


def _is_table(guide: str) -> bool:
    return guide.endswith(".csv")


def _make(
    splits: Splits, config: RunConfig, settings: NoisyLabels, network: NormalizedModel | None
) -> Tensor:
    if _is_table(settings.guide):
        return read_guidance(Path(settings.guide), splits)
    model = _backbone(splits, config, settings.guide_model, network)
    features = train_features(model.to(make_accelerator(config).device), splits.train, config)
    labels, classes = splits.train.labels, len(splits.class_names)
    if settings.guide == "neighbors":
        return neighbor_probabilities(features, labels, classes)
    return held_out_probabilities(features, labels, classes, config.data.seed)


def _backbone(
    splits: Splits, config: RunConfig, name: str, network: NormalizedModel | None
) -> NormalizedModel:
    """Return the pretrained model whose features guide."""
    if not name:
        return make_model(config, splits) if network is None else copy.deepcopy(network)
    channels, side, _ = splits.image_shape
    classes = len(splits.class_names)
    return build_model(name, num_classes=classes, in_chans=channels, image_size=side)


def read_guidance(path: Path, splits: Splits) -> Tensor:
    """Return the probabilities (N, K) of the training images from a table.

    The table has one row per image, a column `image` with its id, and a column for each class with
    its name. Rows of other images are ignored.

    Raises:
        DataError: the file cannot be read.
        InvalidArgument: it has other classes than the data, or lacks training images.
    """
    try:
        reader = csv.DictReader(StringIO(read_text(path, "utf-8-sig")))
        rows, columns = list(reader), list(reader.fieldnames or [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{_KEY}={path} cannot be read ({error}).") from error
    names = list(splits.class_names)
    if sorted(columns) != sorted(["image", *names]):
        unlike = sorted(set(columns) ^ {"image", *names})
        got = f"{path} with {len(columns)} columns, unlike in {', '.join(map(repr, unlike[:3]))}"
        expected = f"a column image and one for each of the {len(names)} classes of the data"
        raise InvalidArgument(_KEY, got, expected)
    found = {row["image"]: row for row in rows}
    missing = [identity for identity in splits.train.ids if identity not in found]
    if missing:
        got = f"{path} without {len(missing)} of {len(splits.train)} training images"
        expected = f"one row for each training image, such as {missing[0]!r}"
        raise InvalidArgument(_KEY, got, expected)
    values = [_numbers(found[identity], names, path) for identity in splits.train.ids]
    return torch.tensor(values)


def _numbers(row: Mapping[str, str | None], names: list[str], path: Path) -> list[float]:
    try:
        return [float(row[name] or "") for name in names]
    except ValueError:
        got = f"{path} with no number for {row['image']!r}"
        raise InvalidArgument(_KEY, got, "a probability for each class") from None


def _require_classes(guidance: Tensor, splits: Splits) -> None:
    """Refuse guidance for another number of classes."""
    classes = len(splits.class_names)
    if guidance.ndim == 2 and guidance.shape[1] != classes:
        expected = f"a column for each of the {classes} classes of the data"
        raise InvalidArgument("guidance", f"{guidance.shape[1]} classes", expected)
