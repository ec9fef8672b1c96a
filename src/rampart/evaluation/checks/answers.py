"""Checks of what a model answers: its mode, pixels, logits, repetition, company in the batch."""

from collections.abc import Iterable

import torch
from torch import Tensor

from rampart.attacks.frozen import Model, frozen, module_of
from rampart.evaluation.checks.checked_model import CheckedModel
from rampart.evaluation.checks.verdict import Verdict, passed, skipped
from rampart.evaluation.inference import logits_of

#: Largest relative change of the logits (see `CheckedModel.change`) between two equal calls, and
#: between two batches. An accelerator may round a convolution to 10 bits in one batch and not in
#: another: done by hand, that changes the logits of MobileNetV2 by up to 0.018.
REPEATED, BATCHED, BATCHED_FAST = 1e-4, 1e-3, 0.05
#: How far rows may be from summing to 1 to be taken for probabilities; half precision included.
NEAR_ONE = 1e-2
#: Images that use no more of the pixel range than this are hardly images.
NARROW = 2 / 255
#: A difference of paired counts is no noise beyond this many standard deviations.
DEVIATIONS = 3.0


def check_mode(model: Model, images: Tensor) -> Verdict:
    """Judge the mode in which the caller left the model; to be asked before it is frozen.

    The evaluation switches to eval mode itself, so a model left in train mode is only a hint that
    the caller's own figures are of another network.
    """
    module = module_of(model)
    if module is None:
        return skipped("mode", "the callable holds no module, so it has no mode to look at.")
    left = [m for m in module.modules() if m.training]
    with frozen(model):
        evaluated = logits_of(model, images)
        stubborn = [m for m in module.modules() if m.training]
    if stubborn:
        return Verdict(
            "mode",
            "fail",
            float(len(stubborn)),
            0.0,
            f"{_types(stubborn)} stay in train mode although eval mode was asked for, so the "
            "numbers are of a network in training; make the model follow eval().",
        )
    if not left:
        return passed("mode", 0.0, REPEATED, "the model is in eval mode.")
    with frozen(model, "unchanged"):
        found = logits_of(model, images)
    spread = (evaluated.amax(1) - evaluated.amin(1)).median().clamp_min(1e-30)
    change = float((found - evaluated).nan_to_num(0.0).abs().amax() / spread)
    if change <= REPEATED:
        return passed("mode", change, REPEATED, "train mode was left on, without an effect.")
    return Verdict(
        "mode",
        "warn",
        change,
        REPEATED,
        f"the model came in train mode ({_types(left)}), where its logits are others than in eval "
        "mode; the evaluation uses eval mode: call model.eval() wherever else you measure it.",
    )


def _types(modules: Iterable[torch.nn.Module]) -> str:
    """The types of the innermost modules, the ones that can act on their mode."""
    names = sorted({type(m).__name__ for m in modules if not list(m.children())})
    return ", ".join(names[:3]) + (" and others" if len(names) > 3 else "") or "the model"


def check_range(images: Tensor) -> Verdict | None:
    """Judge the pixels themselves; None where nothing is wrong with them."""
    low, high = torch.stack(torch.aminmax(images)).tolist()
    if not (low >= 0 and high <= 1):
        return Verdict(
            "pixels",
            "fail",
            max(high - 1, -low),
            0.0,
            f"pixels go from {low:.4g} to {high:.4g}, so strengths in units of [0, 1] mean "
            "something else; divide bytes by 255 once and leave the normalization to the model.",
        )
    if high - low > NARROW:
        return None
    return Verdict(
        "pixels",
        "fail",
        high - low,
        NARROW,
        f"all pixels lie between {low:.4g} and {high:.4g}, so every strength is huge compared with "
        "the images; were they divided by 255 twice?",
    )


