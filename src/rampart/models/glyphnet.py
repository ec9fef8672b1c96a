"""`rampart_glyphnet`: the small ResNet of the embedded task; the import registers it with timm.

A 4 x 4 stem with stride 2 to 32 channels, residual blocks of 32 and of 64 channels (stride 2; He et
al. 2016, fig. 2), the mean over positions, a linear head; 76.9 k parameters and the head.
"""

from importlib.resources import files
from typing import Any, Literal

import torch.nn.functional as F
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

from rampart.errors import InvalidArgument

NormLayer = Literal["group", "batch"]
_GROUPS = 8

#: Made by `rampart train configs/glyph-backbone.yaml`.
_WEIGHTS = files("rampart.assets").joinpath("glyphnet.safetensors")

default_cfgs = generate_default_cfgs(
    {
        "rampart_glyphnet.glyphs": {
            "file": str(_WEIGHTS),
            "num_classes": 149,
            "input_size": (1, 16, 16),
            "pool_size": (4, 4),
            "crop_pct": 1.0,
            "interpolation": "bicubic",
            "mean": (0.5,),
            "std": (0.5,),
            "first_conv": "stem",
            "classifier": "head",
        }
    }
)


def _norm(channels: int, norm: NormLayer) -> nn.Module:
    if norm not in ("group", "batch"):
        raise InvalidArgument("norm", norm, "group or batch")
    return nn.GroupNorm(_GROUPS, channels) if norm == "group" else nn.BatchNorm2d(channels)


class Block(nn.Module):
    """relu(norm(conv(relu(norm(conv(x))))) + x), with a 1 x 1 convolution if shapes differ."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: NormLayer) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = _norm(outputs, norm)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = _norm(outputs, norm)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, _norm(outputs, norm))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class GlyphNet(nn.Module):
    """The network, with the interface of a timm classifier.

    Args:
        num_classes: number of outputs; 0 for no head.
        in_chans: number of channels of the images.
        norm: "group" (GroupNorm, 8 groups) or "batch" (BatchNorm).
        drop_rate: dropout before the head.
        global_pool: "avg" only.
    """

    def __init__(
        self,
        num_classes: int = 149,
        in_chans: int = 1,
        norm: NormLayer = "group",
        drop_rate: float = 0.0,
        global_pool: str = "avg",
    ) -> None:
        super().__init__()
        if global_pool != "avg":
            raise InvalidArgument("global_pool", global_pool, "avg")
        self.drop_rate = drop_rate
        self.num_features = self.head_hidden_size = 64
        self.stem = nn.Conv2d(in_chans, 32, 4, 2, 1, bias=False)
        self.stem_norm = _norm(32, norm)
        self.blocks = nn.Sequential(Block(32, 32, 1, norm), Block(32, 64, 2, norm))
        self.reset_classifier(num_classes)

    def get_classifier(self) -> nn.Module:
        """Return the head."""
        return self.head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the head by a fresh one with `num_classes` outputs."""
        if global_pool not in (None, "avg"):
            raise InvalidArgument("global_pool", global_pool, "avg")
        self.num_classes = num_classes
        has_head = num_classes > 0
        self.head = nn.Linear(self.num_features, num_classes) if has_head else nn.Identity()

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, 64, H / 4, W / 4)."""
        return self.blocks(F.relu(self.stem_norm(self.stem(x))))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """(N, 64, h, w) to logits (N, num_classes), or to features (N, 64)."""
        pooled = F.dropout(x.mean((2, 3)), self.drop_rate, self.training)
        return pooled if pre_logits else self.head(pooled)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), normalized, to logits (N, num_classes)."""
        return self.forward_head(self.forward_features(x))


@register_model
def rampart_glyphnet(pretrained: bool = False, **kwargs: Any) -> GlyphNet:
    """Build the network as timm does; weights trained on printed glyphs ship with Rampart."""
    return build_model_with_cfg(GlyphNet, "rampart_glyphnet", pretrained, **kwargs)
