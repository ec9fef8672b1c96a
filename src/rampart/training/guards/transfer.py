"""Suboptimal transfer, seen while it happens: the attack keeps a model from adapting to its task.

Ngnawé et al. 2026 (arXiv 2509.23325): under a robust objective the clean accuracy of a model that
was pretrained without one may stay at chance for most of a run, the longer the stronger the attack,
and the later it rises, the lower it ends. Standard fine-tuning adapts at once, so a twin of the run
without any attack tells this from a task or learning rates that no training gets along with.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from rampart.errors import RampartError
from rampart.metrics.adaptation import ADAPTED
from rampart.schedules.times import spell_time
from rampart.training.guards.base import Guard, Look, Memory, Remark, Row, percent

#: Number of epochs to the validation clean accuracy of standard fine-tuning after so many.
Twin = Callable[[int], float]
#: The twin trains for so many epochs at most.
TWIN_EPOCHS = 3


def chance_level(chance: float) -> float:
    """Return the validation accuracy up to which a model sits at chance.

    max(5 %, 2 · chance); the publication's delay is the first epoch above 5 %, which presumes many
    classes. With few, twice chance would be near 1 or beyond it, and a tenth of the way from
    chance to 1 counts where that is less (from 11 classes down).

    Args:
        chance: accuracy of the best constant answer: 1/K for K balanced classes.
    """
    return max(ADAPTED, min(2 * chance, chance + 0.1 * (1 - chance)))


@dataclass(frozen=True)
class Transfer(Guard):
    """Says when a run sits at chance under attack, while standard fine-tuning does not.

    The first remark comes after at least a tenth of the epochs, one of which was attacked. The
    twin is asked for as many epochs as the run has done, three at most. While it sits at chance
    as well, it is too early to tell, and it is asked again after the next epoch, up to the third.
    So it costs 2 passes an image for each of 6 epochs at most. Its figures are `twin_epochs` and
    `twin_clean`.

    Attributes:
        chance: accuracy of the best constant answer, from the training labels.
        epochs: length of the run.
        twin: trains a copy of the initial model without attack.
        advice: what to change if it is the attack that delays.
    """

    name: ClassVar[str] = "transfer"

    chance: float
    epochs: int
    twin: Twin
    advice: str

    def query(self, model: nn.Module, row: Row, memory: Memory) -> Look:
        """Return a remark when the run first sits at chance, and when that ends."""
        memory["attacked"] = memory.get("attacked", False) or row["eps"] > 0
        if row["val_clean"] > chance_level(self.chance):
            return self._above(row, memory)
        if not memory["attacked"] or row["epoch"] < 0.1 * self.epochs or "said" in memory:
            return Look()
        if "adapted" in memory:
            look = Look(remarks=(self._fallen(row, memory["adapted"]),))
        else:
            look = self._diagnosis(row)
        if look.remarks:
            memory["said"] = look.remarks[0].code
        return look

    def _above(self, row: Row, memory: Memory) -> Look:
        """The first epoch above chance ends a delay that was spoken of."""
        if "adapted" in memory:
            return Look()
        memory["adapted"] = row["epoch"]
        said = memory.pop("said", None)
        if said is None:
            return Look()
        message = (
            f"adapted in epoch {row['epoch']} of {self.epochs}: validation accuracy is "
            f"{percent(row['val_clean'])}, above chance for the first time."
        )
        if said != "no-adaptation":
            message += f" The longer the delay, the lower a run ends; to shorten it, {self.advice}."
        return Look(remarks=(Remark("adapted", message),))

    def _diagnosis(self, row: Row) -> Look:
        epoch, trained = row["epoch"], min(row["epoch"], TWIN_EPOCHS)
        stuck = (
            f"after {epoch} of {self.epochs} epochs validation accuracy is "
            f"{percent(row['val_clean'])}, no better than chance"
        )
        try:
            accuracy = self.twin(trained)
        # A diagnosis that fails must not end the run.
        except (RampartError, torch.OutOfMemoryError) as error:
            return Look(remarks=(self._unknown(stuck, error),))
        figures = {"twin_epochs": trained, "twin_clean": accuracy}
        reached = f"{percent(accuracy)} after {spell_time(trained, 'epoch')}"
        if accuracy > chance_level(self.chance):
            return Look(figures, (self._delayed(stuck, reached),))
        if epoch < min(TWIN_EPOCHS, self.epochs):
            return Look(figures)
        return Look(figures, (self._lost(stuck, reached),))

    def _delayed(self, stuck: str, reached: str) -> Remark:
        return Remark(
            "suboptimal-transfer",
            f"suboptimal transfer: {stuck}, while standard fine-tuning from the same start has "
            f"{reached}. The attack delays the adaptation: {self.advice}.",
        )

    def _lost(self, stuck: str, reached: str) -> Remark:
        return Remark(
            "no-adaptation",
            f"{stuck}, and neither is standard fine-tuning from the same start ({reached}). So far "
            "it is not the attack: look at optimizer.backbone_lr, optimizer.head_lr and the labels "
            "of the data.",
        )

    def _unknown(self, stuck: str, error: Exception) -> Remark:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        return Remark(
            "unexplained-delay",
            f"{stuck}; standard fine-tuning from the same start could not be tried ({reason}). If "
            f"that adapts, the attack delays the adaptation: {self.advice}.",
        )

    def _fallen(self, row: Row, adapted: int) -> Remark:
        return Remark(
            "forgotten-task",
            f"validation accuracy has fallen back to {percent(row['val_clean'])}, no better than "
            f"chance, in epoch {row['epoch']}, although it was above from epoch {adapted} on. "
            f"Under this attack it does not keep what it has learned: {self.advice}.",
        )
