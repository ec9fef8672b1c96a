"""Counts in messages: "1 image", "2 images", "1,000 images"."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun, in the plural unless it is 1.

    Example:
        >>> counted(1, "pass", "passes"), counted(1200, "image")
        ('1 pass', '1,200 images')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
