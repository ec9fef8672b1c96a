"""The schedule's contract, the stepper that follows one through a run, and the preview.

A schedule is a frozen value with a pure alpha(t, T); `EpsilonScheduler` is all that remembers.
"""

import copy
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, final, get_args

from rampart.errors import InvalidArgument, UnknownName
from rampart.registry import Registry
from rampart.units import Horizon, Norm, parse_eps

TimeUnit = Literal["share", "epoch", "step"]
Granularity = Literal["step", "epoch"]
#: What a schedule has learned from the run so far: plain values that JSON can hold.
State = dict[str, Any]


@dataclass(frozen=True)
class Schedule(ABC):
    """A function alpha(t, T) with values in [0, 1]; eps(t) = alpha(t) · eps_g.

    A subclass defines `_alpha`; one with times also `_times`; one that follows the run also
    `initial_state` and `observe` (validation, between epochs) or `watch` (training, every step).
    An option that is out of range raises `InvalidArgument` at construction.
    """

    @property
    def unit(self) -> TimeUnit:
        """The unit of its times, and of t and T; "share" accepts any, the same for both."""
        return "share"

    @property
    def needs_validation(self) -> bool:
        """Whether it must be shown the validation accuracy after every epoch."""
        return False

    @property
    def needs_accuracy(self) -> bool:
        """Whether it must be shown the accuracy on the batch after every step."""
        return False

    @property
    def arrival(self) -> float | None:
        """Share of the run from which the target is reached whatever happens, if that is known."""
        return None

    @property
    def trial(self) -> float:
        """Share of the run for which full strength is tried first, by `rampart train`.

        A trial that fails starts the run over, which a schedule cannot do by itself.
        """
        return 0.0

    @final
    def alpha(self, t: float, T: float, state: State | None = None) -> float:
        """Return the share of eps_g at time t, in [0, 1]; beyond T the value at T.

        Args:
            t: time since the start of the run, in `unit`, 0 or more.
            T: length of the run in the same unit, more than 0.
            state: for a schedule with a state; None stands for its initial state.

        Raises:
            InvalidArgument: t is negative, or T is not positive.
        """
        if not (T > 0 and math.isfinite(T)):
            raise InvalidArgument("T", T, "a positive length of the run")
        if not t >= 0:
            raise InvalidArgument("t", t, "a time from 0 on")
        return self._alpha(min(t, T), T, self.initial_state() if state is None else state)

    @abstractmethod
    def _alpha(self, t: float, T: float, state: State | None, /) -> float:
        """Return alpha for 0 <= t <= T."""

    def _times(self) -> dict[str, float]:
        """Return the options that are times, by name, in `unit`."""
        return {}

    def check(self, horizon: Horizon) -> None:
        """Raise `InvalidArgument` if a time lies beyond the run."""
        lengths = {"share": 1, "epoch": horizon.epochs, "step": horizon.steps}
        length = lengths[self.unit]
        for name, time in self._times().items():
            if time > length:
                raise InvalidArgument(
                    f"schedule.{name}",
                    spell_time(time, self.unit),
                    f"at most the run's {spell_time(length, self.unit)}",
                    "lower it, lengthen the run, or state times as shares of the run",
                )

    # Most schedules have nothing to warn of and nothing to learn: arguments of the contract only.
    def warnings(self, horizon: Horizon) -> list[str]:
        """Return sentences on what is allowed but hardly meant in a run of this length."""
        return []

    def initial_state(self) -> State | None:
        """Return the state before the first epoch; None for a schedule without a state."""
        return None

    def start_at(self, state: State | None, level: float) -> State | None:
        """Return the state of a run whose backbone withstands `level`, a share of eps_g, already.

        Only a schedule that adapts makes use of it.
        """
        return state

    def watch(self, state: State | None, t: float, T: float, skill: float) -> State | None:
        """Return the next state, given how the model did on the batch of a step.

        Args:
            state: the state before; it is not changed.
            t: time at the end of the step, in `unit`.
            T: length of the run, in `unit`.
            skill: accuracy on the batch at the strength that it was trained with, beyond chance:
                (accuracy - 1/K) / (1 - 1/K) for K classes, 0 for guessing and 1 for perfect.
        """
        return state

    def observe(
        self,
        state: State | None,
        t: float,
        T: float,
        metric: float,
    ) -> State | None:
        """Return the next state, given the validation clean accuracy at the end of an epoch.

        Args:
            state: the state before; it is not changed.
            t: time at the end of the epoch, in `unit`.
            T: length of the run, in `unit`.
            metric: clean accuracy on the validation split, a share in [0, 1].
        """
        return state


