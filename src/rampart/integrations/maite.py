"""MAITE's protocols of image classification, in both directions.

MAITE (https://github.com/mit-ll-ai-technology/maite) evaluates any model on any dataset with any
metric, if each has the methods of its protocol. Protocols are structural, so nothing here imports
MAITE. Its images are (C, H, W), its targets and predictions (K,), one vector for each image.

    as_dataset, as_model        a split and a model of Rampart, for MAITE
    AttackedBatches             an attack as MAITE's augmentation: its `evaluate` then measures
                                accuracy under attack
    Accuracy                    MAITE's metric, with the interval that Rampart states
    from_dataset, from_model    a dataset and a model of MAITE, for `rampart.evaluate`
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rampart.attacks.base import Attack
from rampart.data.splits import Split
from rampart.errors import DataError, InvalidArgument, UnknownName
from rampart.evaluation.inference import QueriedModel, device_of, logits_of
from rampart.integrations.arguments import require_kind
from rampart.metrics.intervals import CONFIDENCE, check_confidence, proportion_interval
from rampart.runtime import Noise, derive
from rampart.units import parse_eps

Array = NDArray[np.float32]
#: An image, a target and what is known about the image; "id" is its name.
Datum = tuple[Array, Array, dict[str, str]]
Outputs = Literal["logits", "probabilities"]


@dataclass(frozen=True)
class MaiteDataset:
    """A split as MAITE's dataset; `as_dataset` makes it.

    Attributes:
        split: the images.
        metadata: id, and index2label with the names of the classes.
    """

    split: Split
    metadata: dict[str, Any]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.split)

    def __getitem__(self, index: int, /) -> Datum:
        """Return the pixels in [0, 1] (C, H, W), the one-hot label (K,), and the name."""
        image, label, _ = self.split[range(len(self))[index]]
        pixels = (image.to(torch.float32) / 255).numpy()
        target = np.zeros(len(self.split.class_names), np.float32)
        target[label] = 1
        return pixels, target, {"id": self.split.ids[index]}


def as_dataset(split: Split, name: str = "rampart") -> MaiteDataset:
    """Return a split as MAITE's dataset."""
    require_kind("split", split, Split)
    return MaiteDataset(split, {"id": name, "index2label": dict(enumerate(split.class_names))})


@dataclass(frozen=True)
class MaiteModel:
    """A model as MAITE's; `as_model` makes it.

    Attributes:
        model: pixels in [0, 1] to logits.
        metadata: id, and index2label with the names of the classes.
    """

    model: Callable[[Tensor], Tensor]
    metadata: dict[str, Any]

    def __call__(self, batch: Sequence[Any], /) -> list[Array]:
        """Return the probabilities (K,) of each image, as an evaluation of Rampart computes them.

        Args:
            batch: images (C, H, W), pixels in [0, 1].

        Raises:
            ModelError: the model returns no logits.
        """
        images = _stack(batch).to(device_of(self.model))
        probabilities = logits_of(QueriedModel(self.model), images).softmax(1)
        return list(probabilities.cpu().numpy())


def as_model(
    model: Callable[[Tensor], Tensor], class_names: Sequence[str], name: str = "rampart"
) -> MaiteModel:
    """Return a model as MAITE's.

    Args:
        model: pixels in [0, 1] (N, C, H, W) to logits, in eval mode, such as `load_run(...).model`.
        class_names: of the K logits.
        name: id of the model.
    """
    return MaiteModel(model, {"id": name, "index2label": dict(enumerate(class_names))})


@dataclass(frozen=True)
class AttackedBatches:
    """An attack as MAITE's augmentation: it returns every batch with perturbed images.

    `maite.tasks.evaluate(..., augmentation=AttackedBatches(...))` measures accuracy under attack.
    Noise is keyed by the id of each image, so the batch size does not change results.

    Attributes:
        attack: the attack.
        model: that it attacks, pixels in [0, 1] to logits.
        eps: fraction of the pixel range, such as "4/255".
        seed: of the noise.
        metadata: id of the augmentation.
    """

    attack: Attack
    model: Callable[[Tensor], Tensor]
    eps: float | str
    seed: int = 0
    metadata: dict[str, str] = field(default_factory=lambda: {"id": "rampart-attack"})

    def __post_init__(self) -> None:
        require_kind("attack", self.attack, Attack)
        parse_eps(self.eps, self.attack.norm)

    def __call__(
        self, batch: tuple[Sequence[Any], Sequence[Any], Sequence[Any]], /
    ) -> tuple[list[Array], Sequence[Any], Sequence[Any]]:
        """Return the attacked images, and the targets and metadata as they are."""
        inputs, targets, metadata = batch
        images = _stack(inputs).to(device_of(self.model))
        labels = torch.tensor([_label(one) for one in targets], device=images.device)
        numbers = torch.tensor([derive(self.seed, "maite", str(one["id"])) for one in metadata])
        noise = Noise.of(self.seed, numbers.to(images.device), "attack")
        eps = parse_eps(self.eps, self.attack.norm)
        points = self.attack(self.model, images, labels, eps, noise)
        return list(points.cpu().numpy()), targets, metadata


