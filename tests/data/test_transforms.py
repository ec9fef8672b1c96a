import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from rampart.data.transforms import Augment, gray, jitter, rotate
from rampart.errors import InvalidArgument
from rampart.runtime import Noise


def some_images(count=6, channels=3, height=9, width=12, seed=0):
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(seed))


def noise_of(count, seed=0):
    return Noise.of(seed, torch.arange(count), "augment")


@pytest.mark.parametrize("channels", [1, 3])
def test_each_image_is_augmented_independently(channels):
    images, noise = some_images(channels=channels), noise_of(6)
    together = Augment()(images, noise)
    for i in range(6):
        mask = torch.arange(6) == i
        alone = Augment()(images[mask], noise.select(mask))
        torch.testing.assert_close(alone, together[mask])
    assert not torch.equal(together, images)


@settings(max_examples=20, deadline=None)
@given(
    flip=st.floats(0, 1),
    amount=st.floats(0, 1),
    rotation=st.floats(0, 180),
    channels=st.sampled_from([1, 3]),
)
def test_the_result_stays_in_the_box(flip, amount, rotation, channels):
    images = some_images(channels=channels)
    result = Augment(flip, amount, rotation)(images, noise_of(6))
    assert result.shape == images.shape
    assert 0 <= result.min() <= result.max() <= 1


def test_none_does_not_change_images():
    images = some_images()
    assert torch.equal(Augment.none()(images, noise_of(6)), images)


def test_flip_has_its_probability():
    images = some_images(2000, 1, 1, 2)
    changed = Augment(0.3, 0, 0)(images, noise_of(2000)) != images
    assert changed.flatten(1).all(1).float().mean().item() == pytest.approx(0.3, abs=0.04)
    assert torch.equal(Augment(1, 0, 0)(images, noise_of(2000)), images.flip(-1))


def test_jitter_agrees_with_pil():
    pixels = (some_images(1) * 255).round().byte()
    picture = Image.fromarray(pixels[0].permute(1, 2, 0).numpy())
    enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for position, enhancer in enumerate(enhancers):
        for factor in (0.75, 1.2):
            factors = torch.ones(1, 3)
            factors[0, position] = factor
            ours = jitter(pixels / 255, factors)
            theirs = torch.tensor(list(enhancer(picture).enhance(factor).tobytes()))
            theirs = theirs.view(9, 12, 3).permute(2, 0, 1) / 255
            assert (ours[0] - theirs).abs().max() < 2.5 / 255, (enhancer, factor)


def test_gray_images_have_no_saturation():
    images = some_images(channels=1)
    factors = torch.tensor([[1.0, 1.0, 0.2]]).expand(6, 3)
    torch.testing.assert_close(jitter(images, factors), images)
    colors = jitter(some_images(), torch.tensor([[1.0, 1.0, 0.0]]).expand(6, 3))
    torch.testing.assert_close(colors, gray(some_images()).expand(-1, 3, -1, -1))


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_a_rotation_by_90_degrees_moves_pixels_exactly(quarter):
    images = some_images(height=9, width=9)
    turned = rotate(images, torch.full((6,), 90.0 * quarter))
    torch.testing.assert_close(turned, images.rot90(quarter, (-2, -1)), atol=1e-5, rtol=0)


def test_a_rotation_and_its_inverse_in_the_middle_of_a_wide_image():
    ramp = torch.linspace(0.2, 0.8, 40).expand(1, 1, 20, 40)
    back = rotate(rotate(ramp, torch.tensor([12.0])), torch.tensor([-12.0]))
    middle = (..., slice(7, 13), slice(15, 25))
    torch.testing.assert_close(back[middle], ramp[middle], atol=5e-3, rtol=0)


@pytest.mark.parametrize("wrong", [{"flip": 1.1}, {"jitter": -0.1}, {"rotation": 200}])
def test_impossible_amounts_are_refused(wrong):
    with pytest.raises(InvalidArgument, match=f"augment.{next(iter(wrong))}"):
        Augment(**wrong)
