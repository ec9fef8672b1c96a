"""Images that occur more than once."""

import hashlib
from collections.abc import Mapping

from rampart.data.splits import InMemory, Split


def repeated_images(parts: Mapping[str, Split]) -> list[tuple[str, str]]:
    """Return pairs of ids of images with equal pixels in two splits.

    Only images in memory are compared, because the others would have to be decoded.
    """
    seen: dict[bytes, tuple[str, str]] = {}
    pairs = []
    for name, split in parts.items():
        if not isinstance(split.pixels, InMemory):
            continue
        for identity, image in zip(split.ids, split.pixels.images, strict=True):
            digest = hashlib.blake2b(image.contiguous().numpy(), digest_size=16).digest()
            first, where = seen.setdefault(digest, (identity, name))
            if where != name:
                pairs.append((first, identity))
    return pairs
