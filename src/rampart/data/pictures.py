"""A picture as viewers show it: upright, and transparent parts on white."""

import hashlib
import io
from dataclasses import dataclass

from PIL import Image
from PIL.ExifTags import Base

_TURN = Image.Transpose
#: EXIF orientation to the operation that turns the picture upright (EXIF 2.3, tag 274).
UPRIGHT = {
    2: _TURN.FLIP_LEFT_RIGHT,
    3: _TURN.ROTATE_180,
    4: _TURN.FLIP_TOP_BOTTOM,
    5: _TURN.TRANSPOSE,
    6: _TURN.ROTATE_270,
    7: _TURN.TRANSVERSE,
    8: _TURN.ROTATE_90,
}
#: Modes of PIL without color.
GRAY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F")
#: Marks of EXIF or XMP in a PNG, which may stand behind the pixels.
_EXIF_IN_PNG = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about one image, from its file.

    Attributes:
        digest: equal images have equal digests: of the file, or of the pixels without a file.
        turned: EXIF says that the stored pixels are turned or mirrored.
        transparent: the picture has an alpha channel or a transparent color.
        colored: the picture is stored in color.
        size: of the file in bytes; 0 without a file.
    """

    digest: bytes
    turned: bool = False
    transparent: bool = False
    colored: bool = False
    size: int = 0


def upright(picture: Image.Image) -> Image.Image:
    """Return a picture turned as its EXIF orientation says."""
    # A TIFF is turned by PIL as it is loaded, and its orientation is then gone.
    picture.load()
    turn = turn_of(picture)
    return picture if turn is None else picture.transpose(turn)


def on_white(picture: Image.Image) -> Image.Image:
    """Return a picture without transparency: transparent parts are blended with white."""
    if not picture.has_transparency_data:
        return picture
    layer = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def facts_of_file(data: bytes) -> Facts:
    """Return the facts about an encoded image from its header; check its sums, if it has any.

    Raises:
        OSError, SyntaxError, ValueError, EOFError: as PIL, for a file that is not an image.
    """
    with Image.open(io.BytesIO(data)) as picture:
        # To look for EXIF, PIL decodes a whole PNG.
        bare = picture.format == "PNG" and not any(mark in data for mark in _EXIF_IN_PNG)
        facts = Facts(
            digest_of_bytes(data),
            not bare and turn_of(picture) is not None,
            picture.has_transparency_data,
            picture.mode not in GRAY,
            len(data),
        )
        picture.verify()
    return facts


def facts_of_picture(picture: Image.Image) -> Facts:
    """Return the facts about a picture in memory."""
    header = f"{picture.mode} {picture.size}".encode()
    return Facts(
        digest_of_bytes(header + picture.tobytes()),
        turn_of(picture) is not None,
        picture.has_transparency_data,
        picture.mode not in GRAY,
    )


def digest_of_bytes(data: bytes) -> bytes:
    """Return a digest of 16 bytes, long enough that different images never share one."""
    return hashlib.blake2b(data, digest_size=16).digest()


def turn_of(picture: Image.Image) -> Image.Transpose | None:
    """Return the operation that turns a picture upright; None if it is upright."""
    try:
        return UPRIGHT.get(picture.getexif().get(Base.Orientation, 1))
    except Exception:
        # EXIF may be damaged in many ways; viewers then show the picture as it is stored.
        return None
