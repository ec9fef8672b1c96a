"""Suboptimal transfer, seen while it happens: the attack keeps a model from adapting to its task.

Ngnawé et al. 2026 (arXiv 2509.23325): under a robust objective the clean accuracy of a model that
was pretrained without one may stay at chance for most of a run, the longer the stronger the attack,
and the later it rises, the lower it ends. Standard fine-tuning adapts at once, so a clean baseline
of the run without any attack tells this from a task or learning rates that no training gets along
with.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from rampart.errors import RampartError
from rampart.metrics.adaptation import ADAPTED
from rampart.schedules.times import spell_time
from rampart.training.monitors.base import Alert, Memory, Monitor, Observation, Row, percent

#: Number of epochs to the validation clean accuracy of standard fine-tuning after so many.
BaselineAccuracy = Callable[[int], float]
#: the clean baseline trains for so many epochs at most.
BASELINE_EPOCHS = 3


def chance_threshold(chance: float) -> float:
    """Return the validation accuracy up to which a model sits at chance.

    max(5 %, 2 · chance); the publication's delay is the first epoch above 5 %, which presumes many
    classes. With few, twice chance would be near 1 or beyond it, and a tenth of the way from
    chance to 1 counts where that is less (from 11 classes down).

    Args:
        chance: accuracy of the best constant answer: 1/K for K balanced classes.
    """
    return max(ADAPTED, min(2 * chance, chance + 0.1 * (1 - chance)))


@dataclass(frozen=True)
class Transfer(Monitor):
    """Says when a run sits at chance under attack, while standard fine-tuning does not.

    The first alert comes after at least a tenth of the epochs, one of which was attacked. The
    clean baseline is asked for as many epochs as the run has done, three at most. While it sits at
    chance as well, it is too early to tell, and it is asked again after the next epoch, up to the
    third. So it costs 2 passes an image for each of 6 epochs at most. Its figures are
    `baseline_epochs` and `baseline_clean`.

    Attributes:
        chance: accuracy of the best constant answer, from the training labels.
        epochs: length of the run.
        baseline: trains a copy of the initial model without attack.
        advice: what to change if it is the attack that delays.
    """

    name: ClassVar[str] = "transfer"

    chance: float
    epochs: int
    baseline: BaselineAccuracy
    advice: str

    def query(self, model: nn.Module, row: Row, memory: Memory) -> Observation:
        """Return an alert when the run first sits at chance, and when that ends."""
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
        """The first epoch above chance ends a delay that was spoken of."""
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
            message += f" The longer the delay, the lower a run ends; to shorten it, {self.advice}."
        return Observation(alerts=(Alert("adapted", message),))

    def _diagnose(self, row: Row) -> Observation:
        epoch, trained = row["epoch"], min(row["epoch"], BASELINE_EPOCHS)
        stuck = (
            f"after {epoch} of {self.epochs} epochs validation accuracy is "
            f"{percent(row['val_clean'])}, no better than chance"
        )
        try:
            accuracy = self.baseline(trained)
        # A diagnosis that fails must not end the run.
        except (RampartError, torch.OutOfMemoryError) as error:
            return Observation(alerts=(self._explain_failed_baseline(stuck, error),))
        figures = {"baseline_epochs": trained, "baseline_clean": accuracy}
        reached = f"{percent(accuracy)} after {spell_time(trained, 'epoch')}"
        if accuracy > chance_threshold(self.chance):
            return Observation(figures, (self._explain_delay(stuck, reached),))
        if epoch < min(BASELINE_EPOCHS, self.epochs):
            return Observation(figures)
        return Observation(figures, (self._explain_no_adaptation(stuck, reached),))

    def _explain_delay(self, stuck: str, reached: str) -> Alert:
        return Alert(
            "suboptimal-transfer",
            f"suboptimal transfer: {stuck}, while standard fine-tuning from the same start has "
            f"{reached}. The attack delays the adaptation: {self.advice}.",
        )

    def _explain_no_adaptation(self, stuck: str, reached: str) -> Alert:
        return Alert(
            "no-adaptation",
            f"{stuck}, and neither is standard fine-tuning from the same start ({reached}). So far "
            "it is not the attack: look at optimizer.backbone_lr, optimizer.head_lr and the labels "
            "of the data.",
        )

    def _explain_failed_baseline(self, stuck: str, error: Exception) -> Alert:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        return Alert(
            "unexplained-delay",
            f"{stuck}; standard fine-tuning from the same start could not be tried ({reason}). If "
            f"that adapts, the attack delays the adaptation: {self.advice}.",
        )

    def _explain_forgetting(self, row: Row, adapted: int) -> Alert:
        return Alert(
            "forgotten-task",
            f"validation accuracy has fallen back to {percent(row['val_clean'])}, no better than "
            f"chance, in epoch {row['epoch']}, although it was above from epoch {adapted} on. "
            f"Under this attack it does not keep what it has learned: {self.advice}.",
        )
