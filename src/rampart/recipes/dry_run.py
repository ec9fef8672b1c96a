"""Try the last operations of a run before its first step, so that they do not fail at its end."""

import torch
from torch import Tensor

from rampart.attacks.frozen import frozen
from rampart.compiling import eagerly
from rampart.data.batches import ordered_batches
from rampart.data.splits import Splits
from rampart.errors import ModelError, reason
from rampart.guarded import BatchSizeError, CallError, GuardedModel
from rampart.input_gradients import NoGradientError, input_gradient
from rampart.models.normalized import NormalizedModel
from rampart.models.reloading import require_reloadable
from rampart.training.state import Run


def try_end(run: Run, splits: Splits) -> None:
    """Compute the gradient at one image, as attacks do, and save and load the model.

    `require_measurable` checks the settings of the evaluation.

    Raises:
        ModelError: the model cannot be evaluated, saved or loaded; the message says what to change.
    """
    (batch,) = ordered_batches(splits.validation.subset([0]), 1)
    images = batch.to(run.accelerator.device).pixels()
    model = run.bare_model
    assert isinstance(model, NormalizedModel)
    for strategy in run.strategies:
        model = strategy.finished(model)
    with eagerly(model):
        _require_attackable(model, images, len(splits.class_names))
        require_reloadable(model, splits.class_names, images.shape[-1], images)


def _require_attackable(model: NormalizedModel, images: Tensor, classes: int) -> None:
    """Refuse a model without a gradient at the pixels, or with the wrong number of logits."""
    pixels = images.clone().requires_grad_()
    try:
        with frozen(model), torch.enable_grad():
            logits = GuardedModel(model)(pixels)
            input_gradient(logits, pixels)
    except NoGradientError as error:
        raise ModelError(
            "the gradient of the model's logits does not reach the pixels, so it cannot be "
            "attacked: remove the detach or no_grad from its forward()."
        ) from error
    except BatchSizeError:
        raise
    except CallError as error:
        raise ModelError(
            f"the model fails on an image of {' x '.join(map(str, images.shape[1:]))} "
            f"({reason(error.__cause__ or error)}): set data.image_size and model.options to what "
            "it accepts, or fix its forward()."
        ) from error
    if logits.shape[1] != classes:
        raise ModelError(
            f"the model has {logits.shape[1]} logits for {classes} classes: its architecture "
            f"'{model.architecture}' must use num_classes, and its reset_classifier() must use its "
            "argument."
        )
