import pytest
import torch
from torch import nn

from rampart.errors import ModelError
from rampart.models.external.fingerprints import weights_fingerprint
from rampart.models.external.loaded import callable_model

SIZE = (3, 8, 8)


def channels(images):
    return images.mean((2, 3))


def test_the_fingerprint_depends_on_the_weights(network):
    first = callable_model(network).fingerprint
    assert callable_model(network, input_size=SIZE).fingerprint == first
    with torch.no_grad():
        network[0].bias[0] += 1e-6
    assert callable_model(network).fingerprint != first
    assert weights_fingerprint(network) != weights_fingerprint(network.bfloat16())
    assert callable_model(channels).fingerprint == callable_model(channels).fingerprint
    assert callable_model(channels).fingerprint != callable_model(lambda x: x).fingerprint
    assert callable_model(torch.relu).fingerprint is None


def test_a_scalar_among_the_weights_is_hashed(network):
    network.register_buffer("count", torch.tensor(3))
    before = weights_fingerprint(network)
    network.count += 1
    assert weights_fingerprint(network) != before


def test_weights_on_the_device_meta_have_no_values():
    with pytest.raises(ModelError, match="'meta'.*to_empty"):
        weights_fingerprint(nn.Linear(3, 2, device="meta"))


def test_lazy_layers_have_no_fingerprint_yet():
    with pytest.raises(ModelError, match="lazy layers"):
        weights_fingerprint(nn.Sequential(nn.Flatten(), nn.LazyLinear(3)))
