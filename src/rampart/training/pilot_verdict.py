"""The pilot: the first epochs of a run at full strength decide whether it needs a ramp."""

import math
from dataclasses import dataclass

from rampart.schedules.adaptive import Stop
from rampart.schedules.times import spell_time
from rampart.skill import skill
from rampart.training.monitors.base import Alert, percent

#: The pilot ends when standard fine-tuning has this skill (accuracy beyond chance).
DECIDED = 0.3
#: With less skill of standard fine-tuning at the end, the pilot cannot decide.
TELLING = 0.1
#: Standard errors from the limit at which a verdict is certain; chance alone goes beyond them on
#: one side in one of 40 pilots.
CERTAIN = 2.0
#: The run needs this fraction of that skill to continue at full strength.
ENOUGH = 1 / 3
#: A run that has passed is looked at once more after so many times the epochs of its pilot. It then
#: needs this fraction of the skill that standard fine-tuning had at the end of the pilot.
LATER, LATER_ENOUGH = 2, 1 / 2


@dataclass(frozen=True)
class Pilot:
    """A run at full strength compared with standard fine-tuning after the same epochs.

    A ramp helps if the attack delays the adaptation to the task (arXiv 2509.23325). Otherwise it
    only costs epochs at full strength. The delay depends on backbone, task, strength and objective
    together. It shows as soon as standard fine-tuning has learned something: a delayed run then
    has almost no skill. On the validation split of the embedded task the skill ratio was 0 to 0.17
    where a ramp turned out better, and 0.55 to 1.1 where it did not; the limit is 1/3.

    Attributes:
        epochs: number of epochs that both were trained for.
        clean: validation accuracy of the run.
        standard: validation accuracy of standard fine-tuning.
        chance: accuracy of the best constant answer, from the training labels.
        images: number of validation images.
        stop: "learned" or "certain": what ends the pilot, and decides it.
    """

    epochs: int
    clean: float
    standard: float
    chance: float
    images: int = 0
    stop: Stop = "learned"

    @property
    def decided(self) -> bool:
        """Whether the pilot may end.

        "learned": standard fine-tuning has learned enough for the comparison. "certain": it has
        learned something, and the distance from the limit is `CERTAIN` standard errors.
        """
        if self.stop == "learned":
            return self._skill(self.standard) >= DECIDED
        return self.telling and abs(self.errors) >= CERTAIN

    @property
    def errors(self) -> float:
        """Distance from the limit, in standard errors; above 0 the run keeps up.

        The skill of the run minus the limit times that of standard fine-tuning, as if the
        validation images of both were drawn independently. Both have answered the same ones, so the
        error is smaller in truth. A fraction of 0 or 1 has the error of one wrong image.
        """
        return self._errors(self.clean, ENOUGH)

    def falls_behind(self, epoch: int, clean: float) -> bool:
        """Whether a run that has passed hardly learns afterwards; only with "certain".

        After twice the epochs of the pilot it has less than half of the skill that standard
        fine-tuning had at the end of the pilot, by more than `CERTAIN` standard errors. A run that
        ends a little below standard fine-tuning, as robust ones do, does not fall behind.

        Args:
            epoch: number of finished epochs of the run.
            clean: its validation accuracy.
        """
        due = self.stop == "certain" and self.passed and epoch == LATER * self.epochs
        return due and self._errors(clean, LATER_ENOUGH) < -CERTAIN

    def _errors(self, clean: float, fraction: float) -> float:
        """Skill of `clean` minus a fraction of that of the clean baseline, in standard errors."""
        distance = self._skill(clean) - fraction * self._skill(self.standard)
        parts = ((clean, 1.0), (self.standard, fraction))
        variance = sum((w * w) * max(p * (1 - p), 1 / self.images) for p, w in parts) / self.images
        return distance * (1 - self.chance) / math.sqrt(variance)

    @property
    def skill_ratio(self) -> float:
        """Skill of the run / skill of standard fine-tuning, 0 or more; 0 if the latter has none."""
        standard = self._skill(self.standard)
        return max(0.0, self._skill(self.clean)) / standard if standard > 0 else 0.0

    @property
    def passed(self) -> bool:
        """Whether the run continues at full strength; with "certain" it does not in doubt."""
        if self.stop == "certain":
            return self.telling and self.errors >= CERTAIN
        return self.telling and self.skill_ratio >= ENOUGH

    @property
    def telling(self) -> bool:
        """Whether standard fine-tuning has learned enough for a decision."""
        return self._skill(self.standard) >= TELLING

    @property
    def verdict(self) -> str:
        """What was measured, and how the run continues, in two sentences."""
        measured = (
            f"after {spell_time(self.epochs, 'epoch')} at full strength validation accuracy is "
            f"{percent(self.clean)} (standard fine-tuning: {percent(self.standard)})."
        )
        if self.passed:
            return f"{measured} The attack hardly slows adaptation; continuing without a ramp."
        if not self.telling:
            return f"{measured} This is too little to decide; training with a ramp."
        if not self.decided and self.stop == "certain":
            return f"{measured} The difference may be chance; training with a ramp."
        return f"{measured} The attack slows adaptation; training with a ramp."

    def late_alert(self, epoch: int, clean: float) -> Alert:
        """Say that the run falls behind, and what follows."""
        return Alert(
            "fell-behind",
            f"after {spell_time(epoch, 'epoch')} validation accuracy is {percent(clean)}; standard "
            f"fine-tuning had {percent(self.standard)} after {spell_time(self.epochs, 'epoch')}. "
            "The attack slows adaptation after all, so eps follows the ramp from here on.",
        )

    def _skill(self, accuracy: float) -> float:
        return skill(accuracy, self.chance)
