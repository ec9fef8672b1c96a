"""BatchNorm mismatch: what is trained is not what is attacked, because BatchNorm makes two
networks.

In train mode BatchNorm normalizes by the statistics of the batch, in eval mode by running ones. An
attack made in eval mode follows the gradient of the network as it is used, and the weights follow
that of the network in train mode. Where the two differ much, the perturbed images are almost
ordinary ones to the network in train mode, and training on them buys little robustness. Measured in
docs/studies/schedules.md: on the embedded task, where BatchNorm does no harm, more than half of the
rise of the loss carries over to train mode in every epoch; on photos at 48 pixels and 1/255, where
frozen statistics gain 16 points, a tenth to a fifth.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from rampart.attacks.base import Attack
from rampart.data.batches import Batch
from rampart.models.normalized import batch_norms
from rampart.restoring import in_mode, restored
from rampart.runtime import Noise
from rampart.training.monitors.base import (
    Alert,
    Memory,
    Monitor,
    Observation,
    Row,
    begins,
    in_a_row,
)
from rampart.units import format_eps

#: Fraction of the rise of the loss that reaches what is trained, below which the monitor speaks.
CARRIED = 0.4
#: Rise of the loss below which there is too little to carry over.
LEAST = 0.1
#: Epochs in a row after which it speaks: running statistics follow what is trained at a distance.
EPOCHS = 2


@dataclass(frozen=True)
class BatchNormMismatch(Monitor):
    """Compares what the training attack does in train mode with what an attack does in eval mode.

    On the same images after every epoch in which anything was attacked. Of the network in train
    mode only BatchNorm is: dropout would draw. The figure is `monitor_carried`, the rise of the
        mean
    loss in train mode divided by that in eval mode; it is left out where the latter is too small.

    Attributes:
        attack: the training attack.
        micro_batches: training images, in micro-batches of as many as BatchNorm sees at once.
        seed: of the attack's noise.
    """

    name: ClassVar[str] = "batch-norm"

    attack: Attack
    micro_batches: Sequence[Batch]
    seed: int

    def query(self, model: nn.Module, row: Row, memory: Memory) -> Observation:
        """Return the fraction that is carried over, and an alert when it has become small."""
        if row["eps"] <= 0 or not batch_norms(model):
            return Observation()
        used, trained = (self._rise(model, row["eps"], training) for training in (False, True))
        if used < LEAST:
            return Observation()
        carried = trained / used
        figures = {"monitor_carried": carried}
        if not begins(memory, in_a_row(memory, carried < CARRIED) >= EPOCHS):
            return Observation(figures)
        return Observation(figures, (self._make_alert(used, trained, row["eps"]),))

    def _rise(self, model: nn.Module, eps: float, training: bool) -> float:
        """By how much the attack raises the mean loss, in eval mode or as in training."""
        with in_mode(model, training=False), restored(model.buffers()), torch.no_grad():
            rises = [
                len(micro_batch) * self._rise_of(micro_batch, model, eps, training)
                for micro_batch in self.micro_batches
            ]
        return sum(rises) / self._images

    def _rise_of(self, micro_batch: Batch, model: nn.Module, eps: float, training: bool) -> float:
        batch = micro_batch.to(next(model.parameters()).device)
        images, noise = batch.pixels(), Noise.of(self.seed, batch.indices, "missed attack")
        _normalize_by_batch(model, training and self.attack.mode != "eval")
        points = replace(self.attack, mode="unchanged")(model, images, batch.labels, eps, noise)
        _normalize_by_batch(model, training)
        after, before = (cross_entropy(model(at), batch.labels) for at in (points, images))
        return float(after - before)

    @property
    def _images(self) -> int:
        return sum(len(micro_batch) for micro_batch in self.micro_batches)

    def _make_alert(self, used: float, trained: float, eps: float) -> Alert:
        other = ", or try attack.mode=train" if self.attack.mode == "eval" else ""
        return Alert(
            "batch-norm-mismatch",
            f"BatchNorm mismatch: at {format_eps(eps)} an attack raises the loss of {self._images} "
            f"training images by {used:.2f} in eval mode, in which the model is used, and the "
            f"training attack by {trained:.2f} in train mode, in which it is trained, since "
            "BatchNorm normalizes by the batch there. Compare model.batch_norm=frozen with "
            f"schedule=adaptive and a third of the learning rates{other}.",
        )


def _normalize_by_batch(model: nn.Module, batch: bool) -> None:
    for part in batch_norms(model):
        part.train(batch)
