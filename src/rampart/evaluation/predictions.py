"""Predictions: the classes of images and their probabilities, computed as in an evaluation."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rampart.attacks.frozen import Model, frozen, local
from rampart.counting import counted
from rampart.errors import InvalidArgument
from rampart.evaluation.inference import QueriedModel, device_of, logits_of
from rampart.files import write_atomic
from rampart.logits import predict
from rampart.reports.csv_rows import csv_text
from rampart.runtime import scoped_seed

#: Classes that are shown for each image by default, if the model has so many.
TOP_K = 5


@dataclass(frozen=True, eq=False)
class Predictions:
    """The predicted classes of N images, with their probabilities.

    Attributes:
        ids: N names, such as the paths of the files.
        class_names: of the K logits.
        logits: (N, K) float32, on the CPU.
    """

    ids: tuple[str, ...]
    class_names: tuple[str, ...]
    logits: Tensor

    def __post_init__(self) -> None:
        if self.logits.shape != (len(self.ids), len(self.class_names)):
            expected = f"({len(self.ids)}, {len(self.class_names)}), images and classes"
            raise InvalidArgument("logits", tuple(self.logits.shape), expected)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def classes(self) -> Tensor:
        """(N,) int64 predicted classes; -1 where the logits are not all finite."""
        return predict(self.logits)

    @property
    def probabilities(self) -> Tensor:
        """(N, K) float32, the softmax of the logits; they are not calibrated."""
        return self.logits.double().softmax(1).float()

    def top(self, k: int | None = None) -> list[list[tuple[str, float]]]:
        """Return the k likeliest classes of each image, as (name, probability), best first.

        An image whose logits are not all finite has none.

        Args:
            k: by default 5, or all classes if there are fewer.

        Raises:
            InvalidArgument: k is below 1, or larger than the number of classes.
        """
        k = top_k_for(k, len(self.class_names))
        # Stable: of equal logits the first counts, as in argmax.
        order = self.logits.sort(dim=1, descending=True, stable=True).indices[:, :k]
        chosen = self.probabilities.gather(1, order)
        rows = zip(self.classes.tolist(), order.tolist(), chosen.tolist(), strict=True)
        return [
            []
            if first < 0
            else [(self.class_names[c], p) for c, p in zip(names, values, strict=True)]
            for first, names, values in rows
        ]

    def rows(self, k: int | None = None) -> list[dict[str, Any]]:
        """Return one row for each image: image, class, probability, class_2, probability_2, ..."""
        k = top_k_for(k, len(self.class_names))
        empty: tuple[str, Any] = ("", "")
        table = []
        for name, found in zip(self.ids, self.top(k), strict=True):
            row: dict[str, Any] = {"image": name}
            for rank, (label, value) in enumerate(found or [empty] * k, start=1):
                end = "" if rank == 1 else f"_{rank}"
                row |= {f"class{end}": label, f"probability{end}": value}
            table.append(row)
        return table

    def save(self, path: str | Path, k: int | None = None) -> None:
        """Write the rows as a CSV file.

        Raises:
            InvalidArgument: as `top`.
            RunError: the file cannot be written.
        """
        write_atomic(Path(path), csv_text(self.rows(k)))

    def lines(self, k: int | None = None) -> list[str]:
        """Return one line for each image, such as "photos/a.jpg: cat 93.1%, dog 6.9%"."""
        found = zip(self.ids, self.top(k), strict=True)
        return [f"{name}: {_spell(classes)}" for name, classes in found]

    def __repr__(self) -> str:
        shown = [f"  {line}" for line in _first(self, 10).lines(min(3, len(self.class_names)))]
        more = ["  ..."] if len(self) > len(shown) else []
        return "\n".join([f"Predictions of {counted(len(self), 'image')}:", *shown, *more])


def top_k_for(k: int | None, classes: int) -> int:
    """Return how many classes to show; 5 by default, or all if there are fewer.

    Raises:
        InvalidArgument: k is below 1, or larger than the number of classes.
    """
    if k is None:
        return min(TOP_K, classes)
    if not 1 <= k <= classes:
        raise InvalidArgument("top_k", k, f"1 to {classes}, the number of classes")
    return k


def predict_batches(
    model: Model,
    batches: Iterable[tuple[Sequence[str], Tensor]],
    class_names: Sequence[str],
    on_progress: Callable[[int], None] | None = None,
) -> Predictions:
    """Return the predictions of a model in eval mode, as an evaluation computes them.

    On a CPU the logits of an image are those of the evaluation, bit for bit.

    Args:
        model: pixels in [0, 1], (N, C, H, W), to logits; it is restored.
        batches: (ids, images), pixels in [0, 1].
        class_names: of the K logits.
        on_progress: called with the number of images done.

    Raises:
        ModelError: the model fails on the images, or does not return one logit for each class.
    """
    device, queried = device_of(model), QueriedModel(local(model))
    queried.classes = len(class_names)
    ids, logits = list[str](), [torch.empty(0, len(class_names))]
    # A stochastic model draws from torch's generators, which must not change.
    with frozen(model), scoped_seed(0, "prediction"):
        for names, images in batches:
            ids += names
            logits.append(logits_of(queried, images.to(device)).cpu())
            if on_progress:
                on_progress(len(ids))
    return Predictions(tuple(ids), tuple(class_names), torch.cat(logits))


def _spell(found: list[tuple[str, float]]) -> str:
    return ", ".join(f"{name} {value:.1%}" for name, value in found) or "no finite logits"


def _first(predictions: Predictions, n: int) -> Predictions:
    return Predictions(predictions.ids[:n], predictions.class_names, predictions.logits[:n])
