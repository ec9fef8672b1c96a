import io
import os
import struct
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import create_transform

from rampart.data import decode
from rampart.data.decode import Decode, Decoded, ImageFile, each, in_memory
from rampart.data.items import image_of
from rampart.data.splits import Split
from rampart.errors import DataError, InvalidArgument


def test_a_square_of_the_right_size_does_not_change():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    assert torch.equal(
        Decode(8)(Image.fromarray(pixels)), torch.from_numpy(pixels).permute(2, 0, 1)
    )


@pytest.mark.parametrize("size", [(30, 10), (10, 30)])
def test_the_center_is_kept(size):
    width, height = size
    pixels = np.zeros((height, width), dtype=np.uint8)
    pixels[height // 2 - 5 : height // 2 + 5, width // 2 - 5 : width // 2 + 5] = 255
    assert torch.equal(Decode(10, 1)(Image.fromarray(pixels)), torch.full((1, 10, 10), 255).byte())


@pytest.mark.parametrize("in_chans", [1, 3])
@pytest.mark.parametrize("side", [1, 23, 32])
@pytest.mark.parametrize(("resize", "crop_mode"), [("crop", "center"), ("squash", "squash")])
def test_pixels_equal_those_of_timm(side, in_chans, resize, crop_mode):
    """Odd sizes, in which a crop may begin between two pixels, small and long pictures."""
    rng = np.random.default_rng(0)
    sizes = [(47, 61), (61, 47), (101, 67), (64, 48), (48, 64), (33, 32), (23, 200), (9, 5)]
    sizes += rng.integers(20, 150, (20, 2)).tolist()
    timms = create_transform(
        (in_chans, side, side),
        interpolation="bicubic",
        crop_pct=1.0,
        crop_mode=crop_mode,
        mean=(0.2,) * in_chans,
        std=(0.3,) * in_chans,
    )
    for width, height in sizes:
        picture = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        ours = Decode(side, in_chans, resize)(picture).float() / 255
        expected = timms(picture.convert("L" if in_chans == 1 else "RGB"))
        assert torch.equal((ours - 0.2) / torch.tensor(0.3), expected), (width, height)


def test_squash_keeps_the_whole_picture():
    """The ends of a wide picture, which a crop would lose."""
    pixels = np.zeros((8, 64), dtype=np.uint8)
    pixels[:, :16] = pixels[:, -16:] = 255
    picture = Image.fromarray(pixels)
    assert Decode(8, 1)(picture).max() == 0
    squashed = Decode(8, 1, "squash")(picture)
    assert squashed[0, :, [0, 7]].min() > 200
    assert squashed[0, :, 3:5].max() < 30


def test_shrinking_averages():
    pixels = np.indices((64, 64)).sum(0).astype(np.uint8) % 2 * 255
    assert (Decode(8, 1)(Image.fromarray(pixels)).float() - 127.5).abs().max() < 8


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("in_chans", [1, 3])
def test_every_mode_is_converted(mode, in_chans):
    picture = Image.new("RGB", (12, 9), (255, 255, 255)).convert(mode)
    decoded = Decode(6, in_chans)(picture)
    assert decoded.dtype == torch.uint8
    assert torch.equal(decoded, torch.full((in_chans, 6, 6), 255).byte())


def write(tmp_path, **files):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    stored = [ImageFile(tmp_path / name) for name in files]
    return Decoded(stored, list(files), Decode(8))


def test_unreadable_images_are_named(tmp_path, encoded):
    pixels = write(tmp_path, good=encoded, text=b"no image", short=encoded[:200], empty=b"")
    assert pixels(0).shape == (3, 8, 8)
    for index, name in ((1, "text"), (2, "short"), (3, "empty")):
        with pytest.raises(DataError, match=f"image '{name}' cannot be read") as error:
            pixels(index)
        assert "\n" not in str(error.value)
    with pytest.raises(DataError, match="image 'text' cannot be read"):
        pixels.facts(1)


OTHER = {
    "empty": b"",
    "git lfs pull": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    "web page": b"\n<!DOCTYPE html><html></html>",
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
}


@pytest.mark.parametrize("says", OTHER)
def test_other_files_with_the_ending_of_an_image_are_recognized(tmp_path, says):
    pixels = write(tmp_path, photo=OTHER[says])
    for read in (pixels, pixels.facts):
        with pytest.raises(DataError, match=f"'photo' cannot be read .*{says}"):
            read(0)


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_images_with_more_than_8_bits_are_refused(tmp_path, kind):
    """Only PNG says which value is white."""
    Image.fromarray(np.full((8, 8), 40000, dtype=kind)).save(tmp_path / "deep.tif")
    pixels = Decoded([ImageFile(tmp_path / "deep.tif")], ["deep.tif"], Decode(8))
    with pytest.raises(DataError, match=r"deep.tif.*more than 8 bits"):
        pixels(0)


@pytest.mark.parametrize(
    "error", [RuntimeError("avif"), struct.error("short"), IndexError(), MemoryError(), KeyError(1)]
)
def test_any_error_of_a_decoder_gives_one_sentence(tmp_path, encoded, monkeypatch, error):
    def fail(*_):
        raise error

    pixels = write(tmp_path, photo=encoded)
    monkeypatch.setattr("PIL.JpegImagePlugin.JpegImageFile.load", fail)
    monkeypatch.setattr("PIL.JpegImagePlugin.JpegImageFile.verify", fail)
    for read in (pixels, pixels.facts):
        with pytest.raises(DataError, match=r"image 'photo' cannot be read \(.+\); repair it"):
            read(0)
    with Image.open(io.BytesIO(encoded)) as own, pytest.raises(DataError, match="image 3 cannot"):
        image_of(own, 3, Decode(8))


def outcome(pixels):
    """The sentence that refuses an image, or the shape of its pixels."""
    try:
        return str(tuple(pixels(0).shape))
    except DataError as error:
        return str(error)


FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "TGA", "ICO", "PPM", "JPEG2000")


