"""Try the end of a run before its first step: what cannot be finished is not begun."""

import torch
from torch import Tensor

from rampart.attacks.algorithm import check_logits
from rampart.data.batches import ordered_batches
from rampart.data.splits import Splits
from rampart.errors import ModelError, RampartError, reason
from rampart.models.normalized import NormalizedModel
from rampart.models.reloading import require_reloadable
from rampart.restoring import in_mode
from rampart.training.run import Run


def try_end(run: Run, splits: Splits) -> None:
    """Take a gradient in one image as attacks do, and see that the model can be saved and loaded.

    The settings of the evaluation are checked by `require_measurable`.

    Raises:
        ModelError: the model cannot be evaluated, saved or loaded again; what to change.
    """
    (batch,) = ordered_batches(splits.validation.subset([0]), 1)
    images = batch.to(run.accelerator.device).pixels()
    model = run.bare_model
    assert isinstance(model, NormalizedModel)
    for strategy in run.strategies:
        model = strategy.finished(model)
    _require_answer(model, images, len(splits.class_names))
    require_reloadable(model, splits.class_names, images.shape[-1], images)


def _require_answer(model: NormalizedModel, images: Tensor, classes: int) -> None:
    """Refuse a model that an attack of the evaluation could not work on."""
    pixels = images.clone().requires_grad_()
    try:
        with in_mode(model, training=False), torch.enable_grad():
            logits = model(pixels)
            check_logits(logits, len(images), gradient=True)
            (slope,) = torch.autograd.grad(logits.sum(), pixels, allow_unused=True)
    except RampartError:
        raise
    # An architecture of the user's raises what it likes.
    except Exception as error:
        raise ModelError(
            f"the model cannot answer an image of {' x '.join(map(str, images.shape[1:]))} "
            f"({reason(error)}): set data.image_size and model.options to what it takes, or mend "
            "its forward()."
        ) from error
    if slope is None:
        raise ModelError(
            "the model's logits do not depend on the pixels by differentiable steps, so it cannot "
            "be attacked: remove the detach or no_grad from its forward()."
        )
    if logits.shape[1] != classes:
        raise ModelError(
            f"the model has {logits.shape[1]} logits for {classes} classes: its architecture "
            f"'{model.architecture}' has to use num_classes, and reset_classifier() its argument."
        )
