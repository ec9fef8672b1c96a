"""AdamW and SGD with separate groups for backbone and head; learning rates with a warm-up."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, NotRequired, TypedDict, Unpack

from rampart.choices import LrSchedule
from rampart.deferred import torch
from rampart.errors import ModelError
from rampart.units import Horizon

if TYPE_CHECKING:
    from torch.nn import Parameter
    from torch.optim import SGD, AdamW, Optimizer
    from torch.optim.lr_scheduler import LambdaLR

NamedParameters = Iterable[tuple[str, "Parameter"]]


class Groups(TypedDict):
    """The settings of the groups of an optimizer.

    Attributes:
        backbone_lr, head_lr: learning rates.
        backbone_weight_decay, head_weight_decay: weight decays.
        no_weight_decay: names of parameters, or patterns such as "*.bias_table".
    """

    backbone_lr: float
    head_lr: float
    backbone_weight_decay: float
    head_weight_decay: float
    no_weight_decay: NotRequired[Collection[str]]


def adamw(
    backbone: NamedParameters,
    head: NamedParameters,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    fused: bool = False,
    **groups: Unpack[Groups],
) -> AdamW:
    """Return AdamW over four groups named backbone, backbone-no-decay, head, head-no-decay.

    Parameters of one dimension (biases, the scales of normalization layers) get no weight decay.
    The same holds for what `no_weight_decay` names, such as timm's position embeddings and class
    tokens. Frozen parameters are left out.

    Args:
        backbone: (name, parameter) pairs.
        head: likewise.
        betas: decay of the averages of the gradient and of its square, in [0, 1).
        fused: update all weights in one kernel.
        groups: learning rates, weight decays, and what has none.

    Raises:
        ModelError: there are no parameters, or all are frozen.
    """
    # None leaves the choice to torch, which then takes one kernel for each operation.
    return torch.optim.AdamW(_all_groups(backbone, head, groups), betas=betas, fused=fused or None)


def sgd(
    backbone: NamedParameters,
    head: NamedParameters,
    *,
    momentum: float = 0.9,
    fused: bool = False,
    **groups: Unpack[Groups],
) -> SGD:
    """Return SGD over the groups of `adamw`; the weight decay is added to the gradient.

    Args:
        backbone: (name, parameter) pairs.
        head: likewise.
        momentum: decay of the sum of the gradients, in [0, 1).
        fused: update all weights in one kernel.
        groups: as in `adamw`.

    Raises:
        ModelError: as `adamw`.
    """
    return torch.optim.SGD(
        _all_groups(backbone, head, groups), momentum=momentum, fused=fused or None
    )


def untrainable() -> ModelError:
    """Return the error for a model whose loss has no gradient."""
    return ModelError(
        "the model has no weights to train: call model.requires_grad_(True), or pass a model with "
        "weights."
    )


def _all_groups(
    backbone: NamedParameters, head: NamedParameters, groups: Groups
) -> list[dict[str, object]]:
    spared = groups.get("no_weight_decay", ())
    found = [
        *_groups(
            "backbone", backbone, groups["backbone_lr"], groups["backbone_weight_decay"], spared
        ),
        *_groups("head", head, groups["head_lr"], groups["head_weight_decay"], spared),
    ]
    if not found:
        raise untrainable()
    return found


def _groups(
    name: str,
    parameters: NamedParameters,
    lr: float,
    weight_decay: float,
    no_weight_decay: Collection[str],
) -> list[dict[str, object]]:
    decayed: list[Parameter] = []
    plain: list[Parameter] = []
    for key, parameter in parameters:
        if not parameter.requires_grad:
            continue
        spared = any(fnmatchcase(key, pattern) for pattern in no_weight_decay)
        (plain if spared or parameter.ndim <= 1 else decayed).append(parameter)
    groups = [
        {"name": name, "params": decayed, "lr": lr, "weight_decay": weight_decay},
        {"name": f"{name}-no-decay", "params": plain, "lr": lr, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def warmup_cosine(step: int, *, steps: int, warmup_steps: int) -> float:
    """Return the factor on the learning rate before optimizer step `step` (0-based).

    It rises linearly over the first `warmup_steps` steps, (step + 1) / warmup_steps, then falls
    as half a cosine to 0 at the end of the run.
    """
    if step < warmup_steps:
        return warmup_constant(step, steps=steps, warmup_steps=warmup_steps)
    progress = (step - warmup_steps) / max(1, steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def warmup_constant(step: int, *, steps: int, warmup_steps: int) -> float:
    """Return the factor on the learning rate: the same rise, then 1 to the end of the run."""
    return (step + 1) / warmup_steps if step < warmup_steps else 1.0


def warmup_multistep(
    step: int, *, steps: int, warmup_steps: int, milestones: Sequence[float]
) -> float:
    """Return the factor on the learning rate: the same rise, then a tenth after each milestone.

    The milestones are fractions of the run.
    """
    if step < warmup_steps:
        return warmup_constant(step, steps=steps, warmup_steps=warmup_steps)
    # A product such as 0.7 * 10 may miss a whole number by rounding.
    passed = sum(step >= milestone * steps - 1e-9 for milestone in milestones)
    return math.pow(0.1, passed)


#: The setting of rates that follow the validation (`rampart.training.lr_plateau`).
PLATEAU = "optimizer.lr_schedule=plateau"


def check_epochs(milestones: Sequence[float], epochs: int) -> tuple[int, ...]:
    """Return the epochs, counted from 1, after which the rates may be halved.

    They are the first that end after a milestone. The last epoch of the run is none, because no
    step follows.

    Args:
        milestones: fractions of the run.
        epochs: length of the run.
    """
    # A product such as 0.56 * 50 may miss a whole number by rounding.
    found = {math.floor(milestone * epochs + 1e-9) + 1 for milestone in milestones}
    return tuple(sorted(epoch for epoch in found if epoch < epochs))


#: Factor on the learning rate of (step, steps, warmup_steps), by `optimizer.lr_schedule`.
FACTORS: Mapping[LrSchedule, Callable[..., float]] = {
    "cosine": warmup_cosine,
    "constant": warmup_constant,
    "multistep": warmup_multistep,
    # What halves the rates is `rampart.training.lr_plateau`.
    "plateau": warmup_constant,
}


def lr_schedule(
    optimizer: Optimizer,
    horizon: Horizon,
    warmup: float,
    course: LrSchedule = "cosine",
    milestones: Sequence[float] = (),
) -> LambdaLR:
    """Return the learning-rate schedule of a run.

    Args:
        optimizer: its rates are those at factor 1.
        horizon: epochs and steps of the run.
        warmup: fraction of the steps in which the rates rise.
        course: how the rates go on after the warm-up.
        milestones: of "multistep", fractions of the run.
    """
    warmup_steps = round(warmup * horizon.steps)
    factor = partial(FACTORS[course], steps=horizon.steps, warmup_steps=warmup_steps)
    if course == "multistep":
        factor = partial(factor, milestones=milestones)
    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


@contextmanager
def scaled_rates(optimizer: Optimizer, factor: float) -> Iterator[None]:
    """Multiply all learning rates by a factor inside the block."""
    before = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] *= factor
    try:
        yield
    finally:
        for group, rate in zip(optimizer.param_groups, before, strict=True):
            group["lr"] = rate


def learning_rates(optimizer: Optimizer) -> dict[str, float]:
    """Return the current rates as `{"lr_backbone": ..., "lr_head": ...}`."""
    rates = {group["name"].split("-")[0]: group["lr"] for group in optimizer.param_groups}
    return {f"lr_{name}": float(rate) for name, rate in rates.items()}
