"""Kill commands, resume them and compare bit for bit: `python -m benchmarks.stress`.

    python -m benchmarks.stress [--kills 60 | --hours 2] [--seed 0] [-o stress] [--jobs 1]
        [--scenario NAME] [--only NUMBER]

Trainings, evaluations and studies are killed by SIGKILL one to four times each: at a random
moment, or just before a change of a file; every kind of change has its turn. Then they are resumed
to the end, and every file of results is compared with that of an uninterrupted run. A difference,
an error, a command that is stuck, a process or a scratch file that is left behind are faults.

The lines of FOLDER/stress.jsonl are written as the results come. The same command goes on where it
was stopped. The seed and the number of a try repeat it: `--only 17`. `--scenario 'study, worker'`
kills in one scenario only.
"""

import argparse
import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.forked import preload
from benchmarks.fuzzing.material import write_photos
from benchmarks.results import Rows, in_processes
from benchmarks.stressing import part
from benchmarks.stressing.changes import Death
from benchmarks.stressing.processes import End, Kill, carry_out
from benchmarks.stressing.scenarios import Scenario, scenarios, trained, write_study
from rampart.files import is_scratch
from rampart.runs.lock import is_lock

#: Commands that are running may be killed so often before they are let through.
MOST = 4


@dataclass(frozen=True)
class Reference:
    """An uninterrupted run.

    Attributes:
        results: by file.
        changes: how often each kind of change occurs.
        seconds: it took.
    """

    results: dict[str, Any]
    changes: dict[str, int]
    seconds: float


