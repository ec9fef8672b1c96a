"""The images and the expected robustness of an evaluation as a headline shows them."""

from collections.abc import Mapping
from typing import Any

from rampart.counting import counted
from rampart.reports.percent import number, percent
from rampart.units import format_eps, is_corruption

#: Classes are unbalanced if the largest has so many times the images of the smallest.
UNBALANCED = 2


def spell_expected(facts: Mapping[str, Any]) -> str:
    """Return "expected 40.0 % [38.1, 41.9]", with bounds where they reach beyond the interval.

    With `evaluation.until` it says how many images the precision took: "(until 2 %: 640 of 2000
    images)", or that they did not suffice.

    The interval covers the choice of images only. The bounds cover the shape of the curve between
    the strengths of the grid, where accuracy may fall at once or at the end.

    Args:
        facts: a summary (`rampart.records.summary`).
    """
    low, high, bounds = facts["expected_low"], facts["expected_high"], facts["expected_bounds"]
    text = f"expected {number(facts['expected'])} % [{number(low)}, {number(high)}]"
    text += _spell_until(facts.get("until"))
    if low <= bounds["low"] and bounds["high"] <= high:
        return text
    ends = f"{number(bounds['low'])} to {number(bounds['high'])} %"
    return f"{text}, bounds {ends}"


def _spell_until(until: Any) -> str:
    if not isinstance(until, Mapping):
        return ""
    images, available = until["images"], counted(until["available"], "image")
    wanted = f"until {100 * until['precision']:.3g} %"
    if until["reached"]:
        return f" ({wanted}: {images} of {available})"
    return f" ({wanted}: not reached with all {available})"


def spell_balanced(facts: Mapping[str, Any]) -> str:
    """Return the figures as means over the classes, if the sizes of the classes differ much.

    "over the classes, of 5 to 100 images: clean 80.0 %, at 4/255 30.2 %, expected 51.3 %". It is ""
    if the largest class has less than twice the images of the smallest.

    Args:
        facts: a summary (`rampart.records.summary`).
    """
    sizes, balanced = facts.get("images_per_class"), facts.get("balanced")
    if not sizes or not balanced or sizes["most"] < UNBALANCED * sizes["least"]:
        return ""
    at = "severity" if is_corruption(facts["norm"]) else "at"
    return (
        f"over the classes, of {sizes['least']} to {counted(sizes['most'], 'image')}: clean "
        f"{percent(balanced['clean'])}, {at} {format_eps(facts['eps'])} "
        f"{percent(balanced['adversarial'])}, expected {percent(balanced['expected'])}"
    )


def spell_images(facts: Mapping[str, Any]) -> str:
    """Return "200 images", and "200 images (12 are copies of others)" where that is so.

    Args:
        facts: a summary (`rampart.records.summary`).
    """
    data, images = facts.get("data"), counted(facts["n"], "image")
    copies = data.get("copies") if isinstance(data, Mapping) else None
    if not copies:
        return images
    those = "1 is a copy of another" if copies == 1 else f"{copies} are copies of others"
    return f"{images} ({those})"
