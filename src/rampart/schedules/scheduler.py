"""The stepper: it follows a schedule through a run and holds all of its state."""

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Literal, get_args

from rampart.counting import counted
from rampart.errors import InvalidArgument, UnknownName
from rampart.schedules.base import Schedule, State
from rampart.skill import skill
from rampart.units import Horizon, Norm, parse_eps

UpdateInterval = Literal["step", "epoch"]


class EpsilonScheduler:
    """Follows a schedule through a run; used like a `torch.optim.lr_scheduler`.

    `eps` and `alpha` belong to the next optimizer step. Call `step()` after each optimizer step. An
    adaptive schedule needs `step(accuracy)`, the accuracy on the batch at the strength of the step.
    `auto` needs `observe(accuracy)` at the end of each epoch, the accuracy on the validation split.

        >>> from rampart.schedules.hinge import TwoHinge
        >>> scheduler = EpsilonScheduler(TwoHinge.at_epochs(1, 3), 4 / 255, Horizon(4, 2))
        >>> for _ in range(4):
        ...     scheduler.step()
        >>> scheduler.position, scheduler.alpha
        (2.0, 0.5)

    Args:
        schedule: gives alpha(t).
        eps_g: the target strength, a fraction of the pixel range such as 4/255.
        horizon: the length of the run.
        interval: "step" changes eps at every optimizer step; "epoch" takes t = floor(epoch),
            as the publication does (arXiv 2509.23325).
        norm: the norm whose range applies to `eps_g`.
        chance: accuracy of the best constant answer: `rampart.skill.chance_of(labels)` of the
            training labels, or 1/K for K classes of the same size. Adaptive schedules need it.
        probe: epochs at `eps_g` before the schedule begins, in which only the head is trained; the
            schedule then extends over the other epochs.

    Raises:
        InvalidArgument: a time after the end of the run, an `eps_g` out of range, no `chance` for a
            schedule that needs it, or no epochs after the probe.
    """

    def __init__(
        self,
        schedule: Schedule,
        eps_g: str | float,
        horizon: Horizon,
        interval: UpdateInterval = "step",
        *,
        norm: Norm = "linf",
        chance: float | None = None,
        probe: int = 0,
    ) -> None:
        if not 0 <= probe < horizon.epochs:
            expected = f"0 or more, and less than the run's {counted(horizon.epochs, 'epoch')}"
            raise InvalidArgument("probe", counted(probe, "epoch"), expected, "train for longer")
        if interval not in get_args(UpdateInterval):
            raise UnknownName("interval", str(interval), get_args(UpdateInterval))
        if schedule.needs_accuracy and (chance is None or not 0 <= chance < 1):
            expected = f"an accuracy in [0, 1), for {_name_schedule(schedule)}"
            advice = "write chance_of(labels), or 1/K for K classes of the same size"
            raise InvalidArgument("chance", chance, expected, advice)
        self.probe = probe
        self._rest = replace(horizon, epochs=horizon.epochs - probe)
        schedule.check(self._rest)
        self.schedule = schedule
        self.eps_g = parse_eps(eps_g, norm, "eps_g")
        self.horizon = horizon
        self.interval = interval
        self.chance = chance
        self.steps_done = 0
        self._epochs_observed = 0
        self._state = schedule.initial_state()
        # The state that gives alpha; with interval "epoch" that of the beginning of the epoch.
        self._alpha_state = self._state

    @property
    def position(self) -> float:
        """Number of finished epochs, with the fraction of the current one."""
        return self.steps_done / self.horizon.steps_per_epoch

    @property
    def probing(self) -> bool:
        """Whether the next step belongs to the probe."""
        return self.steps_done < self._probe_steps

    @property
    def alpha(self) -> float:
        """Fraction of eps_g at the current position, in [0, 1]."""
        if self.probing:
            return 1.0
        return self.schedule.alpha(*self._time(), self._alpha_state)

    @property
    def eps(self) -> float:
        """Strength at the current position, a fraction of the pixel range."""
        return self.alpha * self.eps_g

    def alpha_at(self, step: int) -> float:
        """Return alpha at a step, counted from 0, with the present state of the schedule."""
        there = copy.copy(self)
        there.steps_done = step
        return there.alpha

    @property
    def follows(self) -> bool:
        """Whether the strengths depend on the run, so that they are unknown beforehand."""
        return self.schedule.needs_accuracy or self.schedule.needs_validation

    def warnings(self) -> list[str]:
        """Return warnings of options that are valid but unlikely to be meant in this run."""
        found = self.schedule.warnings(self._rest)
        parts = self._rest.epochs if self.interval == "epoch" else self._rest.steps
        last, arrival = 1 - 1 / parts, self.schedule.arrival
        if arrival is not None and last < arrival - 1e-9:
            found.append(
                f"the run may end before eps_g: the schedule may reach it only at {arrival:.0%} of "
                f"the run, and the last {self.interval} begins at {last:.0%}. Train for longer, or "
                "set schedule.deadline earlier."
            )
        return found

    @property
    def decision(self) -> str | None:
        """The decision of an adaptive schedule after the last step.

        None for other schedules, and in the probe.
        """
        return None if self._before_schedule else (self._state or {}).get("decision")

    def start_at(self, alpha: float) -> None:
        """Go on from a fraction of eps_g, such as one that the backbone withstands.

        Raises:
            InvalidArgument: `alpha` lies outside [0, 1].
        """
        if not 0 <= alpha <= 1:
            raise InvalidArgument("alpha", alpha, "a fraction of eps_g in [0, 1]")
        self._state = self._alpha_state = self.schedule.start_at(self._state, alpha)

    def start_after(self, steps: int) -> None:
        """Start after so many steps without an attack, which another run has made."""
        self.steps_done = steps
        self._epochs_observed = steps // self.horizon.steps_per_epoch
        self._state = self._alpha_state = self.schedule.start_after(self._state, *self._time())

    def step(self, accuracy: float | None = None) -> None:
        """Advance by one optimizer step; after the end of the run the value stays.

        Args:
            accuracy: accuracy on the batch at the strength of the step.

        Raises:
            InvalidArgument: an accuracy outside [0, 1], None for a schedule that needs it, or a
                missing `observe` after the last epoch for a schedule that needs validation.
        """
        self._require_observed()
        follows = self.schedule.needs_accuracy and not self.probing
        skill = self._skill(accuracy) if follows else None
        self.steps_done += 1
        if skill is not None:
            self._state = self.schedule.watch(self._state, *self._time("step"), skill)
        if self.interval == "step" or self.steps_done % self.horizon.steps_per_epoch == 0:
            self._alpha_state = self._state

    def observe(self, metric: float) -> None:
        """Give the schedule the clean validation accuracy, in [0, 1], at the end of an epoch."""
        self._epochs_observed = self.steps_done // self.horizon.steps_per_epoch
        if self._before_schedule:
            return
        self._state = self._alpha_state = self.schedule.observe(self._state, *self._time(), metric)

    def state_dict(self) -> State:
        """Return position, state and identity as plain values that JSON can hold."""
        learned = {
            "state": self._state,
            "shown": self._alpha_state,
            "observed": self._epochs_observed,
        }
        state = {**self._identity(), "steps_done": self.steps_done, **learned}
        # A copy as a file would return it: tuples become lists.
        return dict(json.loads(json.dumps(state)))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the state that `state_dict` returned.

        Raises:
            InvalidArgument: the state belongs to another schedule, strength or run length.
        """
        own = self.state_dict()
        if missing := own.keys() - state.keys():
            expected = "the result of EpsilonScheduler.state_dict()"
            raise InvalidArgument("state", f"without {', '.join(sorted(missing))}", expected)
        for key in self._identity():
            if state[key] != own[key]:
                raise InvalidArgument(
                    f"state.{key}",
                    state[key],
                    f"{own[key]}, as in this run",
                    "resume with the configuration of the saved state",
                )
        self.steps_done = int(state["steps_done"])
        self._epochs_observed = int(state["observed"])
        self._state = json.loads(json.dumps(state["state"]))
        self._alpha_state = json.loads(json.dumps(state["shown"]))

    def _identity(self) -> State:
        return {
            "schedule": {"class": type(self.schedule).__name__, **asdict(self.schedule)},
            "eps_g": self.eps_g,
            "epochs": self.horizon.epochs,
            "steps_per_epoch": self.horizon.steps_per_epoch,
            "interval": self.interval,
            "probe": self.probe,
        }

    @property
    def _probe_steps(self) -> int:
        return self.probe * self.horizon.steps_per_epoch

    @property
    def _before_schedule(self) -> bool:
        """Whether all steps so far belong to a probe."""
        return self.probe > 0 and self.steps_done <= self._probe_steps

    def _skill(self, accuracy: float | None) -> float:
        """Return the skill on a batch; refuse an accuracy outside [0, 1]."""
        if accuracy is None or not 0 <= accuracy <= 1:
            raise InvalidArgument(
                "accuracy",
                accuracy,
                f"the accuracy on the batch, in [0, 1], for {_name_schedule(self.schedule)}",
                "call step(accuracy) after each optimizer step",
            )
        assert self.chance is not None, "refused at construction"
        return skill(accuracy, self.chance)

    def _require_observed(self) -> None:
        """Refuse to continue without the validation accuracy that the schedule needs."""
        epochs = self.steps_done // self.horizon.steps_per_epoch
        if self.schedule.needs_validation and epochs > self._epochs_observed:
            raise InvalidArgument(
                "schedule",
                f"no validation accuracy after epoch {epochs}",
                f"one after every epoch, for {_name_schedule(self.schedule)}",
                "call observe(accuracy) at the end of each epoch, or use a schedule that needs no "
                "validation data, such as Adaptive",
            )

    def _time(self, interval: UpdateInterval | None = None) -> tuple[float, float]:
        """Return (t, T) in the unit of the schedule; epochs for a schedule in fractions.

        They count from the end of the probe.
        """
        per_epoch = self.horizon.steps_per_epoch
        done = self.steps_done - self._probe_steps
        epoch = (interval or self.interval) == "epoch"
        steps = done // per_epoch * per_epoch if epoch else done
        if self.schedule.unit == "step":
            return steps, self._rest.steps
        return steps / per_epoch, self._rest.epochs


def _name_schedule(schedule: Schedule) -> str:
    return f"the schedule {type(schedule).__name__}"
