"""Weights in the forms in which the sources of the catalogue publish them, and small networks."""

import re
from dataclasses import replace

import timm
import torch

#: Options that make an architecture small; its keys keep their form.
SMALL = {
    "resnet": {"layers": (1, 1, 1, 1), "channels": (8, 8, 8, 8)},
    "wide_resnet": {"layers": (1, 1, 1, 1), "channels": (8, 8, 8, 8)},
    "vit": {"depth": 2, "embed_dim": 32, "num_heads": 2},
    "convnext": {"depths": (1, 1, 1, 1), "dims": (8, 8, 16, 16)},
    "swin": {"embed_dim": 16, "depths": (2, 1, 1, 1), "num_heads": (1, 2, 4, 8)},
    "xcit": {"depth": 1, "embed_dim": 32, "num_heads": 2},
}


def small(entry):
    """Return the entry of a small network of the same kind."""
    [options] = [one for name, one in SMALL.items() if re.match(name, entry.timm)]
    return replace(entry, options={**entry.options, **options}, bytes=None)


def network(entry, seed=0):
    """Return timm's network of an entry with random weights, also in its BatchNorm."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = timm.create_model(entry.timm, num_classes=entry.classes, **entry.options)
        for module in made.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
        for name, parameter in made.named_parameters():
            torch.nn.init.normal_(parameter, 1 if "norm" in name else 0, 0.1)
    return made.eval()


def old_swin(state):
    """Return the weights of Swin as timm 0.6 and the authors' code name them."""
    old = {}
    for key, value in state.items():
        key = re.sub(
            r"layers\.(\d)\.downsample", lambda m: f"layers.{int(m[1]) - 1}.downsample", key
        )
        old[key.replace("head.fc.", "head.")] = value
    for key in state:
        if key.endswith("relative_position_bias_table"):
            block = key.removesuffix("relative_position_bias_table")
            old[f"{block}relative_position_index"] = torch.zeros(49, 49, dtype=torch.long)
    return old


def open_clip(state):
    """Return an image tower as open_clip saves it, with a text tower beside it."""
    text = {
        "token_embedding.weight": torch.zeros(3, 4),
        "transformer.resblocks.0.ln_1.weight": torch.zeros(4),
        "positional_embedding": torch.zeros(3, 4),
        "logit_scale": torch.zeros(()),
    }
    convert = _open_clip_convnext if "stem.0.weight" in state else _open_clip_vit
    return {**text, **{f"visual.{key}": value for key, value in convert(state).items()}}


def _open_clip_convnext(state):
    trunk = {f"trunk.{key}": value for key, value in state.items() if "head.fc" not in key}
    return {**trunk, "head.proj.weight": state["head.fc.weight"]}


_VIT = {
    "patch_embed.proj": "conv1",
    "blocks.": "transformer.resblocks.",
    "norm_pre": "ln_pre",
    "norm1": "ln_1",
    "norm2": "ln_2",
    "attn.qkv.": "attn.in_proj_",
    "attn.proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}


def _open_clip_vit(state):
    tower = {}
    for key, value in state.items():
        for theirs, ours in _VIT.items():
            key = key.replace(theirs, ours)
        tower[re.sub("^norm", "ln_post", key)] = value
    tower["class_embedding"] = tower.pop("cls_token")[0, 0]
    tower["positional_embedding"] = tower.pop("pos_embed")[0]
    tower["proj"] = tower.pop("head.weight").T.contiguous()
    del tower["head.bias"]
    return tower


def prefixed(prefix, state):
    """Return the weights with a prefix before each key."""
    return {prefix + key: value for key, value in state.items()}


def layer(normalization, name, words=("mean", "std")):
    """Return mean and std as the buffers of a layer in front of a network."""
    return {
        f"{name}.{word}": torch.tensor(values).view(1, 3, 1, 1)
        for word, values in zip(words, normalization, strict=True)
    }


def published(entry, state):
    """Return what the source of an entry saves of a network."""
    from rampart.models.catalogue import NORMALIZATIONS

    normalization = NORMALIZATIONS[entry.normalization]
    if entry.source == "openclip":
        return open_clip(state)
    if entry.source == "madrylab":
        layers = layer(normalization, "module.normalizer", ("new_mean", "new_std"))
        return {"model": {**prefixed("module.model.", state), **layers}, "epoch": 90}
    if entry.key_filter and not entry.name.startswith("robustbench:Rodriguez"):
        state = old_swin(state)
    if entry.source == "robustbench":
        layers = layer(normalization, "module.normalize")
        return {"state_dict": {**prefixed("module.model.", state), **layers}}
    return state
