"""A model behind a guard: it gets copies of the images, and its output is read in one way."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING, Any

from rampart.batch_sizes import accepted_batch, how_to_export
from rampart.compiling import is_compiled
from rampart.counting import counted
from rampart.deferred import nn, torch
from rampart.errors import ModelError, RampartError, RampartWarning, is_out_of_memory, reason
from rampart.images_and_labels import type_of
from rampart.input_gradients import unreached
from rampart.logits import read_logits
from rampart.plugins import place_of

if TYPE_CHECKING:
    from torch import Tensor

#: Messages of torch on weights without values.
_META = re.compile("device meta|meta tensor")


class CallError(ModelError):
    """The code of the model raises an error."""


class BatchSizeError(CallError):
    """The model takes batches of another size only."""


class GuardedModel:
    """Gives a model copies of the images, and reads the logits from its output.

    Some models write into their input (`x.sub_(mean)`, or numpy behind a callable). Without the
    copies they would change the images of the caller, or the points of an attack. Such a model is
    noticed by torch's version counter of the copy; writes past torch are noticed at the first call
    on a CPU. Neither waits for a device.

    Other models return the same memory at every call, as CUDA graphs do. So the logits are a copy.

    Attributes:
        module: the model, pixels to logits. Attacks freeze and restore it.
        writes: whether it has written into its input.
        classes: K, the number of logits; None before the first call.
    """

    def __init__(self, module: Callable[..., Any], *, warns: bool = True) -> None:
        self.module = module
        self.writes = False
        self.classes: int | None = None
        self._warns = warns
        self._compared = False

    def __call__(self, images: Tensor, **options: Any) -> Any:
        """Return the logits (N, K).

        With options, such as `features="joint"`, the output of the model itself is returned.

        Raises:
            NoGradientError: a gradient is wanted, and the model computes in numpy.
            BatchSizeError: the model takes batches of another size only.
            CallError: the code of the model raises another error.
            ModelError: the output holds no logits (N, K), K is not that of the calls before, or
                the weights have another type than the images.
        """
        # torch.compile warns of a copy that is part of a graph. The leaf of a graph needs none,
        # because torch refuses to write into it.
        leaf = images.requires_grad and images.is_leaf
        copied = images if leaf and is_compiled(self.module) else images.clone()
        version = _version(copied)
        output = self._call(copied, options)
        if not self.writes and self._has_changed(copied, version, images):
            self.writes = True
            if self._warns:
                warnings.warn(explain_writing(self.module), RampartWarning, stacklevel=1)
        return output if options else self._read(output, len(images))

    def _call(self, images: Tensor, options: dict[str, Any]) -> Any:
        try:
            return self.module(images, **options)
        except RampartError:
            raise
        # The code of a model may raise any error.
        except Exception as error:
            # Too large a batch is no fault of the model, and the caller may try a smaller one.
            if is_out_of_memory(error):
                raise
            # Torch refuses `numpy()` where a gradient is wanted.
            if images.requires_grad and "numpy() on Tensor that requires grad" in str(error):
                raise unreached() from error
            # A function may call a network that is not a part of it.
            if _META.search(str(error)):
                raise _no_values() from error
            if "type" in str(error) and (weights := _other_type(self.module, images.dtype)):
                raise ModelError(
                    f"the model takes other images than {type_of(images.dtype)} ({reason(error)}), "
                    f"and its weights are {weights}: call .float() on the model, or convert the "
                    "images in its forward()."
                ) from error
            size = accepted_batch(self.module, images.detach(), options, str(error))
            if size is not None:
                raise BatchSizeError(
                    f"the model takes batches of {counted(size, 'image')} only, and got "
                    f"{len(images)} ({reason(error)}). Rampart sends batches of several sizes, of "
                    f"16 images in evaluations on a CPU: {how_to_export(self.module)}."
                ) from error
            raise CallError(
                f"the model raises {reason(error)}{place_of(error)} on "
                f"{counted(len(images), 'image')} of {' x '.join(map(str, images.shape[1:]))} "
                "(channels, height, width): correct its forward(), or pass images that it accepts."
            ) from error

    def _read(self, output: object, n: int) -> Tensor:
        logits = read_logits(output, n, self.classes)
        self.classes = logits.shape[1]
        return logits.clone()

    def _has_changed(self, copied: Tensor, version: int | None, images: Tensor) -> bool:
        first, self._compared = not self._compared, True
        if _version(copied) != version:
            return True
        return first and copied.device.type == "cpu" and not torch.equal(copied, images)


def guarded(model: Callable[..., Any]) -> GuardedModel:
    """Return the model behind a guard; one that has a guard is returned unchanged."""
    return model if isinstance(model, GuardedModel) else GuardedModel(model)


def require_weights(module: nn.Module) -> None:
    """Refuse a network with lazy layers, or on the device "meta".

    Raises:
        ModelError: some weights have no shape or no values yet.
    """
    weights = list(chain(module.parameters(), module.buffers()))
    if any(map(nn.parameter.is_lazy, weights)):
        raise ModelError(
            "the model has lazy layers without weights: call it on one image before you pass it."
        )
    if any(weight.is_meta for weight in weights):
        raise _no_values()


def _no_values() -> ModelError:
    """Return the error for a network on the device "meta", such as an empty one of accelerate."""
    return ModelError(
        "the model has weights without values, on the device 'meta': write "
        "model.to_empty(device='cpu') and load its weights by load_state_dict, or build it outside "
        "of torch.device('meta')."
    )


def explain_writing(model: object) -> str:
    """Return the sentence that reports a model that writes into its input."""
    model = _innermost(model)
    name = getattr(model, "__name__", type(model).__name__)
    return (
        f"the model {name} writes into its input. Rampart gives it copies, so results are right, "
        "but elsewhere it changes the images of its caller; write x - mean in place of "
        "x.sub_(mean)."
    )


def _innermost(model: object) -> object:
    """Return the module in the wrappers of a model, or the function."""
    while not isinstance(model, nn.Module) and hasattr(model, "module"):
        model = model.module
    return model


def _other_type(model: object, dtype: torch.dtype) -> str:
    """Return the types of a network's weights, if none of them is `dtype`."""
    module = _innermost(model)
    weights = module.parameters() if isinstance(module, nn.Module) else iter(())
    types = {weight.dtype for weight in weights if weight.is_floating_point()}
    return "" if dtype in types else " and ".join(sorted(map(type_of, types)))


def _version(tensor: Tensor) -> int | None:
    """Return how often torch has written into a tensor; None where torch does not count."""
    return None if tensor.is_inference() else tensor._version
