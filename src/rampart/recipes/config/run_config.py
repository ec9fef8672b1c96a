"""The configuration of a run: checked, with the components that it names."""

from functools import cached_property
from typing import Any

from pydantic import model_validator

from rampart.recipes.config.components import Components, build_components
from rampart.recipes.config.rules import check_rules, is_attacked, unlike_baseline
from rampart.schedules.adaptive import Adaptive
from rampart.schema.fields import RunFields
from rampart.threat import ThreatModel

#: Attacks of so many steps may mislead the training (catastrophic overfitting).
FEW_STEPS = 3
#: Steps of the attack after the alert "catastrophic-overfitting", as in the publication.
MORE_STEPS = 7


class RunConfig(RunFields):
    """Everything that determines a run."""

    @cached_property
    def components(self) -> Components:
        """The schedule, the objective, the attacks and the other components; built once."""
        return build_components(self)

    @property
    def threat_model(self) -> ThreatModel:
        """The norm and the target strength."""
        return ThreatModel(self.threat.norm, self.threat.eps)

    @property
    def attacks(self) -> bool:
        """Whether training uses perturbed images."""
        return is_attacked(self, self.components)

    @property
    def normalizes_by_batch(self) -> bool:
        """Whether BatchNorm, if the network has it, is in train mode during training."""
        strategies = self.components.strategies.values()
        return self.model.batch_norm == "train" and not any(
            s.backbone == "frozen" for s in strategies
        )

    @property
    def continues_baseline(self) -> bool:
        """Whether the run continues from the clean baseline after a failed pilot."""
        schedule = self.components.schedule
        if not isinstance(schedule, Adaptive) or not schedule.continues_baseline(
            self.training.epochs
        ):
            return False
        return not unlike_baseline(self, self.components)

    @property
    def takes_few_steps(self) -> bool:
        """Whether the training attack takes so few steps that it may mislead the training."""
        attack = self.components.attack
        return attack.is_single_step or getattr(attack, "steps", FEW_STEPS + 1) <= FEW_STEPS

    @property
    def more_steps(self) -> int:
        """Steps of the attack after the alert "catastrophic-overfitting"; 0 to only warn."""
        wanted = self.training.on_overfitting
        if wanted == "auto":
            wanted = "more-steps" if self.takes_few_steps else "warn"
        return MORE_STEPS if wanted == "more-steps" else 0

    @model_validator(mode="after")
    def _check(self) -> "RunConfig":
        check_rules(self, self.components)
        return self

    def __getstate__(self) -> dict[Any, Any]:
        """Leave out the components: another process builds its own."""
        state = super().__getstate__()
        values = {key: one for key, one in state["__dict__"].items() if key != "components"}
        return {**state, "__dict__": values}
