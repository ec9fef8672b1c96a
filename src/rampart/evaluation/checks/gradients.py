"""Checks of a model's gradients: whether they exist, predict the margin, and help an attack."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from rampart.attacks.apgd import Apgd
from rampart.attacks.pgd import Pgd
from rampart.attacks.square import Square
from rampart.errors import ModelError
from rampart.evaluation.checks.checked_model import CheckedModel
from rampart.evaluation.checks.verdict import Verdict, passed, skipped
from rampart.input_gradients import finite, raw_input_gradient
from rampart.logits import is_correct
from rampart.losses import margin
from rampart.threat import per_sample, random_start

#: Largest fraction of samples that may have no gradient.
DEAD = 0.1
#: Agreement of the gradient with finite differences below which the check warns, and fails.
AGREEING, DISAGREEING = 0.75, 0.5
#: Radii at which they are compared, as multiples of eps, and number of directions at each.
RADII, DIRECTIONS = (1 / 8, 1 / 2, 1.0), 8
#: Largest fraction of samples on which random search may do better than the gradient.
BEATEN = 0.05
#: Smallest relevant advantage, as a fraction of the clean margin; less may be rounding.
AHEAD = 0.01
#: Steps of the gradient attack inside the ball and in the whole box, and queries of Square.
STEPS, FAR_STEPS, QUERIES = 10, 30, 100
#: Largest fraction of samples that may be robust to an unbounded attack.
SURVIVING = 0.05
#: Message on gradients with entries that are not finite; the percentage of the samples.
NOT_FINITE = (
    "the input gradient of {:.0f} % of the samples has entries that are not finite, and attacks "
    "count these as 0; keep sqrt, log, norms and divisions away from 0, as in sqrt(x + 1e-6)."
)
#: Smallest number of samples from which a fraction is computed.
LEAST = 4
#: Smallest change of a pixel whose effect exceeds the rounding of float32, about sixteen units in
#: the last place of a bright pixel.
FINEST = 2.0**-20


def check_gradients(subject: CheckedModel) -> Verdict:
    """Check the fraction of samples without an input gradient, at the image and in its ball.

    After Carlini et al. 2019 (arXiv 1902.06705), section 4. The losses are the DLR, and the
    cross-entropy, whose gradient is zero if the softmax is rounded to 1. Samples for which the
    random point is already misclassified need no gradient and do not count.

    Attacks count entries that are not finite as 0, so these are reported.
    """
    try:
        looks = {loss: _look_at_gradients(subject, loss) for loss in ("dlr", "ce")}
    except ModelError as error:
        message = f"gradient attacks cannot run: {error}"
        return Verdict("gradients", "fail", 1.0, DEAD, message)
    dead = {loss: without for loss, (without, _) in looks.items()}
    broken = max(share for _, share in looks.values())
    if dead["dlr"] > DEAD:
        return Verdict(
            "gradients",
            "fail",
            dead["dlr"],
            DEAD,
            f"{100 * dead['dlr']:.0f} % of the samples have no gradient, so gradient attacks "
            "cannot change them; attack a differentiable version of the model"
            + (f". {NOT_FINITE.format(100 * broken)}" if broken else "."),
        )
    if broken:
        return Verdict("gradients", "warn", broken, 0.0, NOT_FINITE.format(100 * broken))
    if dead["ce"] > DEAD:
        return Verdict(
            "gradients",
            "warn",
            dead["ce"],
            DEAD,
            f"the cross-entropy of {100 * dead['ce']:.0f} % of the samples is rounded to 0 and has "
            "no gradient, so attacks on it find nothing; use an attack suite with the DLR, or "
            "scale the logits down.",
        )
    return passed("gradients", max(dead.values()), DEAD, "every loss has a gradient.")


def _look_at_gradients(subject: CheckedModel, loss: str) -> tuple[float, float]:
    """Return the fractions of samples without a gradient, and with entries that are not finite."""
    problem = subject.problem(loss)
    without, broken = [0.0], []
    for points in (
        subject.images,
        random_start(problem.images, problem.eps, problem.norm, problem.noise),
    ):
        leaf = points.detach().clone().requires_grad_()
        with torch.enable_grad():
            logits = problem.model(leaf)
            gradient = raw_input_gradient(problem.loss.value(logits, problem.targets), leaf)
        broken.append(float((~gradient.isfinite()).flatten(1).any(1).double().mean()))
        robust = ~problem.loss.is_adv(logits.detach(), problem.targets)
        steepness = finite(gradient).flatten(1).abs().amax(1)[robust]
        if len(steepness):
            gone = ~(steepness >= torch.finfo(torch.float32).tiny)
            without.append(float(gone.double().mean()))
    return max(without), max(broken)


@dataclass(frozen=True)
class Ring:
    """Measurements at one radius around the images.

    Attributes:
        agreement: (N,) cosine in [-1, 1] between the changes of the margin along random
            directions and those that the gradient at the image predicts.
        robust: (N,) bool: APGD finds no adversarial example within the radius.
        beaten: (N,) bool: robust, and a random point has a larger loss than APGD's.
        moved: (N,) largest rise of the margin, by APGD or at random, as a fraction of its size at
            the image; 1 brings the image to the decision boundary.
    """

    agreement: Tensor
    robust: Tensor
    beaten: Tensor
    moved: Tensor

    @classmethod
    def around(cls, subject: CheckedModel, factor: float) -> "Ring":
        """Measure random points and their mirror images, and attack."""
        problem, radius = subject.problem("margin"), subject.eps * factor
        clean = problem.query(subject.images)
        predicted, found, best = [], [], torch.full_like(subject.logits[:, 0], -torch.inf)
        for number in range(DIRECTIONS):
            noise = subject.noise.child("ring", repr(factor), number)
            up = random_start(subject.images, radius, subject.norm, noise)
            # Both are clipped to the box, so the prediction uses their actual difference.
            down = (2 * subject.images - up).clamp(0, 1)
            high, low = (margin(subject.ask(x), problem.targets) for x in (up, down))
            predicted.append((clean.gradient * (up - down)).flatten(1).sum(1))
            found.append(high - low)
            best = torch.maximum(best, torch.maximum(high, low))
        attack = Apgd(steps=STEPS, loss="margin", iterate="adversarial", norm=subject.norm)
        strengths = per_sample(radius, subject.images)
        points = attack(subject.model, subject.images, problem.targets, strengths, subject.noise)
        reached = margin(subject.ask(points), problem.targets)
        robust = reached <= 0
        agreement = _cosine(torch.stack(predicted, 1), torch.stack(found, 1))
        beaten = robust & (best > reached + AHEAD * clean.value.abs())
        size = clean.value.abs().clamp_min(torch.finfo(clean.value.dtype).tiny)
        moved = (torch.maximum(best, reached) - clean.value) / size
        return cls(agreement, robust, beaten, moved)


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    """Return the (N,) cosines of the rows; 1 if both rows are zero, 0 if one is."""
    lengths = a.double().norm(dim=1) * b.double().norm(dim=1)
    still = (a == 0).all(1) & (b == 0).all(1)
    cosine = (a.double() * b.double()).sum(1) / lengths.clamp_min(torch.finfo(torch.double).tiny)
    return torch.where(still, 1.0, cosine)


def is_rounded_away(subject: CheckedModel) -> bool:
    """Whether the smallest of `RADII`, spread over all pixels, is lost in their rounding."""
    pixels = subject.images[0].numel()
    spread = {"linf": 1.0, "l2": math.sqrt(pixels), "l1": float(pixels)}[subject.norm]
    return RADII[0] * subject.eps / spread < FINEST


def measure_rings(subject: CheckedModel) -> list[Ring]:
    """Return the measurements at each of `RADII`; the last one is eps."""
    return [Ring.around(subject, factor) for factor in RADII]


def check_masking(subject: CheckedModel, rings: list[Ring]) -> list[Verdict]:
    """Check whether gradients predict the margin, and whether they beat random search.

    Only samples that are robust to APGD can be overrated, so both checks use only these.
    """
    return [_check_slope(rings), _check_random_search(subject, rings)]


def _check_slope(rings: list[Ring]) -> Verdict:
    """Check the median agreement at the radius where it is lowest."""
    least = max(1, min(LEAST, len(rings[0].robust) // 8))
    medians = [
        float(ring.agreement[ring.robust].median())
        for ring in rings
        if int(ring.robust.sum()) >= least
    ]
    if not medians:
        return passed("slope", None, AGREEING, "too few samples are robust to gradient attacks.")
    worst = min(medians)
    if worst >= AGREEING:
        return passed("slope", worst, AGREEING, "gradients predict how the margin changes.")
    return Verdict(
        "slope",
        "warn" if worst >= DISAGREEING else "fail",
        worst,
        AGREEING if worst >= DISAGREEING else DISAGREEING,
        "gradients do not predict how the margin changes within the ball, so gradient attacks may "
        "overrate the model; use an attack suite with black-box attacks, and attack the model "
        "without the part that masks the gradients.",
    )


def _check_random_search(subject: CheckedModel, rings: list[Ring]) -> Verdict:
    """Check the fraction of samples on which random points or Square do better than APGD."""
    robust = rings[-1].robust
    if bool(robust.any()):
        part = subject.select(robust)
        attack = Square(queries=QUERIES, norm=subject.norm)
        strengths = per_sample(part.eps, part.images)
        points = attack(part.model, part.images, part.predictions, strengths, part.noise)
        is_adv = torch.zeros_like(robust)
        is_adv[robust] = ~is_correct(part.ask(points), part.predictions)
    else:
        is_adv = robust
    beaten = [*(ring.beaten for ring in rings[:-1]), rings[-1].beaten | is_adv]
    value = max(float(mask.double().mean()) for mask in beaten)
    if value <= BEATEN:
        return passed("masking", value, BEATEN, "gradient attacks do better than random search.")
    return Verdict(
        "masking",
        "fail",
        value,
        BEATEN,
        f"on {100 * value:.0f} % of the samples random points or Square do better than APGD, so "
        "gradients are masked and gradient attacks overrate the model; use an attack suite with "
        "black-box attacks, and attack the model without the part that masks the gradients.",
    )


def check_unbounded(subject: CheckedModel) -> Verdict:
    """Check whether an attack without a bound on the perturbation always succeeds.

    After Athalye et al. 2018 (arXiv 1802.00420), section 3.1. PGD starts at the image itself: a
    random point of the box is no longer an image and would be misclassified without a gradient.
    """
    part = subject.select(subject.right)
    if len(part) < LEAST:
        return skipped("unbounded", "too few samples are classified correctly.")
    robust = torch.ones_like(part.right)
    for loss in ("ce", "dlr"):
        if bool(robust.any()):
            rest = part.select(robust)
            attack = Pgd(steps=FAR_STEPS, loss=loss, start="none", iterate="adversarial")
            box = per_sample(1.0, rest.images)
            points = attack(rest.model, rest.images, rest.labels, box, rest.noise)
            robust[robust.clone()] = is_correct(rest.ask(points), rest.labels)
    value = float(robust.double().mean())
    if value <= SURVIVING:
        return passed("unbounded", value, SURVIVING, "an unbounded attack succeeds.")
    return Verdict(
        "unbounded",
        "fail",
        value,
        SURVIVING,
        f"{100 * value:.0f} % of the samples are robust to an attack without a bound, so gradients "
        "are masked and robust accuracy is overrated; attack the model without the part that "
        "masks the gradients.",
    )
