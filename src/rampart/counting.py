"""Counts in messages: "1 image", "2 images"."""


def counted(number: float, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is 1.

    Example:
        >>> counted(1, "pass"), counted(2, "pass"), counted(0.5, "epoch")
        ('1 pass', '2 passes', '0.5 epochs')
    """
    ending = "es" if noun.endswith("s") else "s"
    shown = f"{number:.10g}" if isinstance(number, float) else str(number)
    return f"{shown} {noun}" if number == 1 else f"{shown} {noun}{ending}"
