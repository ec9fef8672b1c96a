"""Whether the outputs of a model are the classes of the data, in that order."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

import torch
from timm.data.imagenet_info import ImageNetInfo
from torch import Tensor, nn

from rampart.choices import Match
from rampart.errors import InvalidArgument, ModelError, nearest
from rampart.models.external.loaded import LoadedModel, Names


class Selected(nn.Module):
    """Some of the logits of another model, in another order: output i is its output `outputs[i]`.

    Attributes:
        model: the other model.
        outputs: (K,) int64, a buffer.
    """

    outputs: Tensor

    def __init__(self, model: nn.Module, outputs: Sequence[int]) -> None:
        super().__init__()
        self.model = model
        # Not among the weights: they and their fingerprint stay those of the model.
        self.register_buffer("outputs", torch.tensor(outputs), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, K) of images (N, C, H, W), pixels in [0, 1]."""
        return self.model(images)[:, self.outputs]


def check_classes(
    model: LoadedModel, class_names: Sequence[str], match: Match = "strict"
) -> LoadedModel:
    """Return a model whose output i is class i of the data, or say why there is none.

    Names are compared without regard to case, and "_" and "-" count as spaces. A model without
    names of its outputs can only be checked for their number.

    Args:
        model: what is to be evaluated.
        class_names: the data's classes, in the order of its labels.
        match: "strict": the same classes in the same order. "by_name": the outputs are put in the
            data's order, and those of classes that the data lacks are left out; so a model of
            ImageNet is evaluated on a folder with some of its classes. "by_position": names are
            ignored, output i is class i.

    Raises:
        InvalidArgument: `match` is none of the three.
        ModelError: another number of classes, another order, or other names.
    """
    if match not in get_args(Match):
        raise InvalidArgument("match", match, ", ".join(get_args(Match)))
    outputs = _outputs(model.namings, class_names)
    if match == "by_name":
        return _select_outputs(model, class_names, outputs)
    _check_number(model, class_names, found=outputs is not None)
    if match == "strict" and model.class_names is not None:
        _check_order(model.name, model.class_names, class_names, outputs)
    return replace(model, num_classes=len(class_names))


def imagenet_synsets() -> Names:
    """Return the names of ImageNet's 1000 classes: "n01440764" and so on."""
    info: Any = ImageNetInfo("imagenet-1k")
    return tuple(info.label_names())


def with_synonyms(names: Sequence[str]) -> list[Names]:
    """Return a model's names of its outputs, and where they are ImageNet's its other names.

    ImageNet's 1000 classes go by synsets ("n01440764") and by words ("tench").
    """
    own = tuple(names)
    if len(own) != 1000:
        return [own]
    info, synsets = ImageNetInfo("imagenet-1k"), imagenet_synsets()
    words = tuple(_first_word(info.index_to_description(i)) for i in range(1000))
    # Two words stand for two classes each; libraries tell them apart, each in its own way.
    alike = sum(
        _fold_name(_first_word(name)) == _fold_name(word)
        for name, word in zip(own, words, strict=True)
    )
    return [own, synsets, words] if own == synsets or alike >= 990 else [own]


def _first_word(description: str) -> str:
    return description.split(",")[0]


def _fold_name(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def _outputs(namings: Sequence[Names], class_names: Sequence[str]) -> list[int] | None:
    """Return the output of each of the data's classes, by the first naming that knows them all."""
    wanted = [_fold_name(name) for name in class_names]
    for naming in namings:
        folded = [_fold_name(name) for name in naming]
        count = Counter(folded)
        # A name that two outputs share says nothing.
        known = {name: i for i, name in enumerate(folded) if count[name] == 1}
        if len(set(wanted)) == len(wanted) and all(name in known for name in wanted):
            return [known[name] for name in wanted]
    return None


def _select_outputs(
    model: LoadedModel, class_names: Sequence[str], outputs: list[int] | None
) -> LoadedModel:
    if model.class_names is None:
        raise ModelError(
            f"model '{model.name}' does not name its outputs, so they cannot be matched by name; "
            "if they are in the data's order, write evaluation.match=by_position."
        )
    if outputs is None:
        raise ModelError(
            f"model '{model.name}' {_describe_unknown(model.class_names, class_names)}."
        )
    if outputs == list(range(model.num_classes or 0)):
        return replace(model, namings=(tuple(class_names),))
    return replace(
        model,
        model=Selected(model.model, outputs).to(model.device).eval(),
        num_classes=len(outputs),
        namings=(tuple(class_names),),
    )


def _check_number(model: LoadedModel, class_names: Sequence[str], found: bool) -> None:
    if model.num_classes in (None, len(class_names)):
        return
    do = (
        "it knows them all by name: write match=by_name to select their outputs"
        if found
        else "evaluate it on the data that it was trained for"
    )
    raise ModelError(
        f"model '{model.name}' has {model.num_classes} outputs, but the data has "
        f"{len(class_names)} classes; {do}."
    )


def _check_order(
    name: str, own: Names, class_names: Sequence[str], outputs: list[int] | None
) -> None:
    if outputs == list(range(len(own))):
        return
    if outputs is None:
        raise ModelError(
            f"model '{name}' {_describe_unknown(own, class_names)}; if its outputs are in the "
            "data's order "
            "under other names, write evaluation.match=by_position."
        )
    first = next(i for i, output in enumerate(outputs) if i != output)
    raise ModelError(
        f"model '{name}' has the classes in another order: its output {first} is '{own[first]}', "
        f"but class {first} of the data is '{class_names[first]}'; write match=by_name to put the "
        "outputs in the data's order."
    )


def _describe_unknown(own: Names, class_names: Sequence[str]) -> str:
    """Tell which of the data's classes a model does not know."""
    known = {_fold_name(name) for name in own}
    unknown = [name for name in class_names if _fold_name(name) not in known]
    if not unknown:
        return "or the data has two classes that share a name"
    near = nearest(unknown[0], own, n=1)
    hint = f"the nearest is '{near[0]}'" if near else f"it begins with {', '.join(own[:3])}"
    return f"has no class '{unknown[0]}' ({hint}; {len(unknown)} of the data's are unknown to it)"
