"""What one sample does next: a pure state machine, to be read and tested without any model.

A sample starts at the last strength of the grid with every run of every stage before it.

- A run that breaks it makes it descend: to the next smaller strength, in the same run. Breaking is
  cheap and failing costs a full budget, so it never climbs, and no strength is skipped on trust.
- A run that fails is over for good. It failed at a strength at least as large as those that the
  sample may still descend to, and the balls are nested: each run fails once, not once a strength.
- A run that is given up as hopeless is over too, but is remembered. The sample may be told to do
  what it gave up `again`, in full: that is the audit, and the escalation.

The sample is finished when no strength or no run is left. Its critical strength is the one above
that at which it stopped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, order=True)
class AttackRun:
    """One run of a stage: the index of the stage in the suite, and the number of the run in it."""

    stage: int
    number: int


@dataclass(frozen=True)
class SampleProgress:
    """Where a sample stands.

    Attributes:
        grid_index: index of the strength at which it is attacked; 0 once every strength has broken
            it.
        runs: what is left to do, the current run first.
        given_up: runs that were stopped early.
    """

    grid_index: int
    runs: tuple[AttackRun, ...]
    given_up: tuple[AttackRun, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.grid_index == 0 or not self.runs

    @property
    def critical(self) -> int:
        """Index of the smallest strength known to break it; n + 1 where none of the n does."""
        return self.grid_index + 1

    def descend(self, grid_index: int) -> "SampleProgress":
        """Go on at a smaller strength, in the same run."""
        assert grid_index < self.grid_index, "a broken sample descends"
        # Below the smallest strength there is nothing to do again.
        return replace(self, grid_index=grid_index, given_up=self.given_up if grid_index else ())

    def failed(self) -> "SampleProgress":
        """Go on with the next run."""
        return replace(self, runs=self.runs[1:])

    def hopeless(self) -> "SampleProgress":
        """Give the run up and go on with the next one."""
        return replace(self, runs=self.runs[1:], given_up=(*self.given_up, self.runs[0]))

    def again(self) -> "SampleProgress":
        """Do what was given up once more."""
        return SampleProgress(self.grid_index, self.given_up)

    def ordered(self, turns: Mapping[AttackRun, int]) -> "SampleProgress":
        """Let runs take their turns within their stages; others keep their number as their turn."""

        def key(run: AttackRun) -> tuple[int, int]:
            return run.stage, turns.get(run, run.number)

        return replace(self, runs=tuple(sorted(self.runs, key=key)))


def first(n_strengths: int, runs: Sequence[int]) -> SampleProgress:
    """Return where a sample begins: at the last of `n_strengths` strengths above 0, all runs ahead.

    Args:
        n_strengths: n.
        runs: number of runs of each stage.
    """
    plan = [AttackRun(stage, number) for stage, count in enumerate(runs) for number in range(count)]
    return SampleProgress(n_strengths, tuple(plan))
