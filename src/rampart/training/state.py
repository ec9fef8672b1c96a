"""The parts and the progress of a run: what the loop uses and a checkpoint stores."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from rampart.attacks.base import Attack
from rampart.attacks.pgd import with_steps
from rampart.data.batches import Batch
from rampart.data.transforms import Augment
from rampart.objectives.base import Objective
from rampart.runs.history import History
from rampart.runs.lock import RequireHeld, do_nothing
from rampart.schedules.scheduler import EpsilonScheduler
from rampart.strategies.base import Strategy
from rampart.training.callbacks.base import Hook
from rampart.training.checkpoint import CheckpointStore
from rampart.training.monitors.base import Memory, Monitor
from rampart.training.one_process import OneProcess
from rampart.training.pilot_verdict import Pilot
from rampart.training.reporting import Reporter
from rampart.training.unread import UnreadLosses
from rampart.training.warm_start import WarmStart
from rampart.units import Horizon

#: (epoch, first step) to the batches of the epoch from that step on, for this process.
EpochBatches = Callable[[int, int], Iterable[Batch]]
#: (model, epoch counted from 1) to the validation figures of a history row; "val_clean" and
#: "validation_passes" are required.
Validate = Callable[[nn.Module, int], dict[str, float]]


@dataclass(frozen=True)
class Plan:
    """The numbers that shape a run.

    Attributes:
        batch_size: samples per optimizer step, over all processes and micro-batches.
        gradient_accumulation_steps: number of micro-batches in each process's part of a batch.
        clip_norm: largest norm of the gradient; None for no clipping.
        ramp_lr_factor: on all learning rates in steps with eps above 0.
        checkpoint_every: steps between checkpoints within an epoch; 0 for none.
        fewer_steps: whether the attack takes fewer steps while eps is small.
        fewest_steps: their smallest number.
        more_steps: steps of the attack after the alert "catastrophic-overfitting"; 0 to only warn.
        best_metric: validation figure by which the best epoch is saved too; None for no saving.
        rate_checks: epochs, counted from 1, after which the learning rates are halved if the
            validation has stalled (`rampart.training.lr_plateau`); needs a best metric.
    """

    seed: int
    horizon: Horizon
    batch_size: int
    gradient_accumulation_steps: int = 1
    clip_norm: float | None = None
    ramp_lr_factor: float = 1.0
    checkpoint_every: int = 0
    fewer_steps: bool = False
    fewest_steps: int = 2
    more_steps: int = 0
    best_metric: str | None = None
    rate_checks: tuple[int, ...] = ()


@dataclass
class Totals:
    """The sums of an epoch in this process; part of the checkpoint."""

    samples: int = 0
    loss: float = 0.0
    forwards: int = 0
    backwards: int = 0
    seconds: float = 0.0
    #: Seconds that steps waited for their images; a part of `seconds`.
    data_seconds: float = 0.0


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        epoch: number of finished epochs.
        step_in_epoch: number of finished steps of the current epoch.
        totals: sums of the current epoch.
        used: eps, alpha and learning rates of the last optimizer step.
        decisions: (alpha, accuracy on the batch, decision) of every step of the epoch, for an
            adaptive schedule.
        best: highest value of `Plan.best_metric` so far.
        memories: memory of each monitor by its name.
        attack_steps: steps of the attack since an alert has raised them; 0 before.
        recent: `Plan.best_metric` of the epochs since the last of `Plan.rate_checks`, its own
            epoch included.
        checked_best: `best` at that check; None before the first.
    """

    epoch: int = 0
    step_in_epoch: int = 0
    totals: Totals = field(default_factory=Totals)
    used: dict[str, float] = field(default_factory=dict)
    decisions: list[tuple[float, float, str | None]] = field(default_factory=list)
    best: float | None = None
    memories: dict[str, Memory] = field(default_factory=dict)
    attack_steps: int = 0
    recent: list[float] = field(default_factory=list)
    checked_best: float | None = None

    def begin_next_epoch(self) -> None:
        """Count the epoch as finished, and reset its sums."""
        self.epoch, self.step_in_epoch, self.totals = self.epoch + 1, 0, Totals()
        self.decisions = []


@dataclass(kw_only=True)
class Training:
    """All that an optimizer step needs; `accelerator` has prepared the optimizer."""

    plan: Plan
    accelerator: Accelerator | OneProcess
    model: nn.Module
    objective: Objective
    attack: Attack
    schedule: EpsilonScheduler
    optimizer: Optimizer
    lr_schedule: LRScheduler
    augment: Augment
    progress: Progress = field(default_factory=Progress)
    strategies: tuple[Strategy, ...] = ()
    #: By the name of the callback; the first is outermost.
    hooks: Mapping[str, Hook] = field(default_factory=dict)
    #: (K,) weight of each class in the loss; None for equal weights.
    class_weights: Tensor | None = None
    #: Where attacks begin; None for where the attack chooses.
    warm_start: WarmStart | None = None
    #: Whether fp32 products may be rounded to TF32.
    tf32: bool = False
    losses: UnreadLosses = field(init=False)

    def __post_init__(self) -> None:
        self.losses = UnreadLosses.on(self.accelerator.device)

    @property
    def current_attack(self) -> Attack:
        """The attack at full strength, with more steps since an alert has raised them."""
        steps = self.progress.attack_steps
        return with_steps(self.attack, steps) if steps else self.attack

    @property
    def defense(self) -> int:
        """The number of the objective's variant that the current step takes."""
        return self.objective.draw(self.plan.seed, self.step)

    @property
    def current_objective(self) -> Objective:
        """The variant of the objective that the current step takes."""
        return self.objective.variants[self.defense]

    @property
    def bare_model(self) -> nn.Module:
        """The model without the wrapper of distributed training, as attacks use it."""
        model: nn.Module = self.accelerator.unwrap_model(self.model)
        return model

    @property
    def step(self) -> int:
        """Number of finished optimizer steps."""
        return self.progress.epoch * self.plan.horizon.steps_per_epoch + self.progress.step_in_epoch


@dataclass(kw_only=True)
class Run(Training):
    """A training with its data, its monitors and its files.

    `require_held` refuses a folder that was removed or replaced; it is called before files are
    written.
    """

    accelerator: Accelerator
    #: The pilot that the run has passed, if it had one.
    pilot: Pilot | None = None
    batches: EpochBatches
    validate: Validate
    history: History
    checkpoints: CheckpointStore
    best: CheckpointStore
    reporter: Reporter
    monitors: tuple[Monitor, ...] = ()
    require_held: RequireHeld = do_nothing

    @contextmanager
    def measured(self) -> Iterator[nn.Module]:
        """Put the weights to validate and save into the bare model; hooks may replace them."""
        with ExitStack() as stack:
            for hook in self.hooks.values():
                stack.enter_context(hook.measured(self.bare_model))
            yield self.bare_model
