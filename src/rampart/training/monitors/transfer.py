"""Suboptimal transfer: the attack keeps a model from adapting to its task.

Ngnawé et al. 2026 (arXiv 2509.23325): a model was pretrained without an attack. Under a robust
objective its clean accuracy may stay at chance for most of a run. A stronger attack makes this
delay longer, and a longer delay ends at a lower accuracy. Standard fine-tuning adapts at once. A
clean baseline therefore shows whether the attack is the cause, or the task or the learning rates.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import nn

from rampart.counting import counted
from rampart.errors import RampartError
from rampart.metrics.adaptation import ADAPTED
from rampart.schedules.times import spell_time
from rampart.training.monitors.base import Alert, Memory, Monitor, Observation, Row, percent


class Standard(NamedTuple):
    """Standard fine-tuning after some epochs.

    Attributes:
        clean: clean accuracy on the validation split.
        passes: forwards and backwards so far, with those of the validation.
    """

    clean: float
    passes: int = 0


#: Number of epochs to standard fine-tuning after them.
BaselineAccuracy = Callable[[int], Standard]
#: Largest number of epochs of the clean baseline.
BASELINE_EPOCHS = 3


def chance_threshold(chance: float) -> float:
    """Return the largest validation accuracy that counts as chance.

    max(0.05, min(2 · chance, chance + 0.1 (1 - chance))). The publication's delay is the first
    epoch above 5 %, which assumes many classes. For few classes twice chance would be near 1 or
    above; a tenth of the way from chance to 1 is less from 11 classes down.

    Args:
        chance: accuracy of the best constant answer: 1/K for K balanced classes.
    """
    return max(ADAPTED, min(2 * chance, chance + 0.1 * (1 - chance)))


@dataclass(frozen=True)
class Transfer(Monitor):
    """Raises an alert when a run stays at chance under attack and standard fine-tuning does not.

    The first alert comes after at least a tenth of the epochs, and after an epoch with an attack.
    The clean baseline trains for as many epochs as the run has done, at most three. If it is at
    chance too, it is too early to tell, and it is measured again after the next epoch, up to the
    third. That costs 2 passes an image for each of at most 6 epochs. The figures are
    `baseline_epochs` and `baseline_clean`.

    Attributes:
        chance: accuracy of the best constant answer, from the training labels.
        epochs: length of the run.
        baseline: trains a copy of the initial model without an attack.
        advice: what to change if the attack is the cause.
    """

    name: ClassVar[str] = "transfer"

    chance: float
    epochs: int
    baseline: BaselineAccuracy
    advice: str

    def observe(self, model: nn.Module, row: Row, memory: Memory) -> Observation:
        """Return an alert when the run is first found at chance, and when that ends."""
        memory["attacked"] = memory.get("attacked", False) or row["eps"] > 0
        if row["val_clean"] > chance_threshold(self.chance):
            return self._end_delay(row, memory)
        if not memory["attacked"] or row["epoch"] < 0.1 * self.epochs or "said" in memory:
            return Observation()
        if "adapted" in memory:
            observation = Observation(alerts=(self._explain_forgetting(row, memory["adapted"]),))
        else:
            observation = self._diagnose(row)
        if observation.alerts:
            memory["said"] = observation.alerts[0].code
        return observation

    def _end_delay(self, row: Row, memory: Memory) -> Observation:
        """Report the first epoch above chance if the delay was reported."""
        if "adapted" in memory:
            return Observation()
        memory["adapted"] = row["epoch"]
        said = memory.pop("said", None)
        if said is None:
            return Observation()
        message = (
            f"adapted in epoch {row['epoch']} of {self.epochs}: validation accuracy is "
            f"{percent(row['val_clean'])}, above chance for the first time."
        )
        if said != "no-adaptation":
            message += f" A longer delay lowers the final accuracy; to shorten it, {self.advice}."
        return Observation(alerts=(Alert("adapted", message),))

    def _diagnose(self, row: Row) -> Observation:
        epoch, trained = row["epoch"], min(row["epoch"], BASELINE_EPOCHS)
        stuck = (
            f"after {epoch} of {counted(self.epochs, 'epoch')} validation accuracy is "
            f"{percent(row['val_clean'])}, no better than chance"
        )
        try:
            accuracy, passes = self.baseline(trained)
        # A failed diagnosis must not end the run.
        except (RampartError, torch.OutOfMemoryError) as error:
            return Observation(alerts=(self._explain_failed_baseline(stuck, error),))
        figures = {"baseline_epochs": trained, "baseline_clean": accuracy}
        reached = f"{percent(accuracy)} after {spell_time(trained, 'epoch')}"
        if accuracy > chance_threshold(self.chance):
            return Observation(figures, (self._explain_delay(stuck, reached),), passes)
        if epoch < min(BASELINE_EPOCHS, self.epochs):
            return Observation(figures, passes=passes)
        return Observation(figures, (self._explain_no_adaptation(stuck, reached),), passes)

    def _explain_delay(self, stuck: str, reached: str) -> Alert:
        return Alert(
            "suboptimal-transfer",
            f"suboptimal transfer: {stuck}. Standard fine-tuning from the same start has "
            f"{reached}, so the attack slows adaptation: {self.advice}.",
        )

    def _explain_no_adaptation(self, stuck: str, reached: str) -> Alert:
        return Alert(
            "no-adaptation",
            f"{stuck}. Standard fine-tuning from the same start does no better ({reached}), so the "
            "attack is not the cause: check optimizer.backbone_lr, optimizer.head_lr and the "
            "labels of the data.",
        )

    def _explain_failed_baseline(self, stuck: str, error: Exception) -> Alert:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        return Alert(
            "unexplained-delay",
            f"{stuck}. Standard fine-tuning from the same start could not be measured ({reason}). "
            f"If it adapts, the attack is the cause: {self.advice}.",
        )

    def _explain_forgetting(self, row: Row, adapted: int) -> Alert:
        return Alert(
            "forgotten-task",
            f"validation accuracy has fallen back to {percent(row['val_clean'])}, no better than "
            f"chance, in epoch {row['epoch']}. It was above chance from epoch {adapted} on. The "
            f"model forgets the task under this attack: {self.advice}.",
        )
