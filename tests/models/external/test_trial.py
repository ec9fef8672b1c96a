import pytest
import torch

from rampart.errors import ModelError
from rampart.models.external.trial import try_model

SIZE = (3, 8, 8)


def channels(images):
    return images.mean((2, 3))


def trial(model):
    return try_model(model, "mine", SIZE, torch.device("cpu"))


def test_a_model_may_divide_each_image_by_its_standard_deviation():
    def standardized(images):
        centered = images - images.mean((1, 2, 3), keepdim=True)
        return channels(centered / images.std((1, 2, 3), keepdim=True))

    assert trial(standardized) == (3, None)


def test_the_images_are_of_8_bits():
    def only_8_bits(images):
        assert (images.detach() * 255 % 1).sub(0.5).abs().min() > 0.499
        assert len(images.unique()) > 100
        return channels(images)

    assert trial(only_8_bits) == (3, None)


def test_a_model_in_numpy_is_accepted_without_gradients():
    classes, error = trial(lambda images: torch.from_numpy(images.numpy().mean((2, 3))))
    assert classes == 3
    assert "square" in str(error)


def test_logits_that_are_not_finite_are_refused_by_name():
    with pytest.raises(ModelError, match="'mine' returns no finite logits.*-1e4"):
        trial(lambda images: channels(images).log1p() - torch.inf)