class Accuracy:
    """Accuracy as MAITE's metric, with its interval (Wilson).

    Attributes:
        metadata: id of the metric.
    """

    def __init__(self, confidence: float = CONFIDENCE) -> None:
        self.metadata = {"id": "rampart-accuracy"}
        self._confidence = check_confidence(confidence)
        self.reset()

    def reset(self) -> None:
        """Forget all images."""
        self._right = self._n = 0

    def update(self, predictions: Sequence[Any], targets: Sequence[Any], metadata: Any, /) -> None:
        """Count images: predictions and targets are vectors (K,), and the largest entry counts."""
        pairs = list(zip(predictions, targets, strict=True))
        self._right += sum(_label(one) == _label(other) for one, other in pairs)
        self._n += len(pairs)

    def compute(self) -> dict[str, float]:
        """Return accuracy, low, high and n.

        Raises:
            DataError: no image was counted.
        """
        if not self._n:
            raise DataError("the metric has no images: call update() before compute().")
        interval = proportion_interval(self._right, self._n, self._confidence)
        accuracy = self._right / self._n
        return {"accuracy": accuracy, "low": interval.low, "high": interval.high, "n": self._n}


class MaiteItems:
    """The items of a dataset of MAITE, as `rampart.evaluate` reads them; see `from_dataset`.

    Attributes:
        classes: names of the classes, if the dataset has them.
    """

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        names = dataset.metadata.get("index2label") or {}
        self.classes = [names[key] for key in sorted(names)] or None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return an image (C, H, W) and its label."""
        image, target, _ = self._dataset[index]
        return torch.as_tensor(np.asarray(image)), _label(target)


def from_dataset(dataset: Any) -> MaiteItems:
    """Return a dataset of MAITE as data for `rampart.evaluate` and `rampart.finetune`.

    Its images are pixels in [0, 1], or bytes; a target is a vector (K,) with one largest entry.
    """
    return MaiteItems(dataset)


def from_model(model: Any, outputs: Outputs) -> Callable[[Tensor], Tensor]:
    """Return a model of MAITE as a function from pixels in [0, 1] to logits.

    A model that works on tensors and returns tensors keeps its gradients. One that returns arrays
    is a black box, for which `attack="square"` suits.

    Args:
        model: MAITE's.
        outputs: what its vectors hold, which the protocol leaves open: "logits" or "probabilities".

    Raises:
        UnknownName: of other outputs.
    """
    if outputs not in get_args(Outputs):
        raise UnknownName("outputs", outputs, get_args(Outputs))

    def logits(images: Tensor) -> Tensor:
        found = model(list(images))
        stacked = torch.stack([torch.as_tensor(one) for one in found]).to(images)
        if outputs == "logits":
            return stacked
        # The logarithm of probabilities has these probabilities as its softmax.
        return stacked.clamp_min(torch.finfo(stacked.dtype).tiny).log()

    return logits


def _stack(images: Iterable[Any]) -> Tensor:
    """Return images (C, H, W) as one batch, float32."""
    return torch.stack([torch.as_tensor(one) for one in images]).to(torch.float32)


def _label(vector: Any) -> int:
    """Return the position of the largest entry of (K,).

    Raises:
        InvalidArgument: it is no vector, or has no single largest entry.
    """
    values = torch.as_tensor(vector).detach().cpu()
    if values.ndim != 1 or not len(values):
        raise InvalidArgument("target", tuple(values.shape), "a vector (K,), one entry per class")
    if (values == values.max()).sum() != 1:
        raise InvalidArgument("target", values.tolist(), "a vector with one largest entry")
    return int(values.argmax())
