"""The next run and strength of one sample: a pure state machine, tested without any model.

A sample starts at the largest strength of the grid, with all runs of all stages ahead.

- A run that succeeds makes the sample descend: it continues the run at the next smaller strength.
  Strengths only decrease, because a success is cheap and a failure costs a full run.
- A run that fails is over for good. The sample only descends from there, and the balls are nested:
  a run fails once, not once per strength.
- A pruned run is over too, but the sample remembers it, for the recheck
  (`rampart.evaluation.recheck`).

The sample is finished when no strength or no run is left. Its critical strength is the one above
its last strength.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, order=True)
class AttackRun:
    """One run of a stage: index of the stage in the suite, number of the run in the stage."""

    stage: int
    number: int


@dataclass(frozen=True)
class SampleProgress:
    """The progress of one sample.

    Attributes:
        grid_index: index of its current strength; 0 once it is misclassified at every strength.
        runs: the remaining runs, the current one first.
        pruned: the pruned runs.
    """

    grid_index: int
    runs: tuple[AttackRun, ...]
    pruned: tuple[AttackRun, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether no strength or no run is left."""
        return self.grid_index == 0 or not self.runs

    @property
    def critical(self) -> int:
        """Index of its critical strength so far; n + 1 if it is robust at all n strengths."""
        return self.grid_index + 1

    def descend(self, grid_index: int) -> "SampleProgress":
        """Continue the run at a smaller strength."""
        assert grid_index < self.grid_index, "descend to a smaller strength"
        # Below the smallest strength no run is left to repeat.
        return replace(self, grid_index=grid_index, pruned=self.pruned if grid_index else ())

    def fail_run(self) -> "SampleProgress":
        """End the run, and continue with the next one."""
        return replace(self, runs=self.runs[1:])

    def prune_run(self) -> "SampleProgress":
        """Prune the run, and continue with the next one."""
        return replace(self, runs=self.runs[1:], pruned=(*self.pruned, self.runs[0]))

    def order_runs(self, turns: Mapping[AttackRun, int]) -> "SampleProgress":
        """Sort the runs by their turn within each stage; by default the turn is the number."""

        def key(run: AttackRun) -> tuple[int, int]:
            return run.stage, turns.get(run, run.number)

        return replace(self, runs=tuple(sorted(self.runs, key=key)))


def first_progress(n_strengths: int, runs: Sequence[int]) -> SampleProgress:
    """Return the first progress of a sample: at the largest strength, with all runs ahead.

    Args:
        n_strengths: n, the number of strengths above 0.
        runs: number of runs of each stage.
    """
    plan = [AttackRun(stage, number) for stage, count in enumerate(runs) for number in range(count)]
    return SampleProgress(n_strengths, tuple(plan))
