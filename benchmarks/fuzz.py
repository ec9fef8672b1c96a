"""Random commands, damaged files and damaged images: `python -m benchmarks.fuzz`.

    python -m benchmarks.fuzz [--seed 0] [--configurations 200] [--files 10] [--images 10]
        [-o fuzz] [--jobs 1] [--only KIND:NUMBER,...]

`--files` counts the attempts for every kind of file, `--images` those for every format. Every
attempt calls the command line in a forked process with a limit of 20 seconds of computing. Fifty
attempts follow each other in one process; a fault counts if a process of its own repeats it. Faults
are a traceback, a hang, a control character in the output, a refusal in more than one sentence, and
damage to a file of Rampart that is used without a word: a check must refuse every changed value,
and a command that reads or resumes a damaged folder must refuse it or end with the same results as
without the damage.

The lines of FOLDER/fuzz.jsonl are written as the results come. The same command goes on where it
was stopped. The seed, the kind and the number of an attempt repeat it: `--only run/run.json:17`.
"""

import argparse
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.forked import preload
from benchmarks.fuzzing.attempts import Outcome, attempt
from benchmarks.fuzzing.cases import Kind
from benchmarks.fuzzing.configurations import command
from benchmarks.fuzzing.finished import finished_kinds
from benchmarks.fuzzing.given import given_kinds
from benchmarks.fuzzing.images import FORMATS, damaged_image
from benchmarks.fuzzing.in_turn import InTurn
from benchmarks.fuzzing.material import write_material
from benchmarks.fuzzing.studies import study_kinds
from benchmarks.fuzzing.unfinished import unfinished_kinds
from benchmarks.results import Rows, in_processes

COMMANDS = "configurations"


class Bench:
    """Every kind of case, and one attempt of each."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root, self.seed = root, seed
        shutil.rmtree(root / "material", ignore_errors=True)
        material = write_material(root / "material")
        self.files = {
            **finished_kinds(material),
            **unfinished_kinds(material),
            **study_kinds(material),
            **given_kinds(material),
        }
        self.kinds: dict[str, Kind] = {
            COMMANDS: partial(command, material),
            **self.files,
            **{name: partial(damaged_image, material, name) for name in FORMATS},
        }

    def attempt(
        self, kind: str, number: int, make: Callable[[Sequence[str], Path], Outcome] = attempt
    ) -> tuple[list[str], Outcome, str]:
        """Return the words of an attempt, its outcome and its fault; `make` calls the command."""
        random = Random(f"{self.seed} {kind} {number}")
        with tempfile.TemporaryDirectory(dir=self.root) as scratch:
            folder = Path(scratch)
            case = self.kinds[kind](random, folder)
            outcome = make(case.words, folder)
            fault = outcome.fault
            if not fault and outcome.status == 0 and not case.is_right(outcome):
                fault = "damage unnoticed"
        return case.words, outcome, fault

    def attempts(self, options: argparse.Namespace) -> Iterator[tuple[str, int]]:
        """Yield the kind and the number of every attempt; the kinds take turns."""
        counts = {COMMANDS: options.configurations}
        counts |= dict.fromkeys(self.files, options.files)
        counts |= dict.fromkeys(FORMATS, options.images)
        # Every kind is at the same part of its attempts when the command is stopped.
        parts = [(n / count, kind, n) for kind, count in counts.items() for n in range(count)]
        yield from ((kind, number) for _, kind, number in sorted(parts))

    def work(self, options: argparse.Namespace, rows: Rows, job: int) -> None:
        """Make the attempts of one process that are missing; print the faults."""
        done = {(row["kind"], row["number"]) for row in rows.read()}
        in_turn = InTurn()
        for place, (kind, number) in enumerate(self.attempts(options)):
            if place % options.jobs == job and (kind, number) not in done:
                words, outcome, fault = self.attempt(kind, number, in_turn.attempt)
                if fault:
                    # A fault counts if a process of its own has it too, and is shown in any case.
                    show(words, outcome, f"{kind}:{number}: {fault}, in a process of many")
                    words, outcome, fault = self.attempt(kind, number)
                usual = "worked" if outcome.status == 0 else "refused"
                row: dict[str, Any] = {"kind": kind, "number": number, "outcome": fault or usual}
                if fault:
                    show(words, outcome, f"{kind}:{number}: {fault}")
                    row["error"] = outcome.err[-600:]
                rows.add(row)
        in_turn.close()


def show(words: list[str], outcome: Outcome, what: str) -> None:
    """Print a command and what it printed last."""
    print(f"{what}: rampart {' '.join(repr(word)[:120] for word in words)}")
    print(f"  {outcome.err[-600:].strip()!r}", flush=True)


def repeat(attempts: str, seed: int) -> bool:
    """Repeat attempts, as KIND:NUMBER with commas; show them and return whether one has a fault."""
    with tempfile.TemporaryDirectory() as root:
        bench, faults = Bench(Path(root), seed), False
        for one in attempts.split(","):
            kind, _, number = one.rpartition(":")
            words, outcome, fault = bench.attempt(kind, int(number))
            show(words, outcome, f"{one}: {fault or f'status {outcome.status}'}")
            faults |= bool(fault)
    return faults


def main() -> None:
    """Print every fault, then the counts; exit with status 1 if there are faults."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    for kind, count in ((COMMANDS, 200), ("files", 10), ("images", 10)):
        parser.add_argument(f"--{kind}", type=int, default=count)
    parser.add_argument("--jobs", type=int, default=1, help="commands at the same time")
    parser.add_argument("--output", "-o", type=Path, default=Path("fuzz"))
    parser.add_argument("--only", default="", metavar="KIND:NUMBER,...")
    options = parser.parse_args()
    preload()
    if options.only:
        raise SystemExit(int(repeat(options.only, options.seed)))
    root = options.output.absolute() / f"seed-{options.seed}"
    bench = Bench(root, options.seed)
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
