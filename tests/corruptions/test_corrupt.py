"""The fifteen corruptions against the functions that made ImageNet-C.

`imagenet_c.npz` holds what those functions (hendrycks/robustness, with the one-pixel motion blur of
the package imagecorruptions in place of ImageMagick's) return for `picture` under the same draws.
"""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rampart.corruptions import frost_photos
from rampart.corruptions.corrupt import KERNELS, corrupt
from rampart.corruptions.parameters import PARAMETERS, SIDES
from rampart.errors import InvalidArgument, MissingExtra
from rampart.units import CORRUPTIONS, SEVERITIES

#: Every so many pixels of a corrupted image are recorded.
STRIDES = {32: 1, 64: 4, 224: 28}


def picture(side):
    draws = np.random.default_rng(7)
    blocks, grain = draws.integers(0, 240, (8, 8, 3)), draws.integers(0, 16, (side, side, 3))
    return (np.kron(blocks, np.ones((side // 8, side // 8, 1), np.int64)) + grain).astype(np.uint8)


def photo(number):
    """Stripes in place of the photo of frost with this number."""
    axes = (np.arange(300 + 10 * number), np.arange(400), np.arange(3))
    row, column, channel = np.meshgrid(*axes, indexing="ij")
    return ((row * (number + 1) + column * (channel + 2)) // 2 % 256).astype(np.uint8)


@pytest.fixture(autouse=True)
def photos(tmp_path, monkeypatch):
    for number, name in enumerate(frost_photos.PHOTOS):
        Image.fromarray(photo(number)).save(tmp_path / name, "PNG")
    monkeypatch.setattr(frost_photos, "require_photos", lambda: tmp_path)
    frost_photos.frost_photo.cache_clear()
    yield
    frost_photos.frost_photo.cache_clear()


@pytest.fixture(scope="module")
def recorded():
    with np.load(Path(__file__).with_name("imagenet_c.npz")) as file:
        return dict(file)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_every_kind_is_that_of_imagenet_c(kind, recorded):
    cases = [name.split("/") for name in recorded if name.startswith(f"{kind}/")]
    assert {int(side) for _, side, _ in cases} == set(SIDES)
    for _, side, severity in cases:
        found = corrupt(picture(int(side)), kind, int(severity), np.random.default_rng(3))
        stride = STRIDES[int(side)]
        expected = recorded[f"{kind}/{side}/{severity}"].astype(int)
        differ = np.abs(found[::stride, ::stride] - expected)
        # Where a value lies on a whole gray level, rounding decides.
        assert differ.max() <= 1
        assert (differ > 0).mean() < 0.1


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_the_draws_decide_the_result(kind):
    image = picture(32)
    first, again, other = (corrupt(image, kind, 3, np.random.default_rng(n)) for n in (0, 0, 1))
    assert (first == again).all()
    drawn = kind not in (
        *("defocus-blur", "zoom-blur", "brightness", "contrast"),
        *("pixelate", "jpeg-compression"),
    )
    assert (first != other).any() == drawn
    assert (image == picture(32)).all()


def test_every_kind_has_parameters_for_every_size():
    assert tuple(PARAMETERS) == tuple(KERNELS) == CORRUPTIONS
    for sides in PARAMETERS.values():
        assert set(sides) == set(SIDES)
        assert {len(parameters) for parameters in sides.values()} == {len(SEVERITIES)}


@pytest.mark.parametrize("severity", [0, 6, 2.5])
def test_other_severities_are_refused(severity):
    with pytest.raises(InvalidArgument, match="severity"):
        corrupt(picture(32), "fog", severity, np.random.default_rng(0))


def test_other_sizes_are_refused():
    with pytest.raises(InvalidArgument, match="threats"):
        corrupt(picture(48), "fog", 1, np.random.default_rng(0))


def test_frost_without_its_photos_names_the_extra(monkeypatch):
    monkeypatch.undo()
    frost_photos.frost_photo.cache_clear()
    monkeypatch.setattr(frost_photos, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"\[corruptions\]"):
        corrupt(picture(32), "frost", 1, np.random.default_rng(0))
