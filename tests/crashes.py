"""A crash in the middle of a run."""

from rampart.training.reporting import Silent


class CrashAfter(Silent):
    """Kills the run without a chance to save, after a number of steps."""

    def __init__(self, steps):
        self.left = steps

    def step(self, epoch, eps):
        self.left -= 1
        if self.left == 0:
            raise MemoryError("planted")
