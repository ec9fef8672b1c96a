"""PNGs with 16 bits per channel, compared with their values and with torchvision's reading."""

import io
import struct
import zlib
from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.io import decode_image

from rampart.data.decode import Decode, convert
from rampart.data.deep_png import has_16_bits, rescale
from rampart.data.pictures import facts_of_file

#: Number of channels to PNG's kind of color.
KINDS = {1: 0, 2: 4, 3: 2, 4: 6}


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(deep, **more):
    """Write a PNG with 16 bits per channel, whose rows have the filter Sub."""
    height, width, channels = deep.shape
    header = struct.pack(">IIBBBBB", width, height, 16, KINDS[channels], 0, 0, 0)
    rows = deep.astype(">u2").view(np.uint8).reshape(height, -1)
    rows[:, 2 * channels :] -= rows[:, : -2 * channels].copy()
    data = zlib.compress(b"".join(b"\1" + row.tobytes() for row in rows))
    parts = [(b"IHDR", header), *((kind.encode(), one) for kind, one in more.items())]
    parts += [(b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def deep_pixels(channels, seed=0):
    return np.random.default_rng(seed).integers(0, 65536, (6, 9, channels), dtype=np.uint16)


def in_color(content):
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(convert(picture, 3)).astype(int)


def test_every_value_becomes_its_nearest_one():
    values = np.arange(65536, dtype=np.uint16)
    exact = [round(Fraction(int(value), 257)) for value in values]
    assert np.array_equal(rescale(values), exact)


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_those_of_the_file(channels):
    deep = deep_pixels(channels)
    expected = np.rint(deep / 257).astype(int)
    assert np.array_equal(in_color(png(deep)), np.broadcast_to(expected, (6, 9, 3)))


@pytest.mark.parametrize("channels", [2, 4])
def test_transparent_parts_are_on_white(channels):
    deep = deep_pixels(channels)
    share = deep[..., -1:] / 65535
    expected = (deep[..., :-1] * share + 65535 * (1 - share)) / 257
    # Color and alpha are rounded, and then their product.
    assert abs(in_color(png(deep)) - expected).max() <= 1.5
    opaque = np.concatenate([deep[..., :-1], np.full((6, 9, 1), 65535, np.uint16)], axis=-1)
    assert np.array_equal(in_color(png(opaque)), in_color(png(deep[..., :-1])))


@pytest.mark.filterwarnings("ignore:The image decoding:DeprecationWarning")
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_another_reader_finds_the_same_values(channels):
    deep = deep_pixels(channels)
    data = torch.frombuffer(bytearray(png(deep)), dtype=torch.uint8)
    theirs = decode_image(data).permute(1, 2, 0)
    if theirs.dtype == torch.uint8:
        pytest.skip("this torchvision reads 8 bits")
    theirs = theirs.int().numpy()
    assert np.array_equal(theirs, deep)


def test_the_transparent_color_has_16_bits():
    deep = np.full((2, 9, 3), 40000, np.uint16)
    deep[0, 0] = 40001
    found = in_color(png(deep, tRNS=struct.pack(">HHH", 40001, 40001, 40001)))
    assert found[0, 0].tolist() == [255] * 3
    assert set(found[1].flatten()) == {156}
    gray = in_color(png(deep[..., :1], tRNS=struct.pack(">H", 40001)))
    assert np.array_equal(gray, found)


def test_a_turned_picture_is_upright():
    exif = Image.Exif()
    exif[274] = 3
    content = png(deep_pixels(3), eXIf=exif.tobytes()[6:])
    assert np.array_equal(in_color(content), in_color(png(deep_pixels(3)[::-1, ::-1])))


def test_a_gray_file_is_gray_and_a_decoded_one_is_read_too():
    content = png(deep_pixels(1))
    assert (facts_of_file(content).colored, facts_of_file(png(deep_pixels(3))).colored) == (0, 1)
    with Image.open(io.BytesIO(content)) as picture:
        picture.load()
        again = Decode(6, 1)(picture)
    with Image.open(io.BytesIO(content)) as picture:
        assert torch.equal(again, Decode(6, 1)(picture))


def test_other_pictures_are_left_alone():
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG")
    with Image.open(file) as picture:
        assert not has_16_bits(picture)
    assert not has_16_bits(Image.new("RGB", (4, 4)))
