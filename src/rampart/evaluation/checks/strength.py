"""Check of the strength: whether it can matter for the model, and whether it is usual."""

from rampart.evaluation.checks.checked_model import CheckedModel
from rampart.evaluation.checks.gradients import Ring
from rampart.evaluation.checks.verdict import Verdict, passed, skipped
from rampart.strengths import describe_usual, usual_strengths
from rampart.units import format_eps

#: Smallest rise of a margin, as a fraction of its size, that counts as an effect of the strength.
MATTERS = 0.1


def check_strength(subject: CheckedModel, outer: Ring | None) -> Verdict:
    """Check whether an attack within eps changes any margin, and whether eps is usual.

    Args:
        subject: the model, with norm and eps of the evaluation.
        outer: the measurements at eps; None if there are none.
    """
    if not subject.eps:
        return skipped("strength", "the evaluation perturbs nothing.")
    shape = tuple(subject.images.shape[1:])
    eps, usual = format_eps(subject.eps), usual_strengths(subject.norm, shape)
    known = describe_usual(subject.norm, shape)
    moved = None if outer is None else float(outer.moved.amax())
    if moved is not None and moved < MATTERS:
        return Verdict(
            "strength",
            "warn",
            moved,
            MATTERS,
            f"within {subject.norm} {eps} neither random directions nor gradient steps raise any "
            f"margin by more than {100 * max(moved, 0.0):.2g} % of its size, so every image is "
            f"robust whatever the model is; choose a larger eps ({known}).",
        )
    if not usual.low <= subject.eps * (1 + 1e-9) <= usual.high * (1 + 2e-9):
        low = subject.eps < usual.low
        return Verdict(
            "strength",
            "warn",
            subject.eps,
            usual.low if low else usual.high,
            f"{subject.norm} {eps} is unusually {'weak' if low else 'strong'} ({known}), so the "
            "figures cannot be compared with published ones; check norm and eps.",
        )
    return passed("strength", moved, MATTERS, "the strength matters and is usual.")
