"""What is killed: trainings, evaluations and studies, each small, and what is compared."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from rampart.files import checksum
from rampart.runs.history import History
from rampart.runs.run_folder import RunFolder

Victim = Literal["command", "worker"]
#: Ends of the names of columns of the history that tell time.
_TIMES = ("seconds", "per_second")
#: Facts of a run that no clock changes.
_FACTS = ("status", "epochs", "data", "content", "start", "parameters", "pilot")
_TRAINING = {
    "model.name": "rampart_glyphnet",
    "model.pretrained": "false",
    "model.options.in_chans": "3",
    "data.image_size": "16",
    "schedule": "two-hinge",
    "schedule.start": "0.3",
    "schedule.end": "0.6",
    "threat.eps": "8/255",
    "training.epochs": "3",
    "training.batch_size": "4",
    "training.checkpoint_every": "1",
    "attack.steps": "2",
    "optimizer.backbone_lr": "1e-3",
    "evaluation.attack.steps": "3",
    "evaluation.checks": "false",
}
_PILOT = {
    "schedule": "adaptive",
    "schedule.pilot": "0.4",
    # By default a run of so few epochs starts anew.
    "schedule.pilot_restart": "baseline",
    "schedule.min_skill": "0",
}


@dataclass(frozen=True)
class Scenario:
    """A command that is killed and resumed.

    Attributes:
        name: in the output.
        words: of the command line.
        output: name of the folder that the command writes.
        resumes: whether the command needs --resume once its run has begun; others resume by
            themselves.
        processes: of one training.
        victim: the process that is killed.
        finished: words of the refusal to do it again; without any, a finished command succeeds.
    """

    name: str
    words: tuple[str, ...]
    output: str
    resumes: bool = False
    processes: int = 1
    victim: Victim = "command"
    finished: str = ""

    def ends_well(self, status: int | None, err: str) -> bool:
        """Whether the command has ended as it does when the work is done."""
        return status == 0 or (status == 2 and bool(self.finished) and self.finished in err)

    def next_words(self, folder: Path) -> list[str]:
        """Return the words of the command that a user types next."""
        begun = self.resumes and RunFolder(folder / self.output).exists()
        return [*self.words, *(["--resume"] if begun else [])]

    def results(self, folder: Path) -> dict[str, Any]:
        """Return what the command has computed, by file, without what clocks say."""
        found: dict[str, Any] = {}
        root = folder / self.output
        for path in sorted(one for one in root.rglob("*") if one.is_file()):
            read = _READ.get(path.name)
            if read is not None:
                found[str(path.relative_to(root))] = read(path)
        return found


def _rows(path: Path) -> list[dict[str, Any]]:
    rows = History(path).rows()
    return [{key: one for key, one in row.items() if not key.endswith(_TIMES)} for row in rows]


def _facts(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text("utf-8"))
    return {key: content.get(key) for key in _FACTS}


_READ = {
    "model.safetensors": checksum,
    "config.json": checksum,
    "config.yaml": checksum,
    "samples.parquet": checksum,
    "curve.csv": checksum,
    "history.jsonl": _rows,
    "pilot.jsonl": _rows,
    "run.json": _facts,
}


def scenarios(photos: Path, run: Path, study: Path, part: Path) -> list[Scenario]:
    """Return every scenario.

    Args:
        photos: a folder of images.
        run: a finished run.
        study: the file of a study.
        part: the file that the workers of a study import.
    """

    def train(name: str, more: Mapping[str, str], processes: int = 1) -> Scenario:
        words = _train(photos, more)
        return Scenario(name, words, "run", resumes=True, processes=processes)

    evaluate = (
        *("evaluate", str(run), "threat.eps=16/255", "evaluation.attack=short"),
        *("evaluation.attack.steps=8", "evaluation.attack.queries=40", "-o", "evaluation"),
    )
    many = ("--import", str(part), "study", "run", str(study), "-o", "study", "--workers", "2")
    callbacks = "[{name: ema, decay: 0.5}, awp]"
    return [
        train("training, pilot passed", {**_PILOT, "threat.eps": "0.5/255"}),
        train("training, pilot failed", {**_PILOT, "threat.eps": "200/255"}),
        train("training, EMA with AWP", {"callbacks": callbacks}),
        train("training, accumulation", {"training.gradient_accumulation_steps": "2"}),
        train("training, best epoch", {"training.checkpoint": "best"}),
        train("training, two processes", {"training.device": "cpu"}, processes=2),
        Scenario("evaluation", evaluate, "evaluation", finished="holds a finished evaluation"),
        Scenario("study, command", many, "study"),
        Scenario("study, worker", many, "study", victim="worker"),
    ]


def _train(photos: Path, more: Mapping[str, str]) -> tuple[str, ...]:
    settings = {**_TRAINING, "data.name": str(photos)}
    if "schedule" in more:
        settings = {k: v for k, v in settings.items() if not k.startswith("schedule")}
    settings |= more
    return ("train", *(f"{key}={value}" for key, value in settings.items()), "-o", "run")


def trained(photos: Path) -> tuple[str, ...]:
    """Return the command that makes the run which is evaluated."""
    return (*_train(photos, {"training.epochs": "6"}), "--no-evaluate")


def write_study(file: Path, photos: Path) -> None:
    """Write the file of a study of two runs."""
    base: dict[str, Any] = {}
    for key, value in _TRAINING.items():
        if key.startswith("schedule"):
            continue
        place = base
        *sections, last = key.split(".")
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = yaml.safe_load(value)
    tree = {
        "base": base,
        "seeds": [0],
        "axes": {"task": {"photos": [f"data.name={photos}"]}},
        "methods": {"fix": ["schedule=fix"], "ramp": ["schedule=two-hinge"]},
    }
    file.write_text(yaml.safe_dump(tree), "utf-8")
