"""A model during an attack: nothing of it is trained, and nothing of it stays changed."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Literal

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from rampart.restoring import in_mode, restored

Model = Callable[[Tensor], Tensor]
Mode = Literal["eval", "train", "unchanged"]


def module_of(model: Model) -> nn.Module | None:
    """Return the module inside a callable, looking through `.module` attributes, if any."""
    inner: object = model
    while inner is not None and not isinstance(inner, nn.Module):
        inner = getattr(inner, "module", None)
    return inner


def local(model: Model) -> Model:
    """Return the replica inside a `DistributedDataParallel`, any other model as it is.

    An attack takes no gradient of the parameters; the wrapper would wait for them for ever. One
    that was compiled as a whole is looked into as well.
    """
    wrapper = getattr(model, "_orig_mod", model)
    return wrapper.module if isinstance(wrapper, DistributedDataParallel) else model


@contextmanager
def frozen(model: Model, mode: Mode = "eval") -> Iterator[None]:
    """Switch gradients of the parameters off inside the block, and attack in `mode`.

    Afterwards `requires_grad` of every parameter, the buffers (bit for bit) and the mode of every
    submodule are as found; `.grad` is never touched. "unchanged" leaves the mode alone. In "train"
    mode dropout draws from torch's default generator, and one sample's result depends on the
    others of its batch. A callable that holds no `nn.Module` is left alone.
    """
    module = module_of(model)
    with ExitStack() as restore:
        if module is not None:
            restore.enter_context(_fixed_parameters(module))
            if mode != "unchanged":
                restore.enter_context(in_mode(module, mode == "train"))
            # In eval mode no buffer changes, and copying hundreds of small ones is not free.
            if any(part.training for part in module.modules()):
                restore.enter_context(restored(module.buffers()))
        yield


@contextmanager
def _fixed_parameters(module: nn.Module) -> Iterator[None]:
    trained = [p for p in module.parameters() if p.requires_grad]
    try:
        for parameter in trained:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
