"""Counts in messages: "1 image", "2 images"."""


def counted(number: int, noun: str) -> str:
    """Return a count with its noun, in the plural unless it is 1.

    Example:
        >>> counted(1, "pass"), counted(2, "pass"), counted(0, "image")
        ('1 pass', '2 passes', '0 images')
    """
    ending = "es" if noun.endswith("s") else "s"
    return f"{number} {noun}" if number == 1 else f"{number} {noun}{ending}"