SCHEDULES: Registry[Schedule] = Registry("schedule")


def _named(schedule: Schedule) -> str:
    return f"the schedule {type(schedule).__name__}"


def spell_time(time: float, unit: TimeUnit) -> str:
    """Return a time with its unit: "37 epochs", "1 step", "0.75 of the run"."""
    if unit == "share":
        return f"{time:g} of the run"
    return f"{time:.10g} {unit}{'' if time == 1 else 's'}"


def check_time(name: str, time: float, unit: TimeUnit) -> None:
    """Raise unless `unit` is known and `time` is possible in it, whatever the run's length.

    Raises:
        UnknownName: the unit is not "share", "epoch" or "step".
        InvalidArgument: a time that is negative, not finite, or a share above 1.
    """
    if unit not in get_args(TimeUnit):
        raise UnknownName("unit of time", str(unit), get_args(TimeUnit))
    if unit == "share":
        advice = "write unit=epoch or unit=step if that is meant" if time > 1 else ""
        check_share_of_run(name, time, advice)
    elif not (time >= 0 and math.isfinite(time)):
        raise InvalidArgument(f"schedule.{name}", spell_time(time, unit), "a time from 0 on")


def check_share_of_run(name: str, share: float, advice: str = "") -> None:
    """Raise `InvalidArgument` unless the schedule's option `name` is in [0, 1]."""
    if not 0 <= share <= 1:
        expected = "a share of the run in [0, 1]"
        raise InvalidArgument(f"schedule.{name}", f"{share:g}", expected, advice)


