"""Checks of a model's inputs and outputs: mode, pixels, logits, determinism, batches."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from rampart.attacks.frozen import Model, frozen, module_of
from rampart.evaluation.checks.checked_model import CheckedModel
from rampart.evaluation.checks.verdict import Status, Verdict, passed, skipped
from rampart.evaluation.inference import logits_of
from rampart.guarded import CallError, GuardedModel, explain_writing
from rampart.logits import NEAR_ONE, OutputKind, is_correct, kind_of_outputs

#: Largest relative change of the logits (see `CheckedModel.change`) between two equal calls, and
#: between two batches on a CPU and on an accelerator. An accelerator may round a convolution to
#: 10 bits in one batch and not in another: simulated, this changes the logits of MobileNetV2 by up
#: to 0.018.
REPEATED, BATCHED, BATCHED_FAST = 1e-4, 1e-3, 0.05
#: Verdicts on outputs that are no logits.
_OUTPUTS: dict[OutputKind, tuple[Status, str]] = {
    "probabilities": (
        "fail",
        "each row of the outputs sums to 1, so they are probabilities, which have smaller "
        "gradients than logits; return the inputs of the softmax.",
    ),
    "log-probabilities": (
        "warn",
        "the outputs are log-probabilities, which a softmax may have rounded; return the inputs of "
        "the softmax.",
    ),
    "scores": (
        "warn",
        "all outputs lie in [0, 1] without summing to 1, so they are probably scores of a sigmoid, "
        "which have smaller gradients than logits; return the inputs of the sigmoid.",
    ),
}
#: Smallest plausible range of the pixels of all images.
NARROW = 2 / 255
#: Standard deviations above which a difference of paired counts is significant.
DEVIATIONS = 3.0


def check_mode(model: Model, images: Tensor) -> Verdict:
    """Check the mode of the model; call this before freezing it.

    The evaluation sets eval mode itself. A model in train mode is only a hint that the caller's own
    figures may be those of another network. A model that stays in train mode is compared with
    itself in eval mode, which is set past its `train` method.
    """
    module = module_of(model)
    if module is None:
        return skipped("mode", "the callable has no torch module, so it has no mode.")
    left = _in_training(module)
    with frozen(model):
        found = logits_of(model, images)
        # After the call, because a model may return to train mode in its forward.
        stubborn = _in_training(module)
    if not (left or stubborn):
        return passed("mode", 0.0, REPEATED, "the model is in eval mode.")
    if not stubborn:
        with frozen(model, "unchanged"):
            found = logits_of(model, images)
    with frozen(model), _forced_to_eval(stubborn):
        evaluated, *again = [logits_of(model, images) for _ in range(4)]
        returns = bool(_in_training(module))
    change, names = _relative_change(found, evaluated), _name_types(stubborn or left)
    if change <= REPEATED and not returns:
        return passed("mode", change, REPEATED, "the model is in train mode, which has no effect.")
    if max(_relative_change(logits, evaluated) for logits in again) > REPEATED and not returns:
        return skipped(
            "mode",
            f"the model is in train mode ({names}), but equal calls in eval mode differ too, so "
            "the effect of the mode is unknown.",
        )
    if stubborn:
        return Verdict(
            "mode",
            "fail",
            float(len(stubborn)),
            0.0,
            f"{names} stay in train mode after eval(), so the numbers would be those of a network "
            "in training; make the model follow eval().",
        )
    return Verdict(
        "mode",
        "warn",
        change,
        REPEATED,
        f"the model is in train mode ({names}), in which its logits differ from those in eval "
        "mode. This evaluation uses eval mode; call model.eval() in other evaluations too.",
    )


def _in_training(module: torch.nn.Module) -> list[torch.nn.Module]:
    return [part for part in module.modules() if part.training]


@contextmanager
def _forced_to_eval(modules: Sequence[torch.nn.Module]) -> Iterator[None]:
    """Put modules in eval mode inside the block, although their `train` method does not."""
    try:
        for part in modules:
            part.training = False
        yield
    finally:
        for part in modules:
            part.training = True


def _relative_change(logits: Tensor, own: Tensor) -> float:
    """Return the largest change, as a multiple of the median range of a sample's logits."""
    spread = (own.amax(1) - own.amin(1)).median().clamp_min(1e-30)
    return float((logits - own).nan_to_num(0.0).abs().amax() / spread)


def _name_types(modules: Iterable[torch.nn.Module]) -> str:
    """Return the types of the innermost modules, whose output may depend on the mode."""
    names = sorted({type(m).__name__ for m in modules if not list(m.children())})
    return ", ".join(names[:3]) + (" and others" if len(names) > 3 else "") or "the model"


def check_range(images: Tensor) -> Verdict | None:
    """Check the range of the pixels; return None if it is valid."""
    low, high = torch.stack(torch.aminmax(images)).tolist()
    if not (low >= 0 and high <= 1):
        return Verdict(
            "pixels",
            "fail",
            max(high - 1, -low),
            0.0,
            f"pixels go from {low:.4g} to {high:.4g}, so strengths in units of [0, 1] do not "
            "apply; divide bytes by 255 once and leave the normalization to the model.",
        )
    if high - low > NARROW:
        return None
    return Verdict(
        "pixels",
        "fail",
        high - low,
        NARROW,
        f"all pixels lie between {low:.4g} and {high:.4g}, so every strength is too large for "
        "the images; were they divided by 255 twice?",
    )


