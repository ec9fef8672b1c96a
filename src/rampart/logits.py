"""How Rampart reads a model's output: where the logits are, and which class they predict.

Every part that queries a model reads its output here, so training, attacks, evaluation and checks
accept and refuse the same models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from rampart.counting import counted
from rampart.deferred import torch
from rampart.errors import ModelError
from rampart.images_and_labels import type_of

if TYPE_CHECKING:
    from torch import Tensor

#: Rows that sum to 1 within this tolerance are probabilities; it allows for half precision.
NEAR_ONE = 1e-2
#: Outputs in [0, 1] are scores of a sigmoid if they come this near to both ends. Logits are about 0
#: on average; before training, two of them may all lie in [0, 1], but close to each other.
NEAR_END = 0.1
#: The predicted class of a row of logits that are not all finite: none, so no label equals it.
NO_CLASS = -1


def read_logits(output: object, n: int, classes: int | None = None) -> Tensor:
    """Return the logits (N, K) of a model's output.

    The output may be the logits themselves, a sequence that holds only them, or an object or a
    mapping with `logits`: Hugging Face's outputs, and those of torchvision's GoogLeNet and
    Inception, whose auxiliary logits in train mode are left out.

    Args:
        output: what the model has returned.
        n: N, the number of images.
        classes: K, if it is known.

    Raises:
        ModelError: the output is none of these, or has another shape or type.
    """
    logits = find_logits(output)
    if not isinstance(logits, torch.Tensor):
        got, do = _describe(logits), "wrap the model in a function that returns its main logits"
    elif not logits.is_floating_point():
        got, do = (
            f"numbers of type {type_of(logits)}",
            "return the inputs of the softmax, not classes",
        )
    elif logits.shape in ((n,), (n, 1)):
        got = f"one logit for each image, {tuple(logits.shape)},"
        do = "for two classes with one logit z return torch.cat([torch.zeros_like(z), z], 1)"
    elif logits.ndim != 2 or len(logits) != n or logits.shape[1] < 2:
        got, do = f"a tensor of shape {tuple(logits.shape)}", "return one row for each image"
    elif logits.layout != torch.strided:
        got, do = "a sparse tensor", "return logits.to_dense()"
    elif classes not in (None, logits.shape[1]):
        raise ModelError(
            f"the model returns {logits.shape[1]} logits for each image, expected {classes}: "
            "return one logit for each class at every call."
        )
    else:
        return logits
    raise ModelError(
        f"the model returns {got} for {counted(n, 'image')}: expected logits ({n}, K), a "
        f"floating-point tensor with K >= 2 classes; {do}."
    )


def find_logits(output: Any) -> Any:
    """Return the part of a model's output that holds the logits, unchecked."""
    if isinstance(output, torch.Tensor):
        return output
    if isinstance(output, Mapping) and "logits" in output:
        return output["logits"]
    if isinstance(output, tuple | list) and len(output) == 1:
        return output[0]
    return getattr(output, "logits", output)


def _describe(output: Any) -> str:
    kind = type(output).__name__
    article = "an" if kind[0] in "aeiouAEIO" else "a"
    if isinstance(output, Mapping):
        return f"{article} {kind} of {', '.join(map(str, output)) or 'nothing'}"
    if isinstance(output, tuple | list):
        return f"{article} {kind} of {len(output)} parts"
    return f"{article} {kind}"


OutputKind = Literal["logits", "probabilities", "log-probabilities", "scores"]


def kind_of_outputs(logits: Tensor) -> OutputKind:
    """Return what finite outputs (N, K) look like.

    The rows of probabilities sum to 1, and those of log-probabilities have a log-sum-exp of 0.
    Scores are the outputs of a sigmoid: all of them lie in [0, 1], and some near each end.
    """
    values = logits.float()
    low, high = torch.stack(torch.aminmax(values)).tolist()
    if low >= 0 and high <= 1 + NEAR_ONE:
        if float((values.sum(1) - 1).abs().amax()) <= NEAR_ONE:
            return "probabilities"
        if low <= NEAR_END and 1 - NEAR_END <= high <= 1:
            return "scores"
    if high <= 0 and float(values.logsumexp(1).abs().amax()) <= NEAR_ONE:
        return "log-probabilities"
    return "logits"


def all_finite(logits: Tensor) -> Tensor:
    """Return (N,) bool: whether the logits (N, K) of a sample are all finite."""
    return logits.isfinite().all(1)


def predict(logits: Tensor) -> Tensor:
    """Return the predicted classes (N,) of logits (N, K).

    A row with a NaN or an infinite number predicts `NO_CLASS`, so it counts as misclassified:
    argmax would take a NaN for the largest logit and predict its class whatever the image shows.
    """
    return torch.where(all_finite(logits), logits.argmax(1), NO_CLASS)


def is_correct(logits: Tensor, labels: Tensor) -> Tensor:
    """Return (N,) bool: whether the predicted class is the label."""
    return predict(logits.detach()) == labels