class EpsilonScheduler:
    """Follows a schedule through a run; handled like a `torch.optim.lr_scheduler`.

    `eps` and `alpha` are those of the optimiser step about to be made. Call `step(accuracy)` after
    each optimiser step, with the share of the batch that was right at the strength it was trained
    with (most schedules do without: `step()`), and, once an epoch has ended, `observe(accuracy)`
    with that on the validation split (only `auto` needs it).

        >>> from rampart.schedules.hinge import TwoHinge
        >>> scheduler = EpsilonScheduler(TwoHinge.at_epochs(1, 3), 4 / 255, Horizon(4, 2))
        >>> for _ in range(4):
        ...     scheduler.step()
        >>> scheduler.position, scheduler.alpha
        (2.0, 0.5)

    Args:
        schedule: gives alpha(t).
        eps_g: the goal, a fraction of the pixel range such as 4/255.
        horizon: the length of the run.
        granularity: "step" changes eps at every optimiser step; "epoch" takes t = floor(epoch),
            as the publication does (arXiv 2509.23325).
        norm: the norm whose range applies to `eps_g`.
        classes: K, which says what accuracy chance has; a schedule that follows the accuracy of
            the batches needs it.

    Raises:
        InvalidArgument: a time beyond the run, a strength on another scale, or no `classes` where
            the schedule needs them.
    """

    def __init__(
        self,
        schedule: Schedule,
        eps_g: str | float,
        horizon: Horizon,
        granularity: Granularity = "step",
        *,
        norm: Norm = "linf",
        classes: int | None = None,
    ) -> None:
        if granularity not in get_args(Granularity):
            raise UnknownName("granularity", str(granularity), get_args(Granularity))
        if schedule.needs_accuracy and (classes is None or classes < 2):
            raise InvalidArgument("classes", classes, f"their number, for {_named(schedule)}")
        schedule.check(horizon)
        self.schedule = schedule
        self.eps_g = parse_eps(eps_g, norm, "eps_g")
        self.horizon = horizon
        self.granularity = granularity
        self.classes = classes
        self.steps_done = 0
        self._epochs_observed = 0
        self._state = schedule.initial_state()
        # What alpha is read from: with granularity "epoch" as it was when the epoch began.
        self._shown = self._state

    @property
    def position(self) -> float:
        """Epochs done, with the fraction of the current one."""
        return self.steps_done / self.horizon.steps_per_epoch

    @property
    def alpha(self) -> float:
        """Share of eps_g at the current position, in [0, 1]."""
        return self.schedule.alpha(*self._time(), self._shown)

    @property
    def eps(self) -> float:
        """Strength at the current position: a fraction of the pixel range."""
        return self.alpha * self.eps_g

    def alpha_at(self, step: int) -> float:
        """Return the share of eps_g at a step, counted from 0, as far as it is known by now."""
        there = copy.copy(self)
        there.steps_done = step
        return there.alpha

    @property
    def follows(self) -> bool:
        """Whether the schedule is adaptive, so that nobody knows its strengths beforehand."""
        return self.schedule.needs_accuracy or self.schedule.needs_validation

    def warnings(self) -> list[str]:
        """Return sentences on what is allowed but hardly meant in this run."""
        found = self.schedule.warnings(self.horizon)
        parts = self.horizon.epochs if self.granularity == "epoch" else self.horizon.steps
        last, arrival = 1 - 1 / parts, self.schedule.arrival
        if arrival is not None and last < arrival - 1e-9:
            found.append(
                f"no {self.granularity} is sure to be trained at eps_g, which is reached at "
                f"{arrival:.0%} of the run at the latest, while the last {self.granularity} begins "
                f"at {last:.0%}: train for longer, or set schedule.deadline earlier."
            )
        return found

    @property
    def decision(self) -> str | None:
        """What an adaptive schedule made of the last step, in a word; None for other schedules."""
        return (self._state or {}).get("decision")

    def start_at(self, level: float) -> None:
        """Tell the schedule, before the first step, what share of eps_g the backbone withstands.

        Raises:
            InvalidArgument: no share in [0, 1].
        """
        if not 0 <= level <= 1:
            raise InvalidArgument("level", level, "a share of eps_g in [0, 1]")
        self._state = self._shown = self.schedule.start_at(self._state, level)

    def step(self, accuracy: float | None = None) -> None:
        """Move on by one optimiser step; beyond the end of the run the value stays.

        Args:
            accuracy: share of the batch that was right at the strength that it was trained with.

        Raises:
            InvalidArgument: no share in [0, 1], or None where the schedule needs it; or the last
                epoch's validation accuracy was not shown to a schedule that needs that.
        """
        self._require_observed()
        skill = self._skill(accuracy) if self.schedule.needs_accuracy else None
        self.steps_done += 1
        if skill is not None:
            self._state = self.schedule.watch(self._state, *self._time("step"), skill)
        if self.granularity == "step" or self.steps_done % self.horizon.steps_per_epoch == 0:
            self._shown = self._state

    def observe(self, metric: float) -> None:
        """Show the schedule the validation clean accuracy (a share) at the end of an epoch."""
        self._epochs_observed = self.steps_done // self.horizon.steps_per_epoch
        self._state = self._shown = self.schedule.observe(self._state, *self._time(), metric)

    def state_dict(self) -> State:
        """Return position, state and identity as plain values that JSON can hold."""
        learned = {"state": self._state, "shown": self._shown, "observed": self._epochs_observed}
        state = {**self._identity(), "steps_done": self.steps_done, **learned}
        # A copy in the form in which a file gives it back: tuples are lists.
        return dict(json.loads(json.dumps(state)))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken.

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
                    "resume with the configuration that the state was saved under",
                )
        self.steps_done = int(state["steps_done"])
        self._epochs_observed = int(state["observed"])
        self._state = json.loads(json.dumps(state["state"]))
        self._shown = json.loads(json.dumps(state["shown"]))

    def _identity(self) -> State:
        return {
            "schedule": {"class": type(self.schedule).__name__, **asdict(self.schedule)},
            "eps_g": self.eps_g,
            "epochs": self.horizon.epochs,
            "steps_per_epoch": self.horizon.steps_per_epoch,
            "granularity": self.granularity,
        }

    def _skill(self, accuracy: float | None) -> float:
        """The accuracy beyond chance."""
        if accuracy is None or not 0 <= accuracy <= 1:
            raise InvalidArgument(
                "accuracy",
                accuracy,
                f"the share of the batch that was right, for {_named(self.schedule)}",
                "call step(accuracy) after each optimiser step",
            )
        assert self.classes is not None, "refused at construction"
        return (accuracy - 1 / self.classes) / (1 - 1 / self.classes)

    def _require_observed(self) -> None:
        """A schedule that waits for validation figures would wait for ever without them."""
        epochs = self.steps_done // self.horizon.steps_per_epoch
        if self.schedule.needs_validation and epochs > self._epochs_observed:
            raise InvalidArgument(
                "schedule",
                f"no validation accuracy after epoch {epochs}",
                f"one after every epoch, for {_named(self.schedule)}",
                "call observe(accuracy) at the end of each epoch, or take a schedule that needs no "
                "validation data, such as Adaptive",
            )

    def _time(self, granularity: Granularity | None = None) -> tuple[float, float]:
        """Return (t, T) in the schedule's unit; a schedule in shares is given epochs."""
        per_epoch = self.horizon.steps_per_epoch
        whole = self.steps_done // per_epoch * per_epoch
        epoch = (granularity or self.granularity) == "epoch"
        steps = whole if epoch else self.steps_done
        if self.schedule.unit == "step":
            return steps, self.horizon.steps
        return steps / per_epoch, self.horizon.epochs


