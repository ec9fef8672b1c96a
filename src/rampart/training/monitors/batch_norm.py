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
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from rampart.attacks.base import Attack, CountingModel
from rampart.attacks.costs import attack_passes
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
    affords,
    begins,
    earn,
    in_a_row,
    spend,
)
from rampart.units import format_eps

#: The alert comes if a smaller fraction of the rise of the loss carries over to train mode.
CARRIED = 0.4
#: A smaller rise of the loss in eval mode is not judged.
LEAST = 0.1
#: Measurements in a row before the alert, because running statistics lag behind the weights.
EPOCHS = 2


class Rises(NamedTuple):
    """By how much the attack raises the mean loss of some images.

    Attributes:
        in_eval: in eval mode, under an attack in eval mode.
        in_train: in train mode, under the training attack.
        images: their number.
        passes: forwards and backwards that this took.
    """

    in_eval: float
    in_train: float
    images: int
    passes: int


@dataclass(frozen=True)
class BatchNormMismatch(Monitor):
    """Compares the training attack in train mode with an attack in eval mode, on the same images.

    It runs after an epoch with an attack. Only BatchNorm is put into train mode; dropout would
    draw noise. The figure `monitor_carried` is the rise of the mean loss in train mode divided by
    the rise in eval mode. It is left out if the rise in eval mode is too small.

    Cost: the passes of one attack and 4 forwards per image, or of two attacks if the training
    attack runs in train mode. `share` of the training passes so far pays for them: as many
    micro-batches are measured as it affords, in turn, and none in an epoch in which it affords
    none.

    Attributes:
        attack: the training attack.
        micro_batches: training images, in micro-batches of the size used in training.
        seed: of the attack's noise.
        share: largest fraction of the training passes that the monitor may take; None for no
            limit.
    """

    name: ClassVar[str] = "batch-norm"

    attack: Attack
    micro_batches: Sequence[Batch]
    seed: int
    share: float | None = None

    def observe(self, model: nn.Module, row: Row, memory: Memory) -> Observation:
        """Return the fraction that carries over, and an alert when it becomes too small."""
        if self.share is not None:
            earn(memory, self.share, row)
        if row["eps"] <= 0 or not batch_norms(model):
            return Observation()
        affordable = self._affordable(memory)
        if not affordable:
            return Observation()
        rises = self._rises(model, row["eps"], affordable)
        if self.share is not None:
            spend(memory, rises.passes)
        if rises.in_eval < LEAST:
            return Observation(passes=rises.passes)
        carried = rises.in_train / rises.in_eval
        figures = {"monitor_carried": carried}
        if not begins(memory, in_a_row(memory, carried < CARRIED) >= EPOCHS):
            return Observation(figures, passes=rises.passes)
        return Observation(figures, (self._make_alert(rises, row["eps"]),), rises.passes)

    def _affordable(self, memory: Memory) -> list[Batch]:
        """Return the next micro-batches that the saved passes suffice for; note where they end."""
        whole = list(self.micro_batches)
        if self.share is None:
            return whole
        attacks = 1 if self.attack.mode == "eval" else 2
        each = len(whole[0]) * (attacks * attack_passes(self.attack) + 4)
        count, first = min(affords(memory, each), len(whole)), memory.get("next", 0)
        memory["next"] = (first + count) % len(whole)
        return (whole + whole)[first : first + count]

    def _rises(self, model: nn.Module, eps: float, micro_batches: Sequence[Batch]) -> Rises:
        """Return by how much the attack raises the mean loss, in eval and in train mode."""
        counting = CountingModel(model)
        images = sum(len(micro_batch) for micro_batch in micro_batches)
        in_eval = in_train = 0.0
        with in_mode(model, training=False), torch.no_grad():
            for micro_batch in micro_batches:
                with restored_buffers(model):
                    rises = self._rises_of(micro_batch, model, counting, eps)
                in_eval += len(micro_batch) * rises[0]
                in_train += len(micro_batch) * rises[1]
        passes = counting.forwards + counting.backwards
        return Rises(in_eval / images, in_train / images, images, passes)

    def _rises_of(
        self, micro_batch: Batch, model: nn.Module, counting: CountingModel, eps: float
    ) -> tuple[float, float]:
        """Return by how much the attack raises the mean loss of a micro-batch, in both modes."""
        batch = micro_batch.to(next(model.parameters()).device)
        images, noise = batch.pixels(), Noise.of(self.seed, batch.indices, "missed attack")
        attack = replace(self.attack, mode="unchanged")

        def attacked(training: bool) -> Tensor:
            _normalize_by_batch(model, training)
            return attack(counting, images, batch.labels, eps, noise)

        def rise(points: Tensor, training: bool) -> float:
            _normalize_by_batch(model, training)
            after, before = (cross_entropy(counting(at), batch.labels) for at in (points, images))
            return float(after - before)

        points = attacked(False)
        in_eval = rise(points, False)
        # In eval mode the training attack finds the same points.
        points = points if self.attack.mode == "eval" else attacked(True)
        return in_eval, rise(points, True)

    def _make_alert(self, rises: Rises, eps: float) -> Alert:
        in_eval, in_train = rises.in_eval, rises.in_train
        other = ", or attack.mode=train" if self.attack.mode == "eval" else ""
        return Alert(
            "batch-norm-mismatch",
            f"BatchNorm mismatch: at {format_eps(eps)} an attack raises the loss of {rises.images} "
            f"training images by {in_eval:.2f} in eval mode. In train mode the training attack "
            f"raises it by only {in_train:.2f}, because BatchNorm normalizes by the batch. Try "
            "model.batch_norm=frozen together with schedule=adaptive and a third of the learning "
            f"rates{other}.",
        )


def _normalize_by_batch(model: nn.Module, batch: bool) -> None:
    for part in batch_norms(model):
        part.train(batch)