class Bench:
    """The data, and an uninterrupted run of every scenario."""

    def __init__(self, root: Path, seed: int, only: str = "") -> None:
        self.root, self.seed = root, seed
        root.mkdir(parents=True, exist_ok=True)
        photos, study = root / "photos", root / "study.yaml"
        if not photos.exists():
            write_photos(photos)
        write_study(study, photos)
        made = Scenario("the run that is evaluated", trained(photos), "run", resumes=True)
        _require(made, carry_out(made, root))
        self.scenarios = scenarios(photos, root / "run", study, Path(part.__file__))
        wanted = [one for one in self.scenarios if only in ("", one.name)]
        if not wanted:
            raise SystemExit(f"no scenario {only}: {'; '.join(one.name for one in self.scenarios)}")
        self.references = {one.name: self._reference(one) for one in wanted}

    def _reference(self, scenario: Scenario) -> Reference:
        place = self.root / "references" / scenario.name.replace(", ", "-").replace(" ", "-")
        file = place.with_suffix(".json")
        if not file.exists():
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
            end = carry_out(scenario, place, trace=place / "trace")
            _require(scenario, end)
            kinds = Counter((place / "trace").read_text("utf-8").splitlines())
            found = scenario.results(place)
            file.write_text(json.dumps([found, kinds, end.seconds]), "utf-8")
            print(
                f"{scenario.name}: {end.seconds:.1f} s, {len(found)} files of results, "
                f"{kinds.total()} changes of {len(kinds)} kinds",
                flush=True,
            )
        return Reference(*json.loads(file.read_text("utf-8")))

    def scenario(self, number: int) -> Scenario:
        """Return what a try kills; the scenarios take turns."""
        return self.scenarios[number % len(self.scenarios)]

    def attempt(self, number: int) -> dict[str, Any]:
        """Kill and resume a command; return what was seen."""
        scenario = self.scenario(number)
        reference = self.references[scenario.name]
        folder = self.root / "tries" / str(number)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        kills, faults = [], list[str]()
        for kill in self._kills(scenario, reference, number):
            end = carry_out(scenario, folder, kill)
            faults += _faults(scenario, end)
            if end.killed:
                kills.append(str(kill))
            if not end.killed or end.status == 0 or faults:
                break
        if not faults:
            faults += _faults(scenario, last := carry_out(scenario, folder))
            if not scenario.ends_well(last.status, last.err):
                faults.append(f"it failed: {last.err[-500:]}")
        found = json.loads(json.dumps(scenario.results(folder)))
        faults += [f"{name} differs" for name in _different(found, reference.results)]
        faults += [f"{path.relative_to(folder)} is left" for path in _left_files(folder)]
        if not faults:
            shutil.rmtree(folder)
        return {
            "number": number,
            "scenario": scenario.name,
            "kills": kills,
            "compared": len(reference.results),
            "faults": faults,
        }

    def _kills(self, scenario: Scenario, reference: Reference, number: int) -> Iterator[Kill]:
        random = Random(f"{self.seed} {number}")
        kinds, count = sorted(reference.changes), len(self.scenarios)
        turn, which = divmod(number, count)
        # Scenarios share most kinds: each begins at another one.
        first = 3 * turn + which * len(kinds) // count
        for place in range(random.randint(1, MOST)):
            rank = random.randrange(scenario.processes)
            if rank == 0 and random.random() < 0.6:
                # Every kind has its turn, whatever the numbers of kills were before.
                kind = kinds[(first + place) % len(kinds)]
                # The workers of a study share the changes.
                shared = 2 if scenario.victim == "worker" else 1
                times = random.randint(1, max(1, reference.changes[kind] // shared))
                yield Kill(death=Death(kind, times))
            else:
                yield Kill(random.uniform(0.02, 0.98) * reference.seconds, rank=rank)


def _require(scenario: Scenario, end: End) -> None:
    if end.status or end.left:
        raise SystemExit(f"{scenario.name} failed without a kill: {end}")


def _faults(scenario: Scenario, end: End) -> list[str]:
    """Return what must not happen, also to a command that is killed."""
    faults = [f"left running: {name}" for name in end.left]
    if end.status is None:
        faults.append("stuck")
    elif "Traceback (most recent call last)" in end.err and scenario.processes == 1:
        faults.append(f"traceback: {end.err[-500:]}")
    elif end.status > 0 and not (
        scenario.ends_well(end.status, end.err) or (end.killed and scenario.processes > 1)
    ):
        faults.append(f"exit status {end.status}: {end.err[-500:]}")
    return faults


def _different(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    names = sorted(found.keys() | expected.keys())
    return [name for name in names if found.get(name) != expected.get(name)]


def _left_files(folder: Path) -> list[Path]:
    """Return locks, scratch files and partial results."""
    every = folder.rglob("*")
    return [one for one in every if is_scratch(one) or is_lock(one) or one.name == "partial"]


def _work(bench: Bench, options: argparse.Namespace, job: int, end: float) -> None:
    """Try numbers until the kills or the hours are used up."""
    rows, number = Rows(bench.root / "stress.jsonl"), job
    done = {row["number"] for row in rows.read()}
    while time.time() < end and _kills(rows.read()) < options.kills:
        if number not in done and bench.scenario(number).name in bench.references:
            row = bench.attempt(number)
            rows.add(row)
            outcome = "; ".join(row["faults"]) or f"{row['compared']} files of results are equal"
            print(
                f"{number}: {row['scenario']}: killed {'; '.join(row['kills']) or 'never'}: "
                f"{outcome}",
                flush=True,
            )
        number += options.jobs


def _kills(rows: list[dict[str, Any]]) -> int:
    return sum(len(row["kills"]) for row in rows)


def _summary(bench: Bench) -> int:
    """Print the counts of every scenario; return the number of tries with faults."""
    rows = Rows(bench.root / "stress.jsonl").read()
    for scenario in bench.scenarios:
        if scenario.name not in bench.references:
            continue
        own = [row for row in rows if row["scenario"] == scenario.name]
        kills = [kill for row in own for kill in row["kills"]]
        changes = [kill for kill in kills if kill.startswith("before")]
        kinds = {kill.split("'")[1] for kill in changes}
        known = bench.references[scenario.name].changes
        bad = sum(bool(row["faults"]) for row in own)
        print(
            f"{scenario.name}: {len(kills)} kills, {len(changes)} of them at {len(kinds)} of "
            f"{len(known)} kinds of changes; {len(own)} commands resumed to their end, "
            f"{sum(row['compared'] for row in own)} files of results compared, {bad} with faults"
        )
    faults = sum(bool(row["faults"]) for row in rows)
    met = {kill.split("'")[1] for row in rows for kill in row["kills"] if "'" in kill}
    every = {kind for one in bench.references.values() for kind in one.changes}
    print(
        f"all: {_kills(rows)} kills, at {len(met)} of {len(every)} kinds of changes and at random "
        f"moments; {len(rows)} commands, {faults} with faults"
    )
    return faults


def main() -> None:
    """Kill, resume and compare; exit with status 1 if there are faults."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=None, help="kills in all (60)")
    parser.add_argument("--hours", type=float, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="commands at the same time")
    parser.add_argument("--output", "-o", type=Path, default=Path("stress"))
    parser.add_argument("--scenario", default="", metavar="NAME")
    parser.add_argument("--only", type=int, default=None, metavar="NUMBER")
    options = parser.parse_args()
    if options.kills is None:
        options.kills = 60 if options.hours is None else 10**9
    end = time.time() + 3600 * (options.hours or 1e6)
    preload()
    root = options.output.absolute() / f"seed-{options.seed}"
    bench = Bench(root, options.seed, options.scenario)
    if options.only is not None:
        row = bench.attempt(options.only)
        print(json.dumps(row, indent=1))
        raise SystemExit(int(bool(row["faults"])))
    in_processes(options.jobs, lambda job: _work(bench, options, job, end))
    raise SystemExit(int(_summary(bench) > 0))


if __name__ == "__main__":
    main()
