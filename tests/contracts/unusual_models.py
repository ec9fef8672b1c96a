"""Small models that each do one thing that a model should not, beside a clean twin.

A class without arguments builds its model, so `FILE.py:CLASS` names it on the command line.
"""

from collections import OrderedDict

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

SIDE, CLASSES = 8, 3
#: Images that are so bright that some models fail on them; the last ones.
BRIGHT = 3


class Net(nn.Module):
    """A smooth network without a fault; the mean of each color decides most of its logits."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            body = nn.Linear(3 * SIDE**2, 12), nn.Tanh(), nn.Linear(12, CLASSES)
        color = torch.eye(CLASSES).repeat(4, 1)
        with torch.no_grad():
            body[0].weight += color.repeat_interleave(SIDE**2, 1) / 16
            body[2].weight += color.T
        self.net = nn.Sequential(nn.Flatten(), *body)

    def forward(self, images):
        return self.net(images - 0.5)


def is_bright(images):
    """Return (N, 1) bool; no image of the tests changes sides within the ball."""
    return images.detach().mean((1, 2, 3))[:, None] > 0.8


class WritesIntoInput(Net):
    def forward(self, images):
        return self.net(images.sub_(0.5))


class WritesThroughNumpy(Net):
    """Its array shares the memory of the images, past torch's count of changes."""

    def forward(self, images):
        images.detach().numpy()[:] -= 0.5
        return self.net(images)


class Standardizes(Net):
    """It divides by the deviation of each image, which is 0 for an image of one color."""

    def forward(self, images):
        mean, std = images.mean((1, 2, 3), True), images.std((1, 2, 3), keepdim=True)
        return super().forward((images - mean) / (4 * std) + 0.5)


class StandardizesSafely(Net):
    def forward(self, images):
        mean, std = images.mean((1, 2, 3), True), images.std((1, 2, 3), keepdim=True)
        return super().forward((images - mean) / (4 * std).clamp_min(1e-9) + 0.5)


class InNumpy(Net):
    def forward(self, images):
        array = images.detach().numpy() - 0.5
        with torch.no_grad():
            return self.net(torch.from_numpy(array))


class InNumpyWithoutDetach(Net):
    """`numpy()` itself refuses a tensor that requires a gradient."""

    def forward(self, images):
        array = images.numpy() - 0.5
        with torch.no_grad():
            return self.net(torch.from_numpy(array))


class TupleOfOne(Net):
    def forward(self, images):
        return (super().forward(images),)


class LogitsAndFeatures(Net):
    def forward(self, images):
        return super().forward(images), images.flatten(1)


class WithAuxiliary(Net):
    """As torchvision's GoogLeNet and Inception."""

    def forward(self, images):
        from torchvision.models import GoogLeNetOutputs

        logits = super().forward(images)
        return GoogLeNetOutputs(logits, -logits, None) if self.training else logits


class PlainTupleInTraining(Net):
    def forward(self, images):
        logits = super().forward(images)
        return (logits, -logits) if self.training else logits


class Dictionary(Net):
    def forward(self, images):
        return {"features": images.flatten(1), "logits": super().forward(images)}


class DictionaryOfOthers(Net):
    """As torchvision's segmentation models."""

    def forward(self, images):
        return OrderedDict(out=super().forward(images))


class HuggingFace(Net):
    def forward(self, images):
        from transformers.modeling_outputs import ImageClassifierOutput

        return ImageClassifierOutput(logits=super().forward(images))


class OneLogit(Net):
    def forward(self, images):
        return super().forward(images)[:, :1]


class Flat(Net):
    def forward(self, images):
        return super().forward(images)[:, 0]


class MoreOutputs(Net):
    """As a network of ImageNet on ten classes."""

    def forward(self, images):
        logits = super().forward(images)
        return torch.cat([logits, logits.flip(1), logits], 1)


class Classes(Net):
    def forward(self, images):
        return super().forward(images).argmax(1)


class NanOnBright(Net):
    def forward(self, images):
        return super().forward(images).masked_fill(is_bright(images), torch.nan)


class WrongOnBright(Net):
    def forward(self, images):
        logits = super().forward(images)
        return torch.where(is_bright(images), -logits, logits)


