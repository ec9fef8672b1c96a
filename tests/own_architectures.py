"""Small architectures that users might register with timm, each unusual in one way."""

import torch
from timm.models import PretrainedCfg, register_model
from torch import nn
from torch.utils.checkpoint import checkpoint


class Tiny(nn.Module):
    """A classifier with timm's interface and nothing more."""

    def __init__(self, num_classes=10, in_chans=3, width=4, scale=1.0):
        super().__init__()
        self.num_classes, self.scale = num_classes, scale
        self.stem = nn.Conv2d(in_chans, width, 3, 2)
        self.head = nn.Linear(width, num_classes)

    def get_classifier(self):
        return self.head

    def reset_classifier(self, num_classes, global_pool=None):
        self.num_classes = num_classes
        self.head = nn.Linear(self.head.in_features, num_classes)

    def forward_features(self, x):
        return torch.relu(self.stem(x))

    def forward_head(self, x, pre_logits=False):
        pooled = self.scale * x.mean((2, 3))
        return pooled if pre_logits else self.head(pooled)

    def forward(self, x):
        return self.forward_head(self.forward_features(x))


class Fixed(Tiny):
    """The number of classes is fixed at construction."""

    reset_classifier = property()


class NoGetter(Tiny):
    """It has no way to get its head."""

    get_classifier = property()


class Stubborn(Tiny):
    """It has three more classes than requested."""

    def reset_classifier(self, num_classes, global_pool=None):
        super().reset_classifier(num_classes + 3)
        self.num_classes = num_classes


class Detached(Tiny):
    """Its output has no gradient."""

    def forward(self, x):
        return super().forward(x.detach())


class Reentrant(Tiny):
    """Its checkpointing does not allow a gradient of the pixels."""

    def forward(self, x):
        run = super().forward
        return checkpoint(run, x, use_reentrant=True) if x.requires_grad else run(x)


class Picky(Tiny):
    """It accepts one image size."""

    def forward(self, x):
        if x.shape[-1] != 15:
            raise RuntimeError("15 pixels, please")
        return super().forward(x)


def _taken(kwargs):
    """timm also passes arguments that are not the architecture's own."""
    others = ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir")
    return {key: value for key, value in kwargs.items() if key not in others}


def _register(name, build):
    def entry(pretrained=False, **kwargs):
        return build(**_taken(kwargs))

    entry.__name__, entry.__module__ = name, __name__
    globals()[name] = entry
    register_model(entry)


def _with_cfg(cfg):
    def build(**kwargs):
        model = Tiny(**kwargs)
        model.pretrained_cfg = cfg
        return model

    return build


__all__ = []
_register("own_bare", Tiny)
_register("own_object", _with_cfg(PretrainedCfg(architecture="own_object", tag="mine")))
_register("own_nameless_object", _with_cfg(PretrainedCfg()))
_register("own_nameless", _with_cfg({"mean": (0.5, 0.5, 0.5), "license": "mit"}))
_register("own_none", _with_cfg(None))
_register("own_fixed", Fixed)
_register("own_no_getter", NoGetter)
_register("own_stubborn", Stubborn)
_register("own_detached", Detached)
_register("own_reentrant", Reentrant)
_register("own_picky", Picky)

#: Architectures that can be trained to the end, and the others with a word of the error message.
GOOD = ("own_bare", "own_object", "own_nameless_object", "own_nameless", "own_none", "own_fixed")
BAD = {
    "own_no_getter": "get_classifier",
    "own_stubborn": "6 logits for 3 classes",
    "own_detached": "detach or no_grad",
    "own_reentrant": "use_reentrant=False",
    "own_picky": "data.image_size",
}
