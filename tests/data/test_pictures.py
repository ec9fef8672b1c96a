import io
import re

import numpy as np
import pytest
from PIL import Image

from rampart.data.datasets import load_splits
from rampart.data.decode import Decode
from rampart.data.pictures import UPRIGHT, facts_of_file, facts_of_picture, on_white, upright

#: Gray levels that differ in every corner, far enough apart to survive JPEG.
STORED = np.kron(np.array([[0, 80], [160, 250]], dtype=np.uint8), np.ones((16, 24), dtype=np.uint8))
#: The same picture as EXIF 2.3 (tag 274) places row 0 and column 0 of the stored pixels.
SHOWN = {
    1: STORED,
    2: STORED[:, ::-1],
    3: STORED[::-1, ::-1],
    4: STORED[::-1],
    5: STORED.T,
    6: STORED[::-1].T,
    7: STORED[::-1, ::-1].T,
    8: STORED.T[::-1],
}


def encode(picture, form, **options):
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def exif(orientation):
    tags = Image.Exif()
    tags[274] = orientation
    return tags


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", SHOWN)
def test_pictures_are_turned_upright(form, orientation):
    data = encode(Image.fromarray(STORED).convert("RGB"), form, exif=exif(orientation))
    with Image.open(io.BytesIO(data)) as picture:
        shown = np.asarray(upright(picture).convert("L")).astype(int)
    assert shown.shape == SHOWN[orientation].shape
    assert abs(shown - SHOWN[orientation]).max() < 30
    assert facts_of_file(data).turned is (orientation in UPRIGHT)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # by PIL, as it opens the file
@pytest.mark.parametrize("bad", [b"Exif\0\0nothing", b"Exif\0\0II*\0\xff\xff\xff\xff"])
def test_damaged_exif_does_not_hide_a_picture(bad):
    data = encode(Image.fromarray(STORED), "JPEG", exif=bad)
    with Image.open(io.BytesIO(data)) as picture:
        assert upright(picture).size == (48, 32)
    assert not facts_of_file(data).turned


def transparent(mode):
    """Red where opaque; on the right hidden green under alpha 0."""
    pixels = np.zeros((4, 8, 4), dtype=np.uint8)
    pixels[:, :4], pixels[:, 4:] = (255, 0, 0, 255), (0, 255, 0, 0)
    if mode == "RGBA":
        return Image.fromarray(pixels)
    picture = Image.fromarray(pixels[..., :3])
    if mode == "P":
        picture = picture.quantize(2)
        picture.info["transparency"] = picture.getpixel((7, 0))
    else:
        picture.info["transparency"] = (0, 255, 0)
    return picture


@pytest.mark.parametrize("mode", ["RGBA", "P", "RGB"])
def test_white_shows_through_transparent_pixels(mode):
    picture = transparent(mode)
    red, white = on_white(picture).getpixel((0, 0)), on_white(picture).getpixel((7, 0))
    assert (red, white) == ((255, 0, 0), (255, 255, 255))
    data = encode(picture, "PNG", **{k: v for k, v in picture.info.items() if mode != "RGBA"})
    assert facts_of_file(data).transparent
    assert Decode(8, 1)(picture)[0, 0, -1] == 255


def test_half_transparent_pixels_are_blended():
    picture = Image.new("RGBA", (1, 1), (0, 100, 200, 51))
    assert on_white(picture).getpixel((0, 0)) == (204, 224, 244)  # 0.2 color + 0.8 * 255


def test_opaque_alpha_changes_nothing():
    pixels = np.random.default_rng(0).integers(0, 256, (9, 9, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    assert np.array_equal(np.asarray(on_white(Image.fromarray(pixels))), pixels[..., :3])


@pytest.mark.parametrize(("mode", "colored"), [("1", False), ("LA", False), ("CMYK", True)])
def test_gray_pictures_have_no_color(mode, colored):
    assert facts_of_picture(Image.new(mode, (2, 2))).colored is colored


def test_equal_pictures_share_a_digest():
    first, copy, other = (Image.new("L", (4, 2), value) for value in (3, 3, 4))
    digests = [facts_of_picture(one).digest for one in (first, copy, other)]
    assert digests[0] == digests[1] != digests[2]
    assert facts_of_picture(Image.new("L", (2, 4), 3)).digest != digests[0]


@pytest.mark.parametrize("cache", [True, False])
def test_changed_images_are_counted(make_folder, layout, cache):
    folder = make_folder(*layout("train", "val", "test"))
    Image.fromarray(STORED).save(folder / "train/cat/turned.jpg", exif=exif(6))
    transparent("RGBA").save(folder / "test/cat/clear.png")
    Image.fromarray(STORED).save(folder / "test/dog/gray.png")
    notes = load_splits(str(folder), image_size=8, in_chans=1, cache=cache).notes
    for words in ("upright.* 1 of 21 images", "transparent.* 1 of 21 images", "gray.* 19 of 21"):
        assert sum(re.search(words, note) is not None for note in notes) == 1
    assert len(notes) == 3