class NanOffGrid(Net):
    """NaN for pixels between two of the 256 gray levels, which only an attack makes."""

    def forward(self, images):
        levels = images.detach() * 255
        between = ((levels - levels.round()).abs() > 1e-3).flatten(1).any(1)
        return super().forward(images).masked_fill(between[:, None], torch.nan)


class WrongOffGrid(Net):
    def forward(self, images):
        levels = images.detach() * 255
        between = ((levels - levels.round()).abs() > 1e-3).flatten(1).any(1)
        logits = super().forward(images)
        return torch.where(between[:, None], -logits, logits)


class NoGradient(Net):
    def forward(self, images):
        return super().forward(images.detach())


class InfiniteGradient(Net):
    """The root has an infinite slope at 0, so the gradient of a black pixel is not finite."""

    def forward(self, images):
        return self.net(images.sqrt() - 0.5)


class _Root(torch.autograd.Function):
    @staticmethod
    def forward(context, images):
        context.save_for_backward(images)
        return images.sqrt()

    @staticmethod
    def backward(context, slope):
        (images,) = context.saved_tensors
        return torch.where(images > 0, slope / (2 * images.sqrt()), 0)


class MaskedGradient(Net):
    """The same without the slope of black pixels."""

    def forward(self, images):
        return self.net(_Root.apply(images) - 0.5)


class Checkpointed(Net):
    """The older form of checkpointing works with `backward` alone."""

    def forward(self, images):
        if not images.requires_grad:
            return super().forward(images)
        return checkpoint(self.net, images - 0.5, use_reentrant=True)


class InDouble(Net):
    """Its weights and logits are float64."""

    def __init__(self):
        super().__init__()
        self.double()

    def forward(self, images):
        return self.net(images.double() - 0.5)


class InHalf(Net):
    """Its weights and logits are bfloat16."""

    def __init__(self):
        super().__init__()
        self.bfloat16()

    def forward(self, images):
        return self.net(images.bfloat16() - 0.5)


class DoubleWeights(Net):
    """Its weights are float64, and it does not convert its images."""

    def __init__(self):
        super().__init__()
        self.double()


class HalfWeights(Net):
    """Its weights are bfloat16, and it does not convert its images."""

    def __init__(self):
        super().__init__()
        self.bfloat16()


class RandomOutputs(Net):
    def forward(self, images):
        logits = super().forward(images)
        return logits + 0.1 * torch.randn_like(logits)


class LeftInTraining(Net):
    """Dropout, in train mode as it is built."""

    def __init__(self):
        super().__init__()
        self.net.append(nn.Dropout(0.2))


class StaysInTraining(LeftInTraining):
    def train(self, mode=True):
        return super().train()


class ReassignsState(Net):
    """It replaces a buffer in every forward, as hand-written averages do."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, images):
        self.mean = 0.9 * self.mean + 0.1 * images.detach().mean()
        return super().forward(images)


class ReusesOutput(Net):
    """It returns the same memory at every call, as CUDA graphs and bound outputs do."""

    def __init__(self):
        super().__init__()
        self.memory = {}

    def forward(self, images):
        logits = super().forward(images)
        memory = self.memory.setdefault(logits.shape, torch.empty_like(logits)).detach()
        return memory.copy_(logits)


class AnotherNumberOfLogits(Net):
    """It drops a class after some calls."""

    calls = 0

    def forward(self, images):
        self.calls += 1
        logits = super().forward(images)
        return logits if self.calls < 3 else logits[:, 1:]


class Lazy(nn.Module):
    """Its weights have no shape before the first call."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.LazyLinear(CLASSES))

    def forward(self, images):
        return self.net(images)


class WithoutValues(Net):
    """A part is on the device "meta", as after loading a checkpoint that lacks it."""

    def __init__(self):
        super().__init__()
        self.net[-1].to("meta")


class Probabilities(Net):
    def forward(self, images):
        return super().forward(images).softmax(1)


class Scores(Net):
    """As a model of several labels for each image."""

    def forward(self, images):
        return (4 * super().forward(images)).sigmoid()


class BatchStatistics(Net):
    def forward(self, images):
        return super().forward(images - images.mean(0, keepdim=True) + 0.5)
