"""The pilot at full strength: whether a run needs a ramp, found out in its own first epochs."""

from dataclasses import dataclass

from rampart.schedules.times import spell_time
from rampart.skill import skill
from rampart.training.monitors.base import percent

#: Skill (accuracy beyond chance) of standard fine-tuning at which the pilot is decided.
DECIDED = 0.3
#: Less than that at the end of the pilot is too little to tell.
TELLING = 0.1
#: The part of that skill that a run at full strength must have in order to go on.
ENOUGH = 1 / 3


@dataclass(frozen=True)
class Pilot:
    """What a run at full strength reached, beside standard fine-tuning in the same epochs.

    A ramp exists because the attack may delay the adaptation to the task (arXiv 2509.23325), and
    costs epochs at full strength where it does not. Which of the two holds depends on backbone,
    task, strength and objective together, and shows as soon as standard fine-tuning has learned
    something: under an attack that delays, the run then has next to none of it. On the validation
    split of the embedded task the part was 0 to 0.17 where a ramp turned out better, and 0.55 to
    1.1 where it did not; the line is drawn at a third.

    Attributes:
        epochs: how long both were trained.
        clean: accuracy of the run on the validation split.
        standard: that of standard fine-tuning.
        chance: that of the best constant answer, from the training labels.
    """

    epochs: int
    clean: float
    standard: float
    chance: float

    @property
    def decided(self) -> bool:
        """Whether standard fine-tuning has learned enough to compare with."""
        return self._skill(self.standard) >= DECIDED

    @property
    def skill_ratio(self) -> float:
        """The part of standard fine-tuning's skill that the run has, from 0 up; 0 if it has none.

        Skill is the accuracy beyond chance.
        """
        standard = self._skill(self.standard)
        return max(0.0, self._skill(self.clean)) / standard if standard > 0 else 0.0

    @property
    def passed(self) -> bool:
        """Whether the run goes on at full strength."""
        return self.telling and self.skill_ratio >= ENOUGH

    @property
    def telling(self) -> bool:
        """Whether standard fine-tuning has learned anything that the run could lack."""
        return self._skill(self.standard) >= TELLING

    @property
    def verdict(self) -> str:
        """One sentence: what was reached, and how the run goes on."""
        start = f"after {spell_time(self.epochs, 'epoch')} at full strength"
        reached = f"validation accuracy is {percent(self.clean)}, {percent(self.standard)} after "
        reached += "standard fine-tuning"
        if self.passed:
            return (
                f"{start} {reached}: the attack delays little, so the run goes on without a ramp."
            )
        if not self.telling:
            return f"{start} {reached}, too little to tell, so the run starts over with a ramp."
        return f"{start} {reached}: the attack delays, so the run starts over with a ramp."

    def _skill(self, accuracy: float) -> float:
        return skill(accuracy, self.chance)
