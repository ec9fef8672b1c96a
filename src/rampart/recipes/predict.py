"""Predict the classes of images with the model of a run or any other, prepared as it evaluates."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from rampart.data.decode import Decode
from rampart.data.unlabeled import Unlabeled, explain_unreadable, unlabeled
from rampart.errors import DataError, RampartWarning
from rampart.evaluation.predictions import Predictions, predict_batches, top_k_for
from rampart.models.external.load import load_model
from rampart.models.external.loaded import LoadedModel
from rampart.models.normalized import NormalizedModel
from rampart.progress.work import watched
from rampart.recipes.accelerator import make_accelerator
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.evaluation.subject import unknown_side
from rampart.recipes.prediction_settings import load_for_reference, load_for_run
from rampart.recipes.resizing import resized_as
from rampart.recipes.saved_model import load_saved_model, read_description
from rampart.runs.run_folder import RunFolder

Progress = Callable[[int, int], None]


def predict_run(
    path: Path,
    images: Any,
    overrides: Sequence[str] = (),
    top_k: int | None = None,
    on_progress: Progress | None = None,
) -> Predictions:
    """Return the predictions of a finished run's model, on the device of its evaluations.

    Args:
        path: the run's folder.
        images: see `rampart.data.unlabeled.unlabeled`.
        overrides: changes of `prediction_settings.SETTINGS`, such as `data.resize=squash`.
        top_k: number of classes that will be shown, which is checked before the work.
        on_progress: called with (images done, images in all).

    Raises:
        RunError: the run is not finished.
        RampartError: see `predict_images`.
    """
    folder = RunFolder(path)
    config = load_for_run(folder, overrides)
    model = load_saved_model(folder, config)
    if (side := config.data.image_size or model.image_size) != model.image_size:
        model = load_saved_model(folder, config, input_size=(model.in_chans, side, side))
    names = read_description(folder)["label_names"]
    top_k_for(top_k, len(names))
    device = make_accelerator(config).device
    return predict_images(model.to(device), images, names, config, side, on_progress)


def predict_model(
    reference: str,
    images: Any,
    overrides: Sequence[str] = (),
    top_k: int | None = None,
    on_progress: Progress | None = None,
) -> Predictions:
    """Return the predictions of any classifier (see `rampart.models.external.load`).

    Args:
        reference: the model, such as `timm:NAME` or a file.
        images: see `rampart.data.unlabeled.unlabeled`.
        overrides: `prediction_settings.SETTINGS` and `OF_MODEL`, as `data.image_size=224`.
        top_k: as for `predict_run`.
        on_progress: called with (images done, images in all).

    Raises:
        RampartError: see `predict_images`, and `load_model`.
    """
    config = load_for_reference(reference, overrides)
    model = load_model(
        reference,
        image_size=config.data.image_size,
        mean=config.model.mean,
        std=config.model.std,
        device=make_accelerator(config).device,
    )
    if model.input_size is None:
        raise unknown_side(reference)
    channels, side, _ = model.input_size
    names = _names(model)
    top_k_for(top_k, len(names))
    config = resized_as(model, config)
    return _predict(model.model, images, names, config, (channels, side), on_progress)


def predict_images(
    model: NormalizedModel,
    images: Any,
    class_names: Sequence[str],
    config: RunConfig,
    side: int | None = None,
    on_progress: Progress | None = None,
) -> Predictions:
    """Return the predictions of a run's model.

    Images in a folder that cannot be read are left out, with a `RampartWarning`.

    Args:
        model: of the run, on its device.
        images: see `rampart.data.unlabeled.unlabeled`.
        class_names: of the K logits.
        config: of the run: how images become squares, and the size of a batch.
        side: of the images, in pixels; by default that of the training.
        on_progress: called with (images done, images in all).

    Raises:
        DataError: there is no image, or a named file cannot be read.
        InvalidArgument: another kind of image, or pixels outside [0, 1].
        ModelError: the model fails on the images.
    """
    size = model.in_chans, side or model.image_size
    return _predict(model, images, class_names, config, size, on_progress)


def _predict(
    model: nn.Module,
    images: Any,
    class_names: Sequence[str],
    config: RunConfig,
    size: tuple[int, int],
    on_progress: Progress | None,
) -> Predictions:
    channels, side = size
    found = unlabeled(images, Decode(side, channels, config.data.resize))
    for note in found.notes:
        warnings.warn(note, RampartWarning, stacklevel=4)
    unreadable = list[str]()
    readable = _readable(found, config.evaluation.batch_size, unreadable)
    batches = watched(readable, "predicting", len(found), count=lambda batch: len(batch[0]))
    show = (lambda done: on_progress(done, len(found))) if on_progress else None
    predictions = predict_batches(model, batches, class_names, show)
    if unreadable:
        text = explain_unreadable(unreadable, len(found))
        if not len(predictions):
            raise DataError(text)
        warnings.warn(text, RampartWarning, stacklevel=4)
    return predictions


def _readable(
    images: Unlabeled, size: int, unreadable: list[str]
) -> Iterator[tuple[list[str], Tensor]]:
    """Yield ids and pixels; add a sentence to `unreadable` for every image that is left out."""
    for batch in images.batches(size):
        unreadable += batch.unreadable
        if batch.images is not None:
            yield batch.ids, batch.images


def _names(model: LoadedModel) -> Sequence[str]:
    """Return the most readable names of a model's outputs: of ImageNet words, not synsets."""
    if model.namings:
        return model.namings[-1]
    warnings.warn(
        f"model '{model.name}' does not name its classes: its outputs are numbered from 0.",
        RampartWarning,
        stacklevel=3,
    )
    return [str(number) for number in range(model.num_classes or 0)]
