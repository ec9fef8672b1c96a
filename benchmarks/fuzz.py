"""Random commands, damaged files and damaged images: `python -m benchmarks.fuzz`.

    python -m benchmarks.fuzz [--seed 0] [--configurations 200] [--files 10] [--images 10]
        [-o fuzz] [--jobs 1] [--only KIND:NUMBER]

`--files` counts the attempts for every kind of file, `--images` those for every format. Every
attempt calls the command line in a forked process with a limit of 20 seconds of computing. A
traceback, a hang, a control character in the output, a refusal in more than one sentence, and a
damaged file of a run that is used without a word are faults.

The lines of FOLDER/fuzz.jsonl are written as the results come. The same command goes on where it
was stopped. The seed, the kind and the number of an attempt repeat it: `--only run.json:17`.
"""

import argparse
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.forked import preload
from benchmarks.fuzzing.attempts import Outcome, attempt
from benchmarks.fuzzing.configurations import command
from benchmarks.fuzzing.files import damage_file, damage_other, files_of, write_others
from benchmarks.fuzzing.images import FORMATS, damage_image
from benchmarks.fuzzing.material import write_photos, write_run
from benchmarks.results import Rows, in_processes

COMMANDS = "configurations"


class Bench:
    """The tiny data and the run, and one attempt of each kind."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root, self.seed = root, seed
        shutil.rmtree(root / "material", ignore_errors=True)
        material = root / "material"
        self.photos = write_photos(material / "photos")
        self.run = write_run(material, self.photos)
        self.own = files_of(self.run)
        self.others = write_others(material, self.photos, self.run)

    def attempt(self, kind: str, number: int) -> tuple[list[str], Outcome, str]:
        """Return the words of an attempt, its outcome and its fault."""
        random = Random(f"{self.seed} {kind} {number}")
        with tempfile.TemporaryDirectory(dir=self.root) as scratch:
            folder = Path(scratch)
            if kind == COMMANDS:
                words = command(random, self.photos, self.run, folder)
            elif kind in self.own:
                words = damage_file(random, self.run, self.own[kind], folder)
            elif kind in self.others:
                words = damage_other(random, self.others[kind], folder)
            else:
                words = damage_image(random, self.run, kind, folder)
            outcome = attempt(words, folder)
        fault = outcome.fault
        if not fault and kind in self.own and outcome.status == 0:
            fault = "damage unnoticed"
        return words, outcome, fault

    def attempts(self, options: argparse.Namespace) -> Iterator[tuple[str, int]]:
        """Yield the kind and the number of every attempt; the kinds take turns."""
        counts = {COMMANDS: options.configurations}
        counts |= dict.fromkeys([*self.own, *self.others], options.files)
        counts |= dict.fromkeys(FORMATS, options.images)
        # Every kind is at the same part of its attempts when the command is stopped.
        parts = [(n / count, kind, n) for kind, count in counts.items() for n in range(count)]
        yield from ((kind, number) for _, kind, number in sorted(parts))

    def work(self, options: argparse.Namespace, rows: Rows, job: int) -> None:
        """Make the attempts of one process that are missing; print the faults."""
        done = {(row["kind"], row["number"]) for row in rows.read()}
        for place, (kind, number) in enumerate(self.attempts(options)):
            if place % options.jobs == job and (kind, number) not in done:
                words, outcome, fault = self.attempt(kind, number)
                usual = "worked" if outcome.status == 0 else "refused"
                row: dict[str, Any] = {"kind": kind, "number": number, "outcome": fault or usual}
                if fault:
                    show(words, outcome, f"{kind}:{number}: {fault}")
                    row["error"] = outcome.err[-600:]
                rows.add(row)


def show(words: list[str], outcome: Outcome, what: str) -> None:
    """Print a command and what it printed last."""
    print(f"{what}: rampart {' '.join(repr(word)[:120] for word in words)}")
    print(f"  {outcome.err[-600:].strip()!r}", flush=True)


def main() -> None:
    """Print every fault, then the counts; exit with status 1 if there are faults."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    for kind, count in ((COMMANDS, 200), ("files", 10), ("images", 10)):
        parser.add_argument(f"--{kind}", type=int, default=count)
    parser.add_argument("--jobs", type=int, default=1, help="commands at the same time")
    parser.add_argument("--output", "-o", type=Path, default=Path("fuzz"))
    parser.add_argument("--only", default="", metavar="KIND:NUMBER")
    options = parser.parse_args()
    preload()
    root = options.output.absolute() / f"seed-{options.seed}"
    bench = Bench(root, options.seed)
    if options.only:
        kind, _, number = options.only.rpartition(":")
        words, outcome, fault = bench.attempt(kind, int(number))
        show(words, outcome, fault or f"status {outcome.status}")
        raise SystemExit(int(bool(fault)))
    rows = Rows(root / "fuzz.jsonl")
    in_processes(options.jobs, lambda job: bench.work(options, rows, job))
    faults = 0
    for kind in dict.fromkeys(row["kind"] for row in rows.read()):
        found = Counter(row["outcome"] for row in rows.read() if row["kind"] == kind)
        counts = ", ".join(f"{n:,} {name}" for name, n in sorted(found.items()))
        print(f"{kind}: {found.total():,} attempts: {counts}")
        faults += found.total() - found["worked"] - found["refused"]
    raise SystemExit(int(faults > 0))


if __name__ == "__main__":
    main()
