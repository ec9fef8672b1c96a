"""Advice on which of two models to choose, in one to three sentences."""

from collections.abc import Sequence

from rampart.metrics.crossing import Disagreement
from rampart.reports.grids import BY_LINES, undecided
from rampart.units import format_eps


def advice(
    found: Disagreement,
    names: tuple[str, str] = ("the first", "the second"),
    grid: Sequence[float] = (),
    norm: str = "linf",
    doubtful: tuple[bool, bool] | None = None,
) -> str:
    """Return which of the two models to choose; the text follows from the numbers alone.

    Args:
        found: the comparison of the two models.
        names: their names.
        grid: the strengths of both, for the advice on which to add.
        norm: norm of the strengths.
        doubtful: whether the difference in expected robustness, and that at eps_g, may be chance;
            by default if its interval contains 0.

    Example:
        >>> advice(disagreement([1, 2], [1, 2], [0.0, 0.25, 0.5]))
        'The first and the second are equal at every strength.'
    """
    if all(part.ahead == 0 for part in found.stretches):
        return f"{_capital(names[0])} and {names[1]} are equal at every strength."
    eps = format_eps(found.eps)
    # The figures of the model that the sentence names first come first.
    ahead = next((sign for sign in found.leaders if sign), 1)
    pairs = [pair if ahead > 0 else pair[::-1] for pair in (found.expected, found.worst)]
    figures = f"{_points(pairs[0])} expected, {_points(pairs[1])} at {eps}"
    doubt = _doubt(found, found.doubtful if doubtful is None else doubtful)
    text = f"{_claim(found, names)} ({figures}){_choice(found, names)}.{doubt}"
    if found.lead.verdict != "grid":
        return _capital(text)
    missing = f"The difference in expected robustness is {undecided(found.lead, grid, norm)}."
    return f"{_capital(BY_LINES)}, {text} {missing}"


def _claim(found: Disagreement, names: tuple[str, str]) -> str:
    """Which model leads in each of the two figures."""
    leaders = [
        f"{names[0] if sign > 0 else names[1]} leads" if sign else "neither leads"
        for sign in found.leaders
    ]
    eps = format_eps(found.eps)
    if leaders[0] == leaders[1]:
        return f"{leaders[0]} in expected robustness and in accuracy at {eps}"
    link = "but" if found.opposite else "and"
    return f"{leaders[0]} in expected robustness, {link} {leaders[1]} at {eps}"


def _choice(found: Disagreement, names: tuple[str, str]) -> str:
    """Which model to choose at weak and at strong perturbations, as far as the grid decides."""
    if not found.crossings:
        return ""
    if found.decided is None:
        ranges = [
            f"between {_eps(low, found)} and {_eps(high, found)}" for low, high in found.crossings
        ]
        return f"; the lead changes {', '.join(ranges[:-1])} and {ranges[-1]}"
    weak = next(part.ahead for part in found.stretches if part.ahead)
    near, far = names if weak > 0 else names[::-1]
    below, above = found.decided
    few = f"stay below {_eps(below, found)}" if below else "are absent"
    many = f"{'exceed' if above < found.eps else 'reach'} {_eps(above, found)}"
    return (
        f"; choose {near} if perturbations {few}, {far} if they {many}; in between the strengths "
        "of the grid do not decide"
    )


def _eps(eps: float, found: Disagreement) -> str:
    return format_eps(eps, found.eps)


def _doubt(found: Disagreement, doubtful: tuple[bool, bool]) -> str:
    figures = ("expected robustness", f"accuracy at {format_eps(found.eps)}")
    cases = zip(figures, found.leaders, doubtful, strict=True)
    names = [name for name, leader, doubted in cases if leader and doubted]
    return f" The difference in {' and in '.join(names)} may be chance." if names else ""


def _points(pair: tuple[float, float]) -> str:
    return f"{100 * pair[0]:.1f} against {100 * pair[1]:.1f} %"


def _capital(text: str) -> str:
    """Capitalize the start of a sentence, but not the name of a model."""
    return text[:1].upper() + text[1:] if text.startswith(("the ", "neither ", BY_LINES)) else text
