"""Checks of a model before an evaluation, on a few images."""

import torch
from torch import Tensor

from rampart.attacks.frozen import Model, frozen, local
from rampart.evaluation.checks.answers import (
    check_batch,
    check_determinism,
    check_expected_range,
    check_input,
    check_logits,
    check_mode,
    check_range,
)
from rampart.evaluation.checks.checked_model import CheckedModel
from rampart.evaluation.checks.gradients import (
    Ring,
    check_gradients,
    check_masking,
    check_unbounded,
    is_rounded_away,
    measure_rings,
)
from rampart.evaluation.checks.normalization import check_normalization
from rampart.evaluation.checks.strength import check_strength
from rampart.evaluation.checks.verdict import Verdict, skipped
from rampart.evaluation.inference import QueriedModel
from rampart.runtime import scoped_seed
from rampart.units import Norm, parse_eps

#: The checks of `check_model`, in the order of its verdicts.
MODEL_CHECKS = (
    "pixels",
    "normalization",
    "input",
    "mode",
    "logits",
    "determinism",
    "batch",
    "gradients",
    "slope",
    "masking",
    "unbounded",
    "strength",
)
#: Recommended number of images, and the smallest allowed one.
CHECK_IMAGES, SMALLEST = 32, 4


def check_model(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    norm: Norm,
    eps: float,
    seed: int,
    differentiable: bool = True,
) -> list[Verdict]:
    """Return one verdict for each check of `MODEL_CHECKS`.

    It costs at most 271 forwards and 100 backwards per image, and up to 211 and 45 on models that
    pass; about 100 are queries of Square on samples that are robust to APGD. The same seed gives
    the same verdicts, even for a model that draws from torch's default generators. The model and
    these generators are restored.

    Args:
        model: pixels in [0, 1], (N, C, H, W), to logits; runs in eval mode.
        images: (N, C, H, W), pixels in [0, 1]; about `CHECK_IMAGES` of them.
        labels: (N,).
        norm: norm of the evaluation.
        eps: its largest strength, fraction of the pixel range.
        seed: seed of the noise.
        differentiable: whether the model has gradients; False for a black box.

    Raises:
        ModelError: the model does not return logits (N, K).
    """
    eps = parse_eps(eps, norm)
    if len(images) < SMALLEST:
        return _skip_all([], f"the checks need at least {SMALLEST} images.")
    model = QueriedModel.of(local(model))
    with torch.inference_mode(False), torch.no_grad(), scoped_seed(seed, "trust"):
        images, labels = images.float().clone(), labels.clone()
        if wrong := check_range(images):
            return _skip_all([wrong], "the pixels are not in [0, 1].")
        mode = check_mode(model, images)
        with frozen(model):
            subject = CheckedModel.of(model, images, labels, norm, eps, seed)
            return _run_checks(subject, mode, differentiable)


def _run_checks(subject: CheckedModel, mode: Verdict, differentiable: bool) -> list[Verdict]:
    verdicts, rings = _check_answers(subject, mode, differentiable)
    return [*verdicts, check_strength(subject, rings[-1] if rings else None)]


def _check_answers(
    subject: CheckedModel, mode: Verdict, differentiable: bool
) -> tuple[list[Verdict], list[Ring]]:
    """Return all verdicts but that on the strength, and the measurements around the images."""
    verdicts = [check_expected_range(subject), check_normalization(subject)]
    verdicts += [check_input(subject), mode, check_logits(subject)]
    if not subject.logits.isfinite().all():
        return _skip_rest(verdicts, "the logits are not finite."), []
    verdicts.append(check_determinism(subject))
    random = verdicts[-1].status == "fail"
    if random:
        verdicts.append(skipped("batch", "the model is random."))
    else:
        verdicts.append(check_batch(subject))
    if subject.constant:
        return _skip_rest(verdicts, "the logits are the same for every image."), []
    if not differentiable or not subject.eps:
        return _skip_rest(verdicts, "the evaluation uses no gradient attack."), []
    verdicts.append(check_gradients(subject))
    if verdicts[-1].status == "fail" and verdicts[-1].value == 1.0:
        return _skip_rest(verdicts, "the model has no gradients."), []
    if subject.one_class:
        return _skip_rest(verdicts, "the prediction is the same for every image."), []
    rings: list[Ring] = []
    unknown = "the model is random." if random else ""
    if not unknown and is_rounded_away(subject):
        unknown = "eps is lost in the rounding of pixels."
    if unknown:
        verdicts += [skipped(name, unknown) for name in ("slope", "masking")]
    else:
        rings = measure_rings(subject)
        verdicts += check_masking(subject, rings)
    return [*verdicts, check_unbounded(subject)], rings


def _skip_rest(verdicts: list[Verdict], why: str) -> list[Verdict]:
    """Return the verdicts so far, with the remaining checks but that on the strength as skipped."""
    return verdicts + [skipped(name, why) for name in MODEL_CHECKS[len(verdicts) : -1]]


def _skip_all(verdicts: list[Verdict], why: str) -> list[Verdict]:
    """Return the verdicts so far, with all remaining checks as skipped."""
    return [*_skip_rest(verdicts, why), skipped("strength", why)]
