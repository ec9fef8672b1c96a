"""`resnet20_cifar`: the ResNet-20 of He et al. 2016 (section 4.2), registered with timm.

Three stages of three residual blocks with 16, 32 and 64 channels, strides 1, 2 and 2; 0.27 M
parameters at 32 x 32 pixels. Robustness is usually measured on such networks.
"""

from typing import Any

import torch.nn.functional as F
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.resnet import BasicBlock
from torch import Tensor, nn

default_cfgs = generate_default_cfgs(
    {
        "resnet20_cifar.untrained": {
            "num_classes": 10,
            "input_size": (3, 32, 32),
            "pool_size": (8, 8),
            "mean": (0.5, 0.5, 0.5),
            "std": (0.25, 0.25, 0.25),
            "first_conv": "stem",
            "classifier": "head",
        }
    }
)


def _block(inputs: int, outputs: int, stride: int) -> nn.Module:
    shortcut = None
    if stride != 1 or inputs != outputs:
        conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        shortcut = nn.Sequential(conv, nn.BatchNorm2d(outputs))
    return BasicBlock(inputs, outputs, stride, shortcut)


class ResNet20(nn.Module):
    """The network, with the interface of a timm classifier; `width` is that of the first stage."""

    def __init__(self, num_classes: int = 10, in_chans: int = 3, width: int = 16, **_: Any) -> None:
        super().__init__()
        self.num_features = self.head_hidden_size = 4 * width
        self.stem = nn.Conv2d(in_chans, width, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        blocks = [_block(width, width, 1) for _ in range(3)]
        for outputs in (2 * width, 4 * width):
            blocks += [_block(outputs // 2, outputs, 2)]
            blocks += [_block(outputs, outputs, 1) for _ in range(2)]
        self.blocks = nn.Sequential(*blocks)
        self.reset_classifier(num_classes)

    def get_classifier(self) -> nn.Module:
        """Return the head."""
        return self.head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Put a fresh head of `num_classes` outputs in place."""
        self.num_classes = num_classes
        has_head = num_classes > 0
        self.head = nn.Linear(self.num_features, num_classes) if has_head else nn.Identity()

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, 4 width, H / 4, W / 4)."""
        return self.blocks(F.relu(self.norm(self.stem(x))))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Features to logits (N, num_classes), or to their mean over positions."""
        pooled = x.mean((2, 3))
        return pooled if pre_logits else self.head(pooled)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), normalized, to logits (N, num_classes)."""
        return self.forward_head(self.forward_features(x))


@register_model
def resnet20_cifar(pretrained: bool = False, **kwargs: Any) -> ResNet20:
    """Build the network as timm does; there are no weights."""
    return build_model_with_cfg(ResNet20, "resnet20_cifar", pretrained, **kwargs)
