"""Random commands, damaged files and damaged images: `python -m benchmarks.fuzz`.

    python -m benchmarks.fuzz [--seed 0] [--configurations 200] [--files 100] [--images 100]
        [--only KIND:NUMBER]

Every attempt calls the command line in a forked process with a limit of 20 seconds of computing. A
traceback, a hang, a control character in the output, a refusal in more than one sentence, and a
damaged file of a run that is used without a word are faults. The seed and the number of an attempt
repeat it: `--only files:17`.
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import torch

import rampart.recipes.train
from benchmarks.fuzzing.attempts import Outcome, attempt
from benchmarks.fuzzing.configurations import command
from benchmarks.fuzzing.files import damage_file
from benchmarks.fuzzing.images import damage_image
from benchmarks.fuzzing.material import write_photos, write_run

KINDS = ("configurations", "files", "images")


class Bench:
    """The tiny data and the run, and one attempt of each kind."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root, self.seed = root, seed
        self.photos = write_photos(root / "photos")
        self.run = write_run(root, self.photos)

    def attempt(self, kind: str, number: int) -> tuple[list[str], str, Outcome, str]:
        """Return the words of an attempt, what was damaged, the outcome and its fault."""
        random = Random(f"{self.seed} {kind} {number}")
        with tempfile.TemporaryDirectory(dir=self.root) as scratch:
            folder = Path(scratch)
            if kind == "configurations":
                words, what = command(random, self.photos, self.run, folder), "a command"
            elif kind == "files":
                words, what = damage_file(random, self.run, folder)
            else:
                words, what = damage_image(random, self.run, folder)
            outcome = attempt(words, folder)
        fault = outcome.fault
        if not fault and kind == "files" and outcome.status == 0:
            fault = "damage unnoticed"
        return words, what, outcome, fault


def attempts(options: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """Yield the kind and the number of every attempt."""
    if options.only:
        kind, _, number = options.only.partition(":")
        yield kind, int(number)
        return
    for kind in KINDS:
        yield from ((kind, number) for number in range(getattr(options, kind)))


def main() -> None:
    """Print every fault, then the counts; exit with status 1 if there are faults."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    for kind, count in zip(KINDS, (200, 100, 100), strict=True):
        parser.add_argument(f"--{kind}", type=int, default=count)
    parser.add_argument("--only", default="", metavar="KIND:NUMBER")
    options = parser.parse_args()
    # A forked process has no threads of its parent.
    torch.set_num_threads(1)
    assert rampart.recipes.train, "imported once, before the processes are forked"
    outcomes: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory() as root:
        bench = Bench(Path(root), options.seed)
        for kind, number in attempts(options):
            words, what, outcome, fault = bench.attempt(kind, number)
            usual = "worked" if outcome.status == 0 else "refused"
            outcomes[kind, fault or usual] += 1
            if fault or options.only:
                shown = " ".join(repr(word)[:120] for word in words)
                print(f"{kind}:{number}: {fault or usual}: {what}: rampart {shown}")
                print(f"  {outcome.err[-600:].strip()!r}" if fault else outcome.err, flush=True)
    for kind in KINDS:
        found = {name: n for (one, name), n in outcomes.items() if one == kind}
        if found:
            counts = ", ".join(f"{n} {name}" for name, n in sorted(found.items()))
            print(f"{kind}: {sum(found.values()):,} attempts: {counts}")
    raise SystemExit(int(any(name not in ("worked", "refused") for _, name in outcomes)))


if __name__ == "__main__":
    main()