def check_expected_range(subject: CheckedModel) -> Verdict:
    """Judge whether the model does much better on pixels of another range: paired, by accuracy."""
    most_frequent = int(torch.bincount(subject.labels).amax())
    gain, limit, better = -1.0, 0.0, ""
    for name, images in _other_ranges(subject.images).items():
        right = _right(subject, images)
        won, lost = int((right & ~subject.right).sum()), int((~right & subject.right).sum())
        # A model that answers one class always gains by luck; that is not what is looked for.
        if int(right.sum()) > most_frequent and won - lost > gain * len(subject):
            gain = (won - lost) / len(subject)
            limit, better = DEVIATIONS * (won + lost) ** 0.5 / len(subject), name
    gain = max(gain, 0.0)
    if gain <= limit:
        return passed(
            "pixels", gain, limit, "pixels lie in [0, 1], and no other range does better."
        )
    return Verdict(
        "pixels",
        "warn",
        gain,
        limit,
        f"accuracy is {100 * gain:.0f} points higher on {better}, so the model seems to expect "
        "those; put the conversion from [0, 1] into the model.",
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
    """Whether the prediction is the label, (N,) bool; never, where the model refuses the images."""
    try:
        return subject.ask(images).argmax(1) == subject.labels
    except (ValueError, AssertionError):
        return torch.zeros_like(subject.right)


def check_logits(subject: CheckedModel) -> Verdict:
    """Judge whether the outputs are finite logits that depend on the image."""
    logits = subject.logits
    missing = float((~logits.isfinite()).double().mean())
    if missing:
        return Verdict(
            "logits",
            "fail",
            missing,
            0.0,
            f"{100 * missing:.3g} % of the logits are NaN or infinite, which counts as a wrong "
            "prediction or hides one; find the overflow before evaluating.",
        )
    sums = float((logits.sum(1) - 1).abs().amax())
    if sums <= NEAR_ONE and bool((logits >= 0).all() & (logits <= 1 + NEAR_ONE).all()):
        return Verdict(
            "logits",
            "fail",
            sums,
            NEAR_ONE,
            "each row of the outputs sums to 1, so they are probabilities and not logits, which "
            "flattens the gradients; return what goes into the softmax.",
        )
    logs = float(logits.logsumexp(1).abs().amax())
    if logs <= NEAR_ONE and bool((logits <= 0).all()):
        return Verdict(
            "logits",
            "warn",
            logs,
            NEAR_ONE,
            "the outputs are log-probabilities, which lose what a softmax has rounded to 0; return "
            "what goes into the softmax.",
        )
    if subject.constant:
        return Verdict(
            "logits",
            "warn",
            sums,
            NEAR_ONE,
            "the logits are the same for every image, so there is nothing to attack; look at the "
            "training.",
        )
    return passed("logits", sums, NEAR_ONE, "the outputs are finite logits.")


def check_determinism(subject: CheckedModel) -> Verdict:
    """Judge whether the same images give the same logits, four times."""
    change = max(subject.change(subject.ask(subject.images)) for _ in range(3))
    if change <= REPEATED:
        return passed("determinism", change, REPEATED, "equal calls give equal logits.")
    return Verdict(
        "determinism",
        "fail",
        change,
        REPEATED,
        "the same images give other logits at each call, so one look does not show whether a "
        "sample is broken; use evaluation.attack=rand, or switch the randomness off.",
    )


def check_batch(subject: CheckedModel) -> Verdict:
    """Judge whether the logits of a sample depend on what else is in its batch, and where.

    Also tells whether they are the same to the last bit in the batches of an evaluation, which
    CPUs manage and accelerators need not. Batches of another size are asked for as well: the model
    may be used with those.
    """
    images = subject.images
    # Every other image, so that a batch of any size holds others than before.
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
            f"a sample's logits change by {evaluated:.0e} of their range with its batch, by "
            "rounding on this device, so another batch size may change a few samples.",
        )
    return Verdict(
        "batch",
        "fail",
        change,
        limit,
        "the logits of a sample depend on the other images of its batch, so results change with "
        "the batch size; use running statistics in place of the batch's.",
    )
