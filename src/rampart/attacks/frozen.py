"""A model during an attack: parameters are fixed, and everything is restored afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Literal

from rampart.deferred import nn
from rampart.guarded import require_weights
from rampart.restoring import fixed, in_mode, restored_buffers

if TYPE_CHECKING:
    from torch import Tensor

Model = Callable[["Tensor"], "Tensor"]
Mode = Literal["eval", "train", "unchanged"]


def module_of(model: Model) -> nn.Module | None:
    """Return the module of a callable, following `.module` attributes; None if it has none."""
    inner: object = model
    while inner is not None and not isinstance(inner, nn.Module):
        inner = getattr(inner, "module", None)
    return inner


def local(model: Model) -> Model:
    """Return the replica inside a `DistributedDataParallel`, and any other model unchanged.

    An attack takes no gradient of the parameters, and the wrapper would wait for them forever. A
    compiled wrapper is unwrapped too.
    """
    wrapper = getattr(model, "_orig_mod", model)
    return wrapper.module if isinstance(wrapper, nn.parallel.DistributedDataParallel) else model


@contextmanager
def frozen(model: Model, mode: Mode = "eval") -> Iterator[None]:
    """Turn off gradients of the parameters and set the mode inside the block.

    Afterwards `requires_grad` of every parameter, the buffers (bit for bit) and the mode of every
    submodule are restored; `.grad` is never changed. "unchanged" keeps the mode. In "train" mode
    dropout draws from torch's default generator, and a result depends on the other samples of the
    batch. A callable without an `nn.Module` is not changed.

    Raises:
        ModelError: the model has lazy layers without weights.
    """
    module = module_of(model)
    with ExitStack() as restore:
        if module is not None:
            require_weights(module)
            restore.enter_context(fixed(module.parameters()))
            if mode != "unchanged":
                restore.enter_context(in_mode(module, mode == "train"))
            restore.enter_context(restored_buffers(module, same_mode=True))
        yield