class PreviewRow(NamedTuple):
    """The strength from a position on: `epoch` counts from 0, `eps` is `alpha` · eps_g."""

    epoch: float
    alpha: float
    eps: float


#: In words, what `imagined_accuracy` assumes.
IMAGINED = (
    "imagined accuracy: 0.9 (1 - exp(-e / 4.8)) after e epochs, 90 % of its final value at epoch 11"
)


def imagined_accuracy(epochs: int) -> list[float]:
    """Return a validation accuracy for a preview, after each epoch: 0.9 (1 - exp(-e / 4.8)).

    It reaches 90 % of its final value at epoch 11, as standard fine-tuning does in the hardest
    case of the publication (arXiv 2509.23325, Swin on Aircraft).
    """
    return [0.9 * (1 - math.exp(-epoch / 4.8)) for epoch in range(1, epochs + 1)]


def preview(
    schedule: Schedule,
    eps_g: str | float,
    horizon: Horizon,
    granularity: Granularity = "step",
    *,
    accuracy: Sequence[float] | None = None,
    norm: Norm = "linf",
) -> list[PreviewRow]:
    """Return the strengths that a run would use, without training: one row per change.

    Args:
        schedule: what to preview.
        eps_g: the goal, a fraction of the pixel range such as 4/255.
        horizon: the length of the run.
        granularity: "step" gives one row per optimiser step, "epoch" one per epoch.
        accuracy: accuracy after each epoch, for a schedule that follows it (on the batches it is
            taken to rise in straight lines from 0); by default `imagined_accuracy`.
        norm: the norm whose range applies to `eps_g`.

    Raises:
        InvalidArgument: as `EpsilonScheduler`; or fewer accuracies than epochs.
    """
    curve = imagined_accuracy(horizon.epochs) if accuracy is None else accuracy
    if len(curve) < horizon.epochs:
        expected = f"one for each of the {horizon.epochs} epochs"
        raise InvalidArgument("accuracy", f"{len(curve)} values", expected)
    # With so many classes chance is nothing.
    scheduler = EpsilonScheduler(schedule, eps_g, horizon, granularity, norm=norm, classes=10**9)
    rows = []
    for epoch in range(horizon.epochs):
        for step in range(horizon.steps_per_epoch):
            if step == 0 or granularity == "step":
                alpha = scheduler.alpha
                rows.append(PreviewRow(scheduler.position, alpha, alpha * scheduler.eps_g))
            before, done = curve[epoch - 1] if epoch else 0.0, (step + 1) / horizon.steps_per_epoch
            scheduler.step(before + (curve[epoch] - before) * done)
        scheduler.observe(curve[epoch])
    return rows
