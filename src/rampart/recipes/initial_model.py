"""The model of a run before training, and the images that it accepts."""

from itertools import zip_longest

from torch import nn

from rampart.data.datasets import EMBEDDED
from rampart.data.naming import require_data
from rampart.data.splits import Splits
from rampart.errors import InvalidArgument, ModelError, UnknownName
from rampart.models.backbones import build_model
from rampart.models.external.factories import call_function
from rampart.models.given import own_model
from rampart.models.normalized import NormalizedModel
from rampart.models.references import is_function, misspelled_prefix
from rampart.models.sources import Source, find_source
from rampart.recipes.config.run_config import RunConfig
from rampart.runtime import scoped_seed
from rampart.schema.model_and_data import ModelConfig


def images_of_model(config: RunConfig, source: Source | None = None) -> tuple[int, int | None]:
    """Return channels and side of the images that a model accepts; None for the data's own side.

    Args:
        config: of the run.
        source: of the model; by default the configured backbone.

    Raises:
        InvalidArgument: the model is a function, which does not tell the side of its images.
        UnknownName: a misspelled prefix.
    """
    model, data, embedded = config.model, config.data, config.data.name in EMBEDDED
    if source is None and is_function(model.name):
        if meant := misspelled_prefix(model.name):
            raise UnknownName("model", model.name, [meant])
        if data.image_size is None and not embedded:
            require_data(data.name, data.root)
            raise InvalidArgument(
                "data.image_size",
                None,
                f"the side of the images that '{model.name}' accepts",
                "write data.image_size=224 for 224 pixels",
            )
        return model.options.get("in_chans", len(model.mean or (0, 0, 0))), None
    source = source or find_source(model.name, model.weights)
    own_size = None if embedded else source.image_size
    return model.options.get("in_chans", source.in_chans), own_size


def make_model(config: RunConfig, splits: Splits) -> NormalizedModel:
    """Return the pretrained backbone with a head for the classes of the data.

    A function of the user returns the whole model instead, with one logit per class.

    Raises:
        ModelError: `batch_norm=frozen` for a model without BatchNorm, or a pretrained head for
            other classes.
        RampartError: as `build_model`.
    """
    model, named = config.model, not is_function(config.model.name)
    built = _build(
        config,
        len(splits.class_names),
        splits.image_shape,
        pretrained=model.pretrained,
        pretrained_head=model.head == "pretrained",
    )
    if named and model.head == "pretrained":
        _require_same_classes(config, splits)
    return built


def make_random_model(
    config: RunConfig, classes: int, image_shape: tuple[int, int, int]
) -> NormalizedModel:
    """Return the network of a run with random weights; nothing is downloaded.

    Args:
        config: of the run.
        classes: number of logits.
        image_shape: (C, H, W) of the images.

    Raises:
        RampartError: as `make_model`.
    """
    return _build(config, classes, image_shape, pretrained=False, pretrained_head=False)


def _build(
    config: RunConfig,
    classes: int,
    image_shape: tuple[int, int, int],
    *,
    pretrained: bool,
    pretrained_head: bool,
) -> NormalizedModel:
    model, (channels, size, _) = config.model, image_shape
    try:
        if is_function(model.name):
            built = own_model(
                call_for_module(model.name, config.seed),
                num_classes=classes,
                input_size=image_shape,
                mean=model.mean,
                std=model.std,
            )
        else:
            built = build_model(
                model.name,
                num_classes=classes,
                pretrained=pretrained,
                weights=model.weights,
                options=model.options,
                mean=model.mean,
                std=model.std,
                pretrained_head=pretrained_head,
                in_chans=channels,
                image_size=size,
                seed=config.seed,
            )
    except InvalidArgument as error:
        own = error.name.partition(".")[0] in ModelConfig.model_fields
        key = f"model.{error.name}" if own else error.name
        raise error.renamed(key) from error
    if model.batch_norm == "frozen":
        built.freeze_statistics()
    return built


def _require_same_classes(config: RunConfig, splits: Splits) -> None:
    """Refuse a pretrained head if its class names are known and differ from those of the data."""
    source = find_source(config.model.name, config.model.weights)
    own = source.pretrained_cfg.get("label_names")
    if own and list(own) != list(splits.class_names):
        pairs = zip_longest(own, splits.class_names)
        theirs, ours = next((a, b) for a, b in pairs if a != b)
        raise ModelError(
            f"model.head=pretrained: the head of '{config.model.name}' has other classes "
            f"({theirs!r} where the data has {ours!r}): use model.head=fresh."
        )


def call_for_module(reference: str, seed: int) -> nn.Module:
    """Return the torch module that a function of the user returns.

    Its random weights depend on the seed alone.

    Raises:
        ModelError: see `call_function`; or the result is not a torch module.
    """
    with scoped_seed(seed, "backbone"):
        module, _ = call_function(reference)
    if not isinstance(module, nn.Module):
        raise ModelError(
            f"model '{reference}': the function returned a {type(module).__name__}; training needs "
            "a torch module."
        )
    return module
