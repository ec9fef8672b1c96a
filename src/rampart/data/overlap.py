"""Whether images may be copies of files of other data, without reading most of these files."""

from collections.abc import Mapping, Sequence

from rampart.data.decode import Decoded, ImageFile, each
from rampart.data.pictures import digest_of_bytes
from rampart.data.splits import Split


def may_overlap(images: Split, others: Mapping[str, Split]) -> bool | None:
    """Return whether a file of other data equals one of the images, byte for byte.

    Only files of the same size are read.

    Args:
        images: with facts.
        others: splits as a reader returns them, by name.

    Returns:
        None if one of the two does not consist of files.
    """
    facts = images.facts or ()
    files = [file for split in others.values() for file in _files(split)]
    if not (facts and all(one.size for one in facts)):
        return None
    if not files or len(files) < sum(map(len, others.values())):
        return None
    sizes, digests = {one.size for one in facts}, {one.digest for one in facts}
    return not digests.isdisjoint(_digests([file for file in files if _size(file) in sizes]))


def pairs_of_copies(images: Split, others: Split) -> list[tuple[str, str]]:
    """Return ids (other, image) for each image that is a copy of one of others; both with facts."""
    known = {one.digest: name for one, name in zip(others.facts or (), others.ids, strict=True)}
    pairs = zip(images.facts or (), images.ids, strict=True)
    return [(known[one.digest], name) for one, name in pairs if one.digest in known]


def _files(split: Split) -> list[ImageFile]:
    pixels = split.pixels
    if not isinstance(pixels, Decoded):
        return []
    return [file for file in pixels.files if isinstance(file, ImageFile)]


def _size(file: ImageFile) -> int:
    return file.path.stat().st_size - file.offset if file.size < 0 else file.size


def _digests(files: Sequence[ImageFile]) -> list[bytes]:
    return each(lambda file: digest_of_bytes(file.read()), files, "comparing images")
