"""The gallery of a page: adversarial examples, from the pictures in the folder of an evaluation."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from rampart.checksums import read_checked, require_unchanged
from rampart.counting import in_thousands
from rampart.files import checksum, read_bytes
from rampart.records.record import EvaluationRecord
from rampart.reports.page.content import Section, class_name
from rampart.reports.page.curves import spell_strength
from rampart.reports.percent import percent
from rampart.runs.evaluation_folder import EvaluationFolder
from rampart.units import format_eps

#: Most bytes of pictures in a page; in text they take a third more.
BUDGET = 1_200_000
#: Qualities at which pictures are compressed until they fit; None leaves them as they are.
_QUALITIES = (None, 92, 80, 60)
#: Shorter images are shown with visible pixels.
_SMALL = 100
_DO = "delete the folder, and make the report again"

Facts = Mapping[str, Any]


def gallery_section(folder: Path, record: EvaluationRecord) -> Section | None:
    """Return the gallery of an evaluation; None if its folder has none for this record.

    Raises:
        RunError: a picture is damaged or was changed.
    """
    place = EvaluationFolder(folder)
    listing = place.gallery / "gallery.json"
    if not listing.is_file():
        return None
    content = read_checked(listing, _DO)
    if content.get("samples_sha256") != checksum(place.samples):
        return None
    require_unchanged(place.gallery, _DO)
    entries = content["examples"]
    pictures, compressed = _embedded(place.gallery, entries)
    examples = [
        {**_words(one, record), "pictures": own}
        for one, own in zip(entries, pictures, strict=False)
    ]
    values = {
        "examples": examples,
        "left_out": len(entries) - len(examples),
        "compressed": compressed,
        "cost": _cost(content),
    }
    return Section("gallery", "Adversarial examples", "gallery", values)


def _words(one: Facts, record: EvaluationRecord) -> dict[str, Any]:
    """Return the facts of an example as the page spells them."""
    distance = one["distance"]
    near = f", the nearest one at distance {format_eps(distance, record.eps)}" if distance else ""
    return {
        "id": one["id"],
        "label": class_name(record, one["label"]),
        "prediction": _answer(record, one["prediction"], one["confidence"]),
        "wrong": _answer(record, one["adversarial_prediction"], one["adversarial_confidence"]),
        "strength": spell_strength(one["critical_eps"], record.norm, record.eps),
        "near": near,
        "magnified": f"{one['magnified']:g}",
        "small": one["side"] < _SMALL,
    }


def _answer(record: EvaluationRecord, label: int, confidence: float | None) -> tuple[str, str]:
    """Return a predicted class and its probability in words."""
    if confidence is None:
        return "no finite logits", ""
    return class_name(record, label), percent(confidence)


def _cost(content: Facts) -> str:
    passes = content["forwards"] + content["backwards"]
    if not passes:
        return "They come from the evaluation itself, so no attack ran for them."
    spent = f"{in_thousands(passes)} passes and {content['seconds']:.0f} s"
    return f"They were attacked once more after the evaluation, which took {spent}."


def _embedded(folder: Path, entries: Sequence[Facts]) -> tuple[list[dict[str, str]], bool]:
    """Return the pictures as text for the page, and whether they had to be compressed for it."""
    files = [{kind: folder / name for kind, name in one["files"].items()} for one in entries]
    for quality in _QUALITIES:
        packed = [{kind: _packed(file, quality) for kind, file in one.items()} for one in files]
        if _size(packed) <= BUDGET:
            break
    while packed and _size(packed) > BUDGET:
        packed.pop()
    texts = [
        {
            kind: f"data:image/{form};base64,{base64.b64encode(content).decode()}"
            for kind, (form, content) in one.items()
        }
        for one in packed
    ]
    return texts, quality is not None


def _size(packed: Sequence[Mapping[str, tuple[str, bytes]]]) -> int:
    return sum(len(content) for one in packed for _, content in one.values())


def _packed(file: Path, quality: int | None) -> tuple[str, bytes]:
    if quality is None:
        return "png", read_bytes(file)
    with Image.open(file) as picture:
        text = io.BytesIO()
        picture.save(text, "JPEG", quality=quality, subsampling=0)
    return "jpeg", text.getvalue()
