"""A small study that the command carries out in a process of its own, and what it leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time

import yaml

#: The user's parts: a run of `dies` kills its process at its first start, one of `always` at each.
#: Steps pause, so that a signal sent at an epoch arrives long before the end on any machine.
PART = """
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from rampart.objectives.adversarial import Adversarial
from rampart.objectives.catalogue import OBJECTIVES

STARTS = Path(__file__).with_name("starts")


class Counted(Adversarial):
    deaths = 0

    def bind(self, model):
        name = type(self).__name__.lower()
        with STARTS.open("a") as file:
            file.write(f"{name}\\n")
        for death in range(self.deaths):
            # Of several processes that start at once, one creates the file and dies.
            with suppress(FileExistsError):
                STARTS.with_name(f"{name}-{death}").touch(exist_ok=False)
                os.kill(os.getpid(), 9)
        return super().bind(model)

    def __call__(self, *args, **options):
        time.sleep(0.05)
        return super().__call__(*args, **options)


def register(name, deaths):
    made = dataclass(frozen=True)(type(name.title(), (Counted,), {"deaths": deaths}))
    globals()[name.title()] = made
    made.__module__ = __name__
    OBJECTIVES.register(name)(made)


register("lives", 0)
register("dies", 1)
register("always", 9)
"""


def write_study(folder, photo_folder, *, epochs=1, methods=("lives",), **more):
    """Write the file of a study, and the user's parts."""
    (folder / "part.py").write_text(PART)
    tree = {
        "base": {
            "model": {
                "name": "rampart_glyphnet",
                "pretrained": False,
                "options": {"norm": "batch", "in_chans": 3},
            },
            "data": {"image_size": 16},
            "attack": {"steps": 1},
            "schedule": "fix",
            "optimizer": {"backbone_lr": 1e-3},
            "training": {"epochs": epochs, "batch_size": 8, "monitors": False},
            "evaluation": {"checks": False, "attack": {"steps": 1}, "limit": 6},
        },
        "seeds": [0],
        "axes": {"task": {"photos": [f"data.name={photo_folder}", "threat.eps=2/255"]}},
        "methods": {name: [f"objective={name}"] for name in methods},
        **more,
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(tree))


def start(folder, *options):
    """Start the command in a process group of its own."""
    command = [sys.executable, "-m", "rampart", "--import", "part.py", "study", "run", "study.yaml"]
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    with (folder / "log.txt").open("a") as log:
        return subprocess.Popen(
            [*command, "-o", "out", *options],
            cwd=folder,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )


def run(folder, *options):
    """Carry out the study; return the exit status and what was printed."""
    (folder / "log.txt").unlink(missing_ok=True)
    status = start(folder, *options).wait(timeout=300)
    return status, (folder / "log.txt").read_text()


def wait_for_text(folder, process, text):
    """Wait until the command has printed a text."""
    while text not in (folder / "log.txt").read_text():
        assert process.poll() is None, (folder / "log.txt").read_text()
        time.sleep(0.1)


def stop(process, number):
    """Send a signal to the command alone; return its exit status."""
    os.kill(process.pid, number)
    return process.wait(timeout=120)


def press_ctrl_c(process):
    """Send SIGINT to the whole process group, as a terminal does."""
    os.killpg(process.pid, signal.SIGINT)
    return process.wait(timeout=120)


def run_folder(folder, method):
    """The folder of the only run of a method."""
    (found,) = (one.parent for one in (folder / "out").glob(f"runs/photos/{method}/*/run.json"))
    return found


def epochs(folder, method):
    """The epochs in the history of a run."""
    lines = (run_folder(folder, method) / "history.jsonl").read_text().splitlines()
    return [json.loads(line)["epoch"] for line in lines]


def curve(folder, method):
    """What a run measured."""
    (file,) = run_folder(folder, method).glob("evaluations/*/curve.csv")
    return file.read_text()


def starts(folder):
    """How often each run was started."""
    names = (folder / "starts").read_text().split()
    return {name: names.count(name) for name in dict.fromkeys(names)}
