"""Fractions as percent, the same in every report."""


def number(fraction: float) -> str:
    """Return a fraction in percent without the sign, such as "12.5"."""
    return f"{100 * fraction:.1f}"


def percent(fraction: float, digits: int = 1) -> str:
    """Return a fraction in percent, such as "12.5 %"."""
    return f"{100 * fraction:.{digits}f} %"


def signed(fraction: float) -> str:
    """Return a difference in points with its sign, such as "+1.5"."""
    # Adding 0.0 turns -0.0 into 0.0.
    return f"{round(100 * fraction, 1) + 0.0:+.1f}"
