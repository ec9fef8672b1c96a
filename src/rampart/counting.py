"""Counts in messages: "1 image", "2 images", "41 k passes", "5 minutes"."""


def counted(number: float, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is 1.

    Example:
        >>> counted(1, "pass"), counted(2, "pass"), counted(0.5, "epoch")
        ('1 pass', '2 passes', '0.5 epochs')
    """
    ending = "es" if noun.endswith("s") else "s"
    shown = f"{number:.10g}" if isinstance(number, float) else str(number)
    return f"{shown} {noun}" if number == 1 else f"{shown} {noun}{ending}"


def in_thousands(number: float) -> str:
    """Return a number in thousands, and one below 1,000 as it is, so that none becomes 0.

    Example:
        >>> in_thousands(940), in_thousands(41_200)
        ('940', '41 k')
    """
    return f"{number / 1e3:,.0f} k" if number >= 1_000 else f"{number:,.0f}"


def in_millions(number: float) -> str:
    """Return a number in millions, and one below 1,000,000 as `in_thousands` does.

    Example:
        >>> in_millions(41_200), in_millions(3_210_000)
        ('41 k', '3.2 M')
    """
    return f"{number / 1e6:,.1f} M" if number >= 1_000_000 else in_thousands(number)


def spell_hours(hours: float) -> str:
    """Return a time in hours, or in minutes if it is shorter than an hour.

    Example:
        >>> spell_hours(12.34), spell_hours(0.5), spell_hours(0.001)
        ('about 12.3 hours', 'about 30 minutes', 'less than a minute')
    """
    if hours >= 1:
        return f"about {hours:,.1f} hours"
    if hours * 60 < 1:
        return "less than a minute"
    return f"about {counted(round(hours * 60), 'minute')}"


def spell_range(low: float, high: float) -> str:
    """Return a range of times in hours, or one time if both read the same.

    Example:
        >>> spell_range(0.2, 1.5), spell_range(0.001, 0.4), spell_range(0.2, 0.201)
        ('about 12 minutes to 1.5 hours', 'up to 24 minutes', 'about 12 minutes')
    """
    least, most = spell_hours(low), spell_hours(high)
    if least == most:
        return least
    end = most.removeprefix("about ")
    return f"{least} to {end}" if least.startswith("about ") else f"up to {end}"
