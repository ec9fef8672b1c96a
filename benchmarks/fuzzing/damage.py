"""Damage to the bytes of a file."""

from pathlib import Path
from random import Random


def damage(random: Random, file: Path) -> None:
    """Change the bytes of a file."""
    content = file.read_bytes()
    changed = damaged(random, content)
    while changed == content:
        changed = damaged(random, content)
    file.write_bytes(changed)


def damaged(random: Random, content: bytes) -> bytes:
    """Return content with a bit flipped, cut, or with bytes put in or doubled."""
    if not content:
        return b"\0"
    place = random.randrange(len(content))
    kind = random.choice(("flip", "flip", "cut", "insert", "zero", "double"))
    if kind == "flip":
        changed = bytearray(content)
        changed[place] ^= 1 << random.randrange(8)
        return bytes(changed)
    if kind == "cut":
        return content[:place]
    if kind == "insert":
        return content[:place] + random.randbytes(random.choice((1, 4, 100))) + content[place:]
    if kind == "zero":
        length = random.choice((1, 16, 512))
        return (
            content[:place]
            + bytes(len(content[place : place + length]))
            + content[place + length :]
        )
    return content[:place] + content
