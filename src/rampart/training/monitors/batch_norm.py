"""BatchNorm mismatch: the attack and the optimizer step see two different networks.

BatchNorm normalizes by the statistics of the batch in train mode, and by running statistics in eval
mode. The attack follows the gradient of the network in eval mode, the weights that of the network
in train mode. If the two differ much, the perturbed images hardly raise the loss in train mode, and
training on them adds little robustness. docs/studies/schedules.md has measurements. On the embedded
task BatchNorm does no harm: more than half of the rise of the loss carries over to train mode in
every epoch. On photos at 48 pixels and 1/255 a tenth to a fifth carries over, and frozen statistics
gain 16 points.
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
from rampart.restoring import in_mode, restored_buffers
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

#: The alert comes if a smaller fraction of the rise of the loss carries over to train mode.
CARRIED = 0.4
#: A smaller rise of the loss in eval mode is not judged.
LEAST = 0.1
#: Epochs in a row before the alert, because running statistics lag behind the weights.
EPOCHS = 2


@dataclass(frozen=True)
class BatchNormMismatch(Monitor):
    """Compares the training attack in train mode with an attack in eval mode, on the same images.

    It runs after every epoch with an attack. Only BatchNorm is put into train mode; dropout would
    draw noise. The figure `monitor_carried` is the rise of the mean loss in train mode divided by
    the rise in eval mode. It is left out if the rise in eval mode is too small.

    Attributes:
        attack: the training attack.
        micro_batches: training images, in micro-batches of the size used in training.
        seed: of the attack's noise.
    """

    name: ClassVar[str] = "batch-norm"

    attack: Attack
    micro_batches: Sequence[Batch]
    seed: int

    def observe(self, model: nn.Module, row: Row, memory: Memory) -> Observation:
        """Return the fraction that carries over, and an alert when it becomes too small."""
        if row["eps"] <= 0 or not batch_norms(model):
            return Observation()
        in_eval, in_train = (self._rise(model, row["eps"], train) for train in (False, True))
        if in_eval < LEAST:
            return Observation()
        carried = in_train / in_eval
        figures = {"monitor_carried": carried}
        if not begins(memory, in_a_row(memory, carried < CARRIED) >= EPOCHS):
            return Observation(figures)
        return Observation(figures, (self._make_alert(in_eval, in_train, row["eps"]),))

    def _rise(self, model: nn.Module, eps: float, training: bool) -> float:
        """Return by how much the attack raises the mean loss, in train or in eval mode."""
        with in_mode(model, training=False), restored_buffers(model), torch.no_grad():
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

    def _make_alert(self, in_eval: float, in_train: float, eps: float) -> Alert:
        other = ", or attack.mode=train" if self.attack.mode == "eval" else ""
        return Alert(
            "batch-norm-mismatch",
            f"BatchNorm mismatch: at {format_eps(eps)} an attack raises the loss of {self._images} "
            f"training images by {in_eval:.2f} in eval mode. In train mode the training attack "
            f"raises it by only {in_train:.2f}, because BatchNorm normalizes by the batch. Try "
            "model.batch_norm=frozen together with schedule=adaptive and a third of the learning "
            f"rates{other}.",
        )


def _normalize_by_batch(model: nn.Module, batch: bool) -> None:
    for part in batch_norms(model):
        part.train(batch)
