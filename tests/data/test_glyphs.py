import numpy as np
import pytest
import torch

from rampart.data.glyphs import FULL_FACES, GLYPHS, LATIN_FACES, blur_half, glyphs
from rampart.runtime import Noise


@pytest.fixture(scope="module")
def splits():
    return glyphs()


def test_classes():
    assert len(GLYPHS) == len(set(GLYPHS)) == 149
    assert not any(glyph.isdecimal() for glyph in GLYPHS)
    assert len(FULL_FACES + LATIN_FACES) == 21


def test_sizes(splits):
    for split, count in ((splits.train, 70), (splits.validation, 5), (splits.test, 5)):
        assert np.bincount(split.labels).tolist() == [count] * 149
    assert splits.image_shape == (1, 16, 16)


def test_no_image_is_blank_and_classes_differ(splits):
    images = splits.train.pixels.images.float()
    assert images.flatten(1).amax(1).min() > 40
    means = images.view(149, 70, -1).mean(1)
    assert torch.pdist(means).min() > 50


def test_the_data_depend_on_the_seed_alone(splits):
    assert torch.equal(glyphs().train.pixels.images, splits.train.pixels.images)
    assert not torch.equal(glyphs(1).test.pixels.images, splits.test.pixels.images)


def test_half_of_the_images_are_blurred():
    images = torch.rand(400, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    blurred = blur_half(images, Noise.like(images))
    changed = (blurred != images).flatten(1).any(1)
    assert changed.float().mean().item() == pytest.approx(0.5, abs=0.08)
    assert blurred[changed].std() < images[changed].std() * 0.6
