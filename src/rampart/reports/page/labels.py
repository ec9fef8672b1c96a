"""The page of a check of labels: pictures of the images whose labels are likely wrong."""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from PIL import Image

from rampart.reports.labels import label_lines
from rampart.reports.page.content import Page, Section
from rampart.reports.percent import percent

#: Most bytes of pictures in a page; in text they take a third more.
BUDGET = 1_200_000
#: Most pictures of a page.
MOST = 200
#: Smaller pictures are stored exactly and shown with visible pixels.
_SMALL = 64


def label_page(
    summary: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    pictures: Iterable[Image.Image],
) -> Page:
    """Return the page of a check of labels.

    Args:
        summary: of `LabelCheck`.
        rows: of `LabelCheck`, the likeliest wrong label first.
        pictures: of the images in `rows`, made as they are needed.
    """
    lead, *others = label_lines(summary)
    shown = _shown(rows, pictures)
    values = {"examples": shown, "left_out": len(rows) - len(shown), "lines": others}
    tiles = (
        (f"{summary['suspects']:,}", "likely wrong labels", f"of {summary['images']:,} images"),
        (percent(summary["agreement"]), "of the labels predicted", "by held-out linear heads"),
    )
    section = Section("labels", "Likely wrong labels", "labels", values)
    return Page("check of labels", "Check of labels", lead, tiles, (section,))


def _shown(
    rows: Sequence[Mapping[str, Any]], pictures: Iterable[Image.Image]
) -> list[dict[str, Any]]:
    shown, size = [], 0
    for row, picture in zip(rows[:MOST], pictures, strict=False):
        small = max(picture.size) <= _SMALL
        form, content = _packed(picture, small)
        size += len(content)
        if size > BUDGET:
            break
        text = f"data:image/{form};base64,{base64.b64encode(content).decode()}"
        chances = {name: percent(row[name]) for name in ("probability", "probability_of_likelier")}
        shown.append({**row, **chances, "picture": text, "small": small})
    return shown


def _packed(picture: Image.Image, small: bool) -> tuple[str, bytes]:
    content = io.BytesIO()
    if small:
        picture.save(content, "PNG", optimize=True)
        return "png", content.getvalue()
    picture.save(content, "JPEG", quality=85)
    return "jpeg", content.getvalue()