def check_expected_range(subject: CheckedModel) -> Verdict:
    """Check whether accuracy is significantly higher on pixels of another range (paired)."""
    most_frequent = int(torch.bincount(subject.labels).amax())
    gain, limit, better = -1.0, 0.0, ""
    for name, images in _other_ranges(subject.images).items():
        right = _right(subject, images)
        won, lost = int((right & ~subject.right).sum()), int((~right & subject.right).sum())
        # A model that always predicts one class may gain by chance; that does not count.
        if int(right.sum()) > most_frequent and won - lost > gain * len(subject):
            gain = (won - lost) / len(subject)
            limit, better = DEVIATIONS * (won + lost) ** 0.5 / len(subject), name
    gain = max(gain, 0.0)
    if gain <= limit:
        return passed("pixels", gain, limit, "pixels lie in [0, 1], and no other range is better.")
    return Verdict(
        "pixels",
        "warn",
        gain,
        limit,
        f"accuracy is {100 * gain:.0f} points higher on {better}, so the model seems to expect "
        "them; convert from [0, 1] inside the model.",
    )


def _other_ranges(images: Tensor) -> dict[str, Tensor]:
    mean, std = images.new_tensor([0.485, 0.456, 0.406]), images.new_tensor([0.229, 0.224, 0.225])
    if images.shape[1] != 3:
        mean, std = mean.mean(0, keepdim=True), std.mean(0, keepdim=True)
    return {
        "pixels from 0 to 255": images * 255,
        "pixels from -1 to 1": images * 2 - 1,
        "pixels normalized as for ImageNet": (images - mean[:, None, None]) / std[:, None, None],
    }


def _right(subject: CheckedModel, images: Tensor) -> Tensor:
    """Return (N,) bool: whether the prediction is the label; False if the model raises."""
    try:
        return is_correct(subject.ask(images), subject.labels)
    except CallError:
        return torch.zeros_like(subject.right)


def check_input(subject: CheckedModel) -> Verdict:
    """Check whether the model leaves its input unchanged."""
    model = subject.model
    if not (isinstance(model, GuardedModel) and model.writes):
        return passed("input", 0.0, 0.0, "the model leaves its input unchanged.")
    return Verdict("input", "warn", 1.0, 0.0, explain_writing(model.module))


def check_logits(subject: CheckedModel) -> Verdict:
    """Check whether the outputs are finite logits that depend on the image."""
    logits = subject.logits
    missing = float((~logits.isfinite()).double().mean())
    if missing:
        return Verdict(
            "logits",
            "fail",
            missing,
            0.0,
            f"{100 * missing:.3g} % of the logits are NaN or infinite, and count as misclassified; "
            "find the overflow, or the division or root of 0, before evaluating.",
        )
    sums, kind = float((logits.sum(1) - 1).abs().amax()), kind_of_outputs(logits)
    if kind != "logits":
        status, message = _OUTPUTS[kind]
        return Verdict("logits", status, sums, NEAR_ONE, message)
    if subject.constant:
        return Verdict(
            "logits",
            "warn",
            sums,
            NEAR_ONE,
            "the logits are the same for every image, so there is nothing to attack; check the "
            "training.",
        )
    return passed("logits", sums, NEAR_ONE, "the outputs are finite logits.")


def check_determinism(subject: CheckedModel) -> Verdict:
    """Check whether four calls with the same images give the same logits."""
    change = max(subject.change(subject.ask(subject.images)) for _ in range(3))
    if change <= REPEATED:
        return passed("determinism", change, REPEATED, "equal calls give equal logits.")
    return Verdict(
        "determinism",
        "fail",
        change,
        REPEATED,
        "the same images give different logits at each call, so one query does not show whether "
        "a sample is misclassified; use evaluation.attack=rand, or turn the randomness off.",
    )


def check_batch(subject: CheckedModel) -> Verdict:
    """Check whether the logits of a sample depend on its place and the other samples of a batch.

    The message also says whether they are bit for bit equal in the batches of an evaluation, which
    holds on CPUs but not always on accelerators. The check includes other batch sizes, with which
    the model may be used.
    """
    images = subject.images
    # Every second image, so that the neighbors in a batch of any size change.
    some = slice(None, None, 2)
    strangers = images.clone()
    strangers[1::2] = 1 - images[1::2]
    alone = subject.change(subject.ask(images[some]), some)
    among = subject.change(subject.ask(strangers)[some], some)
    turned = subject.change(subject.ask(images.flip(0)).flip(0))
    evaluated = max(alone, among, turned)
    sizes = [
        subject.change(subject.ask_at_once(images)),
        subject.change(subject.ask_at_once(images[some]), some),
    ]
    change = max(evaluated, *sizes)
    limit = BATCHED if images.device.type == "cpu" else BATCHED_FAST
    if evaluated == 0 and change <= limit:
        return passed("batch", change, limit, "a sample's logits do not depend on its batch.")
    if change <= limit:
        return passed(
            "batch",
            change,
            limit,
            f"the logits of a sample change by {evaluated:.0e} of their range in another batch, "
            "because of rounding on this device; another batch size may change a few samples.",
        )
    return Verdict(
        "batch",
        "fail",
        change,
        limit,
        "the logits of a sample depend on the other images of its batch, so results change with "
        "the batch size; use running statistics instead of batch statistics.",
    )