@pytest.mark.parametrize("name", FORMATS)
def test_damage_of_every_format_is_refused_or_shows_pixels(tmp_path, name):
    Image.init()
    if name not in Image.SAVE:
        pytest.skip(f"PIL was built without {name}")
    rng, file = np.random.default_rng(0), io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(file, name)
    whole, refused = file.getvalue(), 0
    for number in range(30):
        damaged = bytearray(whole)
        for place in rng.integers(0, min(len(whole), 400), 3):
            damaged[place] = rng.integers(256)
        pixels = write(tmp_path, photo=bytes(damaged[: len(whole) - number % 3 * 100]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            refused += "image 'photo' cannot be read (" in outcome(pixels)
    assert refused


def test_a_picture_above_the_limit_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "MEGAPIXELS", 0.01)
    Image.new("L", (101, 100)).save(tmp_path / "large.png")
    Image.new("L", (100, 100)).save(tmp_path / "right.png")
    files = [ImageFile(tmp_path / name) for name in ("large.png", "right.png")]
    pixels = Decoded(files, ["large", "right"], Decode(8))
    pixels(1)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", None)
    with pytest.raises(DataError, match=r"'large'.*101 x 100 = .* megapixels.*make it smaller"):
        pixels(0)


def test_a_picture_so_long_that_resizing_would_fill_memory_is_refused():
    strip = Image.new("L", (1, 400_000))
    with pytest.raises(ValueError, match=r"224 x 89600000 .* data.resize=squash"):
        Decode(224)(strip)
    assert Decode(224, resize="squash")(strip).shape == (3, 224, 224)


def test_a_bomb_is_refused_in_the_same_words(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    Image.new("L", (100, 100)).save(tmp_path / "bomb.png")
    pixels = Decoded([ImageFile(tmp_path / "bomb.png")], ["bomb"], Decode(8))
    for read in (pixels, pixels.facts):
        with pytest.raises(DataError, match="'bomb' cannot .* 80 megapixels: make it smaller"):
            read(0)


def test_a_pipe_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "photo.png")
    pixels = Decoded([ImageFile(tmp_path / "photo.png")], ["photo.png"], Decode(8))
    for read in (pixels, pixels.facts):
        with pytest.raises(DataError, match="a pipe, a socket or a device"):
            read(0)


def test_in_memory_gives_the_same_split(tmp_path, encoded):
    files = {f"image{i}": encoded for i in range(5)}
    lazy = Split(list(files), np.array([0, 1, 0, 1, 0]), ["a", "b"], write(tmp_path, **files))
    eager = in_memory(lazy)
    assert (lazy.in_memory, eager.in_memory) == (False, True)
    assert in_memory(eager) is eager
    assert eager.subset([1, 2]).in_memory
    assert all(torch.equal(lazy[i][0], eager[i][0]) for i in range(5))


def test_each_keeps_the_order_and_the_first_error():
    assert each(lambda x: x * x, range(100)) == [x * x for x in range(100)]
    with pytest.raises(ZeroDivisionError):
        each(lambda x: 1 / x, range(100))


@pytest.mark.parametrize(
    "wrong",
    [{"image_size": 0}, {"image_size": 8, "in_chans": 2}, {"image_size": 8, "resize": "stretch"}],
)
def test_impossible_sizes(wrong):
    with pytest.raises(InvalidArgument):
        Decode(**wrong)
