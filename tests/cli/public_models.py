"""Public architectures with random weights; each function returns one, as `FILE.py:FUNCTION`.

Every network takes pixels in [0, 1]. Its head is scaled so that its predictions on `pictures`
differ: an untrained network would predict one class for all.
"""

import warnings

import numpy as np
import timm
import torch
import torchvision
from torch import nn

CLASSES, SIDE, IMAGES = 3, 32, 16
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)


def pictures(side=SIDE):
    """Return 8-bit images (16, 3, side, side), each with a color, a slope and noise of its own."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(-1, 1, side)
    slopes = rng.uniform(-60, 60, (2, IMAGES, 3, 1, 1))
    pixels = rng.uniform(60, 195, (IMAGES, 3, 1, 1)) + rng.normal(0, 20, (IMAGES, 3, side, side))
    pixels += slopes[0] * ramp[:, None] + slopes[1] * ramp
    return torch.from_numpy(pixels.round().clip(0, 255).astype(np.uint8))


class Normalized(nn.Module):
    """A network behind its normalization, written as in many repositories."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1))

    def forward(self, images):
        return self.network((images - self.mean) / self.std)


def with_seed(build):
    """Build a network with weights that are the same at every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build()


@torch.no_grad()
def spread(network, side=SIDE, mean=None, std=None):
    """Return the network in eval mode, its logits standardized over the pictures by its head."""
    images = pictures(side) / 255
    if mean is not None:
        images = (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    output = network.eval()(images)
    logits = getattr(output, "logits", output)
    heads = [m for m in network.modules() if isinstance(m, nn.Linear)]
    (*_, head) = (head for head in heads if head.out_features == CLASSES)
    scale = 1 / logits.std(0)
    head.bias.copy_((head.bias - logits.mean(0)) * scale)
    head.weight.mul_(scale[:, None])
    return network


def timm_network(name, **options):
    """Return a network of timm, which takes normalized images."""
    network = with_seed(lambda: timm.create_model(name, num_classes=CLASSES, **options))
    return spread(network, mean=MEAN, std=STD)


def efficientnet():
    return Normalized(timm_network("test_efficientnet"))


def mambaout():
    return Normalized(timm_network("test_mambaout"))


def nfnet():
    """It standardizes its weights in every forward."""
    return Normalized(timm_network("test_nfnet"))


def googlenet():
    """It returns a tuple with auxiliary logits in train mode, in which it is left."""
    options = {"num_classes": CLASSES, "aux_logits": True, "init_weights": False}
    return spread(with_seed(lambda: torchvision.models.googlenet(**options))).train()


def inception():
    """It returns a tuple with auxiliary logits in train mode, in which it is left."""
    options = {"num_classes": CLASSES, "aux_logits": True, "init_weights": False}
    return spread(with_seed(lambda: torchvision.models.inception_v3(**options)), 75).train()


def hugging_face():
    """It returns an object with `.logits`."""
    import transformers

    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=SIDE,
        patch_size=8,
        id2label=dict(enumerate("abc")),
        label2id={name: number for number, name in enumerate("abc")},
        initializer_range=0.3,
    )
    return spread(
        with_seed(lambda: transformers.ViTForImageClassification(config)), mean=MEAN, std=STD
    )


def hugging_face_behind_normalization():
    return Normalized(hugging_face())


def scripted():
    with warnings.catch_warnings():
        # torch.jit is deprecated, but many published models are scripted.
        warnings.simplefilter("ignore", FutureWarning)
        return torch.jit.script(small())


def small():
    """A small convolutional network with BatchNorm and dropout."""

    def build():
        body = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU())
        pool = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(0.3))
        return nn.Sequential(body, pool, nn.Linear(128, CLASSES))

    return spread(with_seed(build))


def mixed_modes():
    """Its BatchNorm is in eval mode and the rest in train mode, as while fine-tuning."""
    network = small().train()
    network[0][1].eval()
    return network


def spectral_norm():
    """A network whose spectral norm changes its own vectors in every forward of train mode."""
    network = small().train()
    with_seed(lambda: nn.utils.parametrizations.spectral_norm(network[0][0]))
    # The norm changes the logits.
    return spread(network).train()


def functional():
    """A function of images alone, whose weights are in a dictionary."""
    network = small()
    weights = {name: value.detach() for name, value in network.state_dict().items()}

    def logits(images):
        return torch.func.functional_call(network, weights, (images,))

    return logits


def ensemble():
    """The mean of two networks, as a lambda."""
    first, second = small(), mixed_modes().eval()
    return lambda images: (first(images) + second(images)) / 2


def adapted():
    """A network with LoRA adapters of peft."""
    import peft

    config = peft.LoraConfig(target_modules="2", r=2, init_lora_weights=False)
    return with_seed(lambda: peft.get_peft_model(small(), config)).train()


class InNumpy(nn.Module):
    """A linear classifier in numpy."""

    def __init__(self):
        super().__init__()
        network = spread(with_seed(lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE**2, 3))))
        self.weight, self.bias = (p.detach().numpy() for p in network[1].parameters())

    def forward(self, images):
        array = images.detach().numpy().reshape(len(images), -1)
        return torch.from_numpy(array @ self.weight.T + self.bias)


def in_numpy():
    return InNumpy()
