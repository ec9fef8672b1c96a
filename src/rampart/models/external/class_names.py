"""A check that the outputs of a model are the classes of the data, in the same order."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

import torch
from timm.data.imagenet_info import ImageNetInfo
from torch import Tensor, nn

from rampart.choices import Match
from rampart.counting import counted
from rampart.errors import InvalidArgument, ModelError, nearest
from rampart.models.external.loaded import LoadedModel, Names

#: Advice where the data have classes that a model does not know.
_OTHER_CLASSES = (
    "rename the classes of the data as the model names them, leave the others out, or train a "
    "model on these data"
)


class Selected(nn.Module):
    """Some logits of another model in another order: output i is its output `outputs[i]`.

    Attributes:
        model: the other model.
        outputs: (K,) int64, a buffer.
    """

    outputs: Tensor

    def __init__(self, model: nn.Module, outputs: Sequence[int]) -> None:
        super().__init__()
        self.model = model
        # Not persistent, so the weights and their fingerprint stay those of the model.
        self.register_buffer("outputs", torch.tensor(outputs), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, K) of images (N, C, H, W), pixels in [0, 1]."""
        return self.model(images)[:, self.outputs]


def check_classes(
    model: LoadedModel, class_names: Sequence[str], match: Match = "strict"
) -> LoadedModel:
    """Return a model whose output i is class i of the data.

    Names are compared as they are, and otherwise without case and with "_" and "-" as spaces.
    Without names of the outputs only their number is checked, and output i counts as class i.

    Args:
        model: the model to evaluate.
        class_names: classes of the data, in the order of its labels.
        match: "strict": the same classes in the same order. "by_name": the outputs are put into the
            order of the data, and outputs of other classes are dropped, for example to evaluate
            a model of ImageNet on some of its classes. "by_position": output i is class i, and
            names are ignored.

    Raises:
        InvalidArgument: an unknown `match`.
        ModelError: the number, the order or the names of the classes differ.
    """
    if match not in get_args(Match):
        raise InvalidArgument("match", match, ", ".join(get_args(Match)))
    outputs = _outputs(model.namings, class_names)
    if match == "by_name":
        return _select_outputs(model, class_names, outputs)
    _check_number(model, class_names, outputs)
    if match == "strict" and model.class_names is not None:
        _check_order(model.name, model.class_names, class_names, outputs)
    by_position = match == "by_position" or model.class_names is None
    return replace(model, num_classes=len(class_names), by_position=by_position)


def imagenet_synsets() -> Names:
    """Return the names of ImageNet's 1000 classes: "n01440764" and so on."""
    info: Any = ImageNetInfo("imagenet-1k")
    return tuple(info.label_names())


def with_synonyms(names: Sequence[str]) -> list[Names]:
    """Return the names of the outputs; for ImageNet also its other names.

    ImageNet's 1000 classes have synsets ("n01440764") and words ("tench").
    """
    own = tuple(names)
    if len(own) != 1000:
        return [own]
    info, synsets = ImageNetInfo("imagenet-1k"), imagenet_synsets()
    words = tuple(_first_word(info.index_to_description(i)) for i in range(1000))
    # Two words name two classes each, and every library distinguishes these in its own way.
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
    """Return the output of each class of the data, by the first naming with all classes.

    A name as it is comes first, because classes such as 'a' and 'A' differ in nothing else.
    """
    for naming in namings:
        exact, folded = _unique(naming), _unique([_fold_name(name) for name in naming])
        outputs = [exact.get(name, folded.get(_fold_name(name))) for name in class_names]
        found = [output for output in outputs if output is not None]
        if len(set(found)) == len(class_names):
            return found
    return None


def _unique(names: Sequence[str]) -> dict[str, int]:
    """Return the output of each name; a name of two outputs is ambiguous and left out."""
    count = Counter(names)
    return {name: output for output, name in enumerate(names) if count[name] == 1}


def _select_outputs(
    model: LoadedModel, class_names: Sequence[str], outputs: list[int] | None
) -> LoadedModel:
    if model.class_names is None:
        raise ModelError(
            f"the outputs of model '{model.name}' have no names to match: if they are in the order "
            "of the data, write evaluation.match=by_position."
        )
    if outputs is None:
        raise ModelError(
            f"model '{model.name}' {_describe_unknown(model.class_names, class_names)}: "
            f"{_OTHER_CLASSES}."
        )
    if outputs == list(range(model.num_classes or 0)):
        return replace(model, namings=(tuple(class_names),))
    return replace(
        model,
        model=Selected(model.model, outputs).to(model.device).eval(),
        num_classes=len(outputs),
        namings=(tuple(class_names),),
    )


def _check_number(
    model: LoadedModel, class_names: Sequence[str], outputs: list[int] | None
) -> None:
    if model.num_classes in (None, len(class_names)):
        return
    if outputs is not None:
        do = "it has an output for each of them: write evaluation.match=by_name to select these"
    elif model.class_names is None:
        do = "evaluate it on data with the classes that it was trained on"
    else:
        do = f"it {_describe_unknown(model.class_names, class_names)}: {_OTHER_CLASSES}"
    raise ModelError(
        f"model '{model.name}' has {model.num_classes} outputs, but the data have "
        f"{counted(len(class_names), 'class')}; {do}."
    )


def _check_order(
    name: str, own: Names, class_names: Sequence[str], outputs: list[int] | None
) -> None:
    if outputs == list(range(len(own))):
        return
    if outputs is None:
        raise ModelError(
            f"model '{name}' {_describe_unknown(own, class_names)}: {_OTHER_CLASSES}. If its "
            "outputs are in the order of the data under other names, write "
            "evaluation.match=by_position."
        )
    first = next(i for i, output in enumerate(outputs) if i != output)
    raise ModelError(
        f"model '{name}' has the classes in another order: its output {first} is '{own[first]}', "
        f"but class {first} of the data is '{class_names[first]}'; write "
        "evaluation.match=by_name to reorder its outputs."
    )


def _describe_unknown(own: Names, class_names: Sequence[str]) -> str:
    """Say which classes of the data a model lacks."""
    known = {_fold_name(name) for name in own}
    unknown = [name for name in class_names if _fold_name(name) not in known]
    if not unknown:
        return "or the data has two classes of the same name"
    near = nearest(unknown[0], own, n=1)
    hint = f"the nearest is '{near[0]}'" if near else f"it begins with {', '.join(own[:3])}"
    lacking = counted(len(unknown), "class")
    return f"has no class '{unknown[0]}' ({hint}; it lacks {lacking} of the data)"
