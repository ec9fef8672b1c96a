"""Fractions as percent, the same in every report."""


def number(fraction: float) -> str:
    """Return a fraction in percent without the sign, such as "12.5"."""
    return f"{100 * fraction:.1f}"


def percent(fraction: float, digits: int = 1) -> str:
    """Return a fraction in percent, such as "12.5 %"."""
    return f"{100 * fraction:.{digits}f} %"
