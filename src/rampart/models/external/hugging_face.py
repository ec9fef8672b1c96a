"""Image classifiers of Hugging Face's transformers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rampart.errors import ModelError, reason, shown
from rampart.extras import require_extra
from rampart.hub_access import NOT_CACHED, hub_access, is_not_cached
from rampart.models.external.class_names import with_synonyms
from rampart.models.external.fingerprints import weights_fingerprint
from rampart.models.external.loaded import Function, LoadedModel, Wanted
from rampart.progress.work import is_shown

#: Side of a picture that every processor shrinks, which shows its output size.
_LARGE = 1024
#: Larger numbers of channels are damage.
MAX_CHANNELS = 10_000


def load_hugging_face(name: str, wanted: Wanted) -> LoadedModel:
    """Return a classifier by repository or folder, with the normalization of its processor.

    Only safetensors are read, and no code of the repository is run.

    Raises:
        MissingExtra: transformers is not installed.
        ModelError: the model cannot be loaded, its head is untrained, or it has no image processor
            that only shifts and scales each channel.
    """
    require_extra("transformers", "transformers", f"model 'hf:{name}'")
    with _silence_transformers(), hub_access():
        model, processor = _load(name)
    channels, labels = _facts(name, model.config)
    height, width = _own_size(name, processor, channels)
    size = (channels, height, width)
    mean, std = _normalization(name, processor, (height, width, channels))
    unnamed = all(label == f"LABEL_{i}" for i, label in enumerate(labels))
    return wanted.examine(
        wanted.normalized(Function(model), size, mean, std),
        name=f"hf:{name}",
        source="hf",
        fingerprint=weights_fingerprint(model),
        own_size=size,
        namings=[] if unnamed else with_synonyms(labels),
    )


@contextmanager
def _silence_transformers() -> Iterator[None]:
    """Silence the warnings of transformers, and its bars unless a display shows them."""
    from transformers import utils

    logging: Any = utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    if not is_shown():
        logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _load(name: str) -> tuple[Any, Any]:
    """Return the model in float32 and its image processor."""
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    folder = Path(name).expanduser()
    # transformers would search the hub for a folder that does not exist.
    local = folder.exists() or name.startswith(("/", ".", "~"))
    place = str(folder) if local else name
    kept: dict[str, Any] = {"trust_remote_code": False, "local_files_only": local}
    try:
        model, info = AutoModelForImageClassification.from_pretrained(
            place, use_safetensors=True, output_loading_info=True, **kept
        )
        untrained = sorted(info["missing_keys"]) + sorted(map(str, info["mismatched_keys"]))
        if untrained:
            raise ModelError(
                f"model 'hf:{name}' has no weights for {', '.join(untrained[:3])}: choose one "
                "with a trained head."
            )
        make_processor: Any = AutoImageProcessor.from_pretrained
        return model.float(), make_processor(place, **kept)
    except ModelError:
        raise
    # The hub, the configuration and the processor raise errors of many kinds.
    except Exception as error:
        why = NOT_CACHED if is_not_cached(error) else reason(error)
        raise ModelError(
            f"model 'hf:{name}' cannot be loaded ({why}); it needs config.json, "
            "model.safetensors and preprocessor_config.json, on the hub or in a folder."
        ) from error


def _facts(name: str, config: Any) -> tuple[int, list[str]]:
    """Return the number of channels and the labels; config.json may hold anything."""
    channels, labels = getattr(config, "num_channels", 3), config.id2label
    if type(channels) is not int or not 0 < channels <= MAX_CHANNELS:
        wrong = f"num_channels={shown(channels)}: expected a whole number up to {MAX_CHANNELS:,}"
    elif not isinstance(labels, dict) or not all(isinstance(key, int) for key in labels):
        wrong = f"id2label={shown(labels)}: expected a name for each number"
    else:
        return channels, [str(label) for _, label in sorted(labels.items())]
    raise ModelError(f"config.json of 'hf:{name}': {wrong}; correct it, or save the model again.")


def _process_images(processor: Any, images: list[NDArray[np.uint8]], **options: Any) -> Any:
    made = processor(
        images=images, return_tensors="np", input_data_format="channels_last", **options
    )
    return made["pixel_values"]


def _own_size(name: str, processor: Any, channels: int) -> tuple[int, int]:
    """Return height and width of the processor's output for a large square picture."""
    try:
        made = _process_images(processor, [np.zeros((_LARGE, _LARGE, channels), np.uint8)])
    except Exception as error:
        raise _explain_processor(name, reason(error)) from error
    return made.shape[-2], made.shape[-1]


def _normalization(
    name: str, processor: Any, shape: tuple[int, int, int]
) -> tuple[list[float], list[float]]:
    """Measure mean and std of each channel, because each processor has its own options.

    A black and a white picture give them; a third one checks that nothing else changes.
    """
    ramp = (np.arange(np.prod(shape)) * 37 % 256).astype(np.uint8).reshape(shape)
    pictures = [np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8), ramp]
    kept = {k: False for k in ("do_resize", "do_center_crop", "do_pad") if hasattr(processor, k)}
    try:
        made = np.asarray(_process_images(processor, pictures, **kept), dtype=np.float64)
    except Exception as error:
        raise _explain_processor(name, reason(error)) from error
    black, white = made[0].mean(axis=(1, 2)), made[1].mean(axis=(1, 2))
    scale = white - black
    expected = ramp.transpose(2, 0, 1) / 255 * scale[:, None, None] + black[:, None, None]
    if not (scale > 0).all() or not np.allclose(made[2], expected, atol=1e-4 * scale.max()):
        raise _explain_processor(name, "it does not only shift and scale each channel")
    return (-black / scale).tolist(), (1 / scale).tolist()


def _explain_processor(name: str, why: str) -> ModelError:
    return ModelError(
        f"the image processor of 'hf:{name}' cannot be used ({why}): write a function that returns "
        "a model from pixels in [0, 1] to logits, and name it as FILE.py:FUNCTION."
    )
