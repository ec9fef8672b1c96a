"""Commands one after the other in a forked process: a fork for each would cost as much again."""

import json
import os
import resource
import select
import signal
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

from benchmarks.forked import call
from benchmarks.fuzzing.attempts import FILES, LIMIT, PATIENCE, Outcome, limit_memory, outcome_of

#: Commands of one process. What they leave behind in it ends with it.
ROUNDS = 50
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)


class InTurn:
    """Calls commands in a forked process, which is replaced after some of them and when it dies."""

    def __init__(self) -> None:
        self.child = self.rounds = 0

    def attempt(self, words: Sequence[str], folder: Path, limit: float = LIMIT) -> Outcome:
        """Call the command line with these words; arguments and outcome of `attempts.attempt`."""
        if not self.child:
            self._start()
        self.rounds += 1
        begun = time.monotonic()
        # In JSON, characters stay that no encoding has.
        os.write(self.asks, json.dumps([list(words), str(folder), limit]).encode() + b"\n")
        ready, _, _ = select.select([self.answers], [], [], PATIENCE * limit)
        answer = os.read(self.answers, 100) if ready else b""
        status = int(answer) if answer else None
        if not ready:
            os.killpg(self.child, signal.SIGKILL)
        if not answer or self.rounds == ROUNDS:
            code = self.close()
            status = code if ready and not answer else status
        return outcome_of(status, folder, time.monotonic() - begun)

    def close(self) -> int:
        """End the process after the command that it works at; return its exit status."""
        if not self.child:
            return 0
        os.close(self.asks)
        os.close(self.answers)
        code = os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])
        self.child = self.rounds = 0
        return code

    def _start(self) -> None:
        questions, self.asks = os.pipe()
        self.answers, replies = os.pipe()
        self.child = os.fork()
        if not self.child:
            try:
                os.setpgid(0, 0)
                os.close(self.asks)
                os.close(self.answers)
                _serve(questions, replies)
            finally:
                os._exit(0)
        os.close(questions)
        os.close(replies)


def _serve(questions: int, replies: int) -> None:
    """Answer each command with its exit status, from the same state of the process."""
    limit_memory()
    handlers = {one: signal.getsignal(one) for one in _SIGNALS}
    environment = dict(os.environ)
    with os.fdopen(questions, "rb") as lines:
        for line in lines:
            words, folder, limit = json.loads(line)
            until = int(time.process_time() + limit) + 1
            resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))
            with warnings.catch_warnings():
                status = call(words, Path(folder), *(Path(folder) / name for name in FILES))
            for number, handler in handlers.items():
                signal.signal(number, handler)
            os.environ.clear()
            os.environ.update(environment)
            os.chdir("/")
            os.write(replies, str(status).encode())
