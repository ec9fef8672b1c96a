"""Looking into the images of a split before they are used."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from rampart.counting import counted
from rampart.data.decode import each
from rampart.data.pictures import Facts
from rampart.data.splits import Split


def with_facts(split: Split) -> Split:
    """Return the split with the facts about its images, if its reader can look into them.

    Raises:
        DataError: an image is unreadable.
    """
    facts: Callable[[int], Facts] | None = getattr(split.pixels, "facts", None)
    if split.facts is not None or facts is None:
        return split
    return replace(split, facts=each(facts, range(len(split)), "looking into images"))


def note_changes(parts: Mapping[str, Split]) -> list[str]:
    """Return notes that count the images of which decoding changes more than the size."""
    facts = [one for split in parts.values() for one in split.facts or ()]

    def count(holds: Callable[[Facts], bool]) -> str:
        number = sum(map(holds, facts))
        return f"{number} of {counted(len(facts), 'image')}" if number else ""

    channels = next(iter(parts.values())).image_shape[0]
    notes = []
    if turned := count(lambda one: one.turned):
        notes.append(f"turned upright, as the EXIF orientation says: {turned}.")
    if transparent := count(lambda one: one.transparent):
        notes.append(f"blended with white, because parts are transparent: {transparent}.")
    if channels == 1 and (colored := count(lambda one: one.colored)):
        notes.append(f"turned gray, because the model has one channel: {colored}.")
    return notes
