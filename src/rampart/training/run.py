"""The parts of a run and where it stands: what the loop works on and a checkpoint keeps."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from accelerate import Accelerator
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from rampart.attacks.base import Attack
from rampart.data.batches import Batch
from rampart.data.transforms import Augment
from rampart.objectives.base import Objective
from rampart.runs.history import History
from rampart.schedules.scheduler import EpsilonScheduler
from rampart.strategies.base import Strategy
from rampart.training.callbacks.base import Hook
from rampart.training.checkpoint import CheckpointStore
from rampart.training.monitors.base import Memory, Monitor
from rampart.training.one_process import OneProcess
from rampart.training.reporting import Reporter
from rampart.units import Horizon

#: (epoch, first step) to the batches of that epoch from that step on, this process's part.
EpochBatches = Callable[[int, int], Iterable[Batch]]
#: The model to the validation part of a history row; "val_clean" must be in it.
Validate = Callable[[nn.Module], dict[str, float]]


@dataclass(frozen=True)
class Plan:
    """The numbers that shape a run.

    Attributes:
        batch_size: samples per optimizer step, over all processes and micro-batches.
        gradient_accumulation_steps: micro-batches that each process computes its fraction of a
            batch in.
        clip_norm: largest norm of the gradient, or None.
        checkpoint_every: steps between checkpoints within an epoch; 0 for none.
        fewer_steps: whether the attack takes fewer steps while eps is small.
        best_metric: name of the validation figure whose best epoch is kept as well, or None.
    """

    seed: int
    horizon: Horizon
    batch_size: int
    gradient_accumulation_steps: int = 1
    clip_norm: float | None = None
    checkpoint_every: int = 0
    fewer_steps: bool = False
    best_metric: str | None = None


@dataclass
class Totals:
    """What an epoch adds up. Sums of this process; part of the checkpoint."""

    samples: int = 0
    loss: float = 0.0
    forwards: int = 0
    backwards: int = 0
    seconds: float = 0.0


@dataclass
class Progress:
    """Where a run is: whole epochs done, steps done in the current one, and its totals.

    `used` holds eps, alpha and the learning rates of the last optimizer step; `decisions` (alpha,
    accuracy on the batch, decision) of every step of the epoch, for a schedule that adapts;
    `memories` what each monitor has noted.
    """

    epoch: int = 0
    step_in_epoch: int = 0
    totals: Totals = field(default_factory=Totals)
    used: dict[str, float] = field(default_factory=dict)
    decisions: list[tuple[float, float, str | None]] = field(default_factory=list)
    best: float | None = None
    memories: dict[str, Memory] = field(default_factory=dict)

    def begin_next_epoch(self) -> None:
        """Count the epoch as done; what is summed up over an epoch starts anew."""
        self.epoch, self.step_in_epoch, self.totals = self.epoch + 1, 0, Totals()
        self.decisions = []


@dataclass(kw_only=True)
class Training:
    """What takes optimizer steps, ready made. The optimizer went through `accelerator`."""

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
    #: By the names of their callbacks; the first is outermost.
    hooks: Mapping[str, Hook] = field(default_factory=dict)

    @property
    def bare_model(self) -> nn.Module:
        """The model without the wrapper of distributed training, whose hooks an attack avoids."""
        model: nn.Module = self.accelerator.unwrap_model(self.model)
        return model

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        return self.progress.epoch * self.plan.horizon.steps_per_epoch + self.progress.step_in_epoch


@dataclass(kw_only=True)
class Run(Training):
    """A training with its data, what watches it, and what it leaves on disk."""

    accelerator: Accelerator
    batches: EpochBatches
    validate: Validate
    history: History
    checkpoints: CheckpointStore
    best: CheckpointStore
    reporter: Reporter
    monitors: tuple[Monitor, ...] = ()

    @contextmanager
    def measured(self) -> Iterator[nn.Module]:
        """Have in the bare model what is validated and kept: its weights, or what hooks make."""
        with ExitStack() as stack:
            for hook in self.hooks.values():
                stack.enter_context(hook.measured(self.bare_model))
            yield self.bare_model
