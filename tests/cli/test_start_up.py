"""Verbs that only read or refuse start at once: they do not import what trains."""

import copy
import dataclasses
import json
import os
import subprocess
import sys

import pytest
import yaml
from tests.records.made_up_records import make

from rampart.cli.main import _STUDY_VERBS, _VERBS
from rampart.records.storage import save_record
from rampart.runs.run_folder import RunFolder

#: No verb below needs any of them.
SLOW = ("timm", "accelerate", "scipy.stats", "pandas", "torchvision", "transformers", "datasets")
#: A study and a valid configuration need the options of attacks and objectives, and those torch.
#: Every answer that needs neither comes without torch.
TORCH = (*SLOW, "torch")
CONFIG = {
    "seed": 0,
    "schedule": {"name": "fix"},
    "data": {"name": "photos"},
    "threat": {"norm": "linf", "eps": "4/255"},
    "objective": {"name": "adversarial"},
    "training": {"epochs": 2},
    "evaluation": {"attack": {"name": "apgd", "steps": 10}, "split": "test"},
}
#: Runs commands, and prints for each its status and which forbidden modules are imported by then.
WATCH = """
import json, sys
from rampart.cli.main import main
forbidden, commands = map(json.loads, sys.argv[1:])
seen = []
for command in commands:
    sys.argv[1:], status = command, 0
    try:
        main()
    except SystemExit as stop:
        status = stop.code or 0
    seen.append([status, sorted(set(forbidden) & set(sys.modules))])
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Two evaluated runs, and a study without any."""
    root = tmp_path_factory.mktemp("places")
    for seed, name in enumerate(("one", "two")):
        folder, config = RunFolder(root / name), {**copy.deepcopy(CONFIG), "seed": seed}
        folder.path.mkdir()
        folder.config.write_text(yaml.safe_dump(config))
        folder.set_status("complete")
        rows = [
            {"epoch": epoch, "eps": 4 / 255, "alpha": 1.0, "val_clean": 0.5, "val_robust": 0.4}
            | {"forwards": 10, "backwards": 10, "seconds": 1.0}
            for epoch in (1, 2)
        ]
        folder.history.write_text("".join(json.dumps(row) + "\n" for row in rows))
        made = make()
        metadata = {**made.metadata, "settings": config, "run": config}
        metadata["run_folder"] = str(folder.path)
        save_record(dataclasses.replace(made, metadata=metadata), folder.evaluations / "own")
    study = root / "study"
    study.mkdir()
    base = {"model": "resnet18", "data": "digit-pairs"}
    tree = {"base": base, "seeds": [0], "axes": {"eps": ["4/255"]}, "methods": ["fix"]}
    (study / "study.yaml").write_text(yaml.safe_dump(tree))
    (root / "unknown.yaml").write_text(yaml.safe_dump({**tree, "axis": {}}))
    (root / "no-key.yaml").write_text(yaml.safe_dump({**tree, "axes": {"zzqx": [1]}}))
    wrong = {**tree, "base": {**base, "training": {"epochs": -1}}}
    (root / "wrong.yaml").write_text(yaml.safe_dump(wrong))
    return root


def watched(commands, forbidden, folder, code=WATCH):
    """Return status and forbidden imports after each command, all of them in one new process."""
    run = subprocess.run(
        [sys.executable, "-c", code, json.dumps(forbidden), json.dumps(commands)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert run.stdout, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


TRAIN = ["train", "model=resnet18", "data=x", "-o", "run"]


@pytest.mark.parametrize(
    ("forbidden", "commands"),
    [
        (
            TORCH,
            {
                0: [
                    ["--help"],
                    ["train", "--help"],
                    ["preview", "two-hinge"],
                    ["models"],
                    ["data"],
                    ["report", "one", "two"],
                    ["compare", "one", "two", "-o", "comparison"],
                ],
                1: [["gate", "one", "--clean", ">=0.999"]],
                2: [
                    [*TRAIN, "training.epochs=-1"],
                    [*TRAIN, "data.resize=stretch"],
                    [*TRAIN, "training.epoch=3"],
                    [*TRAIN, "epochs=3"],
                    [*TRAIN, "steps=3"],
                    [*TRAIN, "training.zzqx=3"],
                    [*TRAIN, "--epochs", "3"],
                    [*TRAIN, "training.batch_size=8,16"],
                    ["train", "data=x", "-o", "run"],
                    ["report", "nothing"],
                ],
            },
        ),
        (
            SLOW,
            {
                0: [["study", "status", "study"], ["study", "table", "study"]],
                2: [["train", "model=resnet18", "data=digit-pairs", "-o", "run", "attack.steps=0"]],
            },
        ),
    ],
    ids=["without torch", "with torch"],
)
def test_a_verb_does_not_import_what_it_does_not_need(places, forbidden, commands):
    listed = [(status, one) for status, group in commands.items() for one in group]
    seen = watched([one for _, one in listed], forbidden, places)
    for (status, one), found in zip(listed, seen, strict=True):
        assert found == [status, []], one


#: There are no such data.
KEYS = ["data=x", "model=resnet18"]
#: No output folder, and no image.
FILE = "wrong.yaml"
#: What each verb refuses first: a run or data that are not there, an output that is, an unknown
#: key, a wrong value. The places of the fixture lie in the folder of the process.
REFUSED = {
    "train": [
        [*KEYS, "-o", "new", "training.epochs=-1"],
        [*KEYS, "-o", "new"],
        [*KEYS, "-o", "one"],
        [*KEYS, "-o", FILE],
        ["-o", "one", "--resume", "--overwrite"],
    ],
    "tune": [
        [*KEYS, "-o", "new"],
        [*KEYS, "-o", "new", "--runs", "2"],
        [*KEYS, "-o", FILE, "--runs", "2"],
        [*KEYS, "-o", "new", "--runs", "2", "training.epochs=0"],
        [*KEYS, "-o", "new", "--runs", "2", "training.zzqx=0"],
    ],
    "evaluate": [
        ["nothing/run"],
        ["one", "zzqx=1"],
        ["one", "evaluation.limit=-3"],
        ["one", "-o", FILE],
        ["timm:resnet18"],
        ["timm:resnet18", "data=x"],
        ["timm:resnet18", "data=x", "evaluation.limit=-3"],
        ["timm:resnet18", "data=x", "model=resnet50"],
    ],
    "profile": [
        ["nothing/run"],
        ["one", "zzqx=1"],
        ["one", "evaluation.limit=-3"],
        ["one", "threat.eps=4/255"],
        ["one", "--threats", "zzqx"],
        ["one", "-o", FILE],
        ["timm:resnet18"],
        ["timm:resnet18", "data=x"],
    ],
    "predict": [
        ["nothing/run", "x.png"],
        ["one", "x.png"],
        ["timm:resnet18", FILE, "x.png"],
        ["one", FILE, "data.zzqx=1"],
        ["one", FILE, "evaluation.batch_size=0"],
        ["one", FILE, "-o", "x.txt"],
        ["timm:resnet18", FILE, "evaluation.batch_size=0"],
    ],
    "export": [["nothing", "--to", "onnx"]],
    "publish": [["nothing", "--to", "new"]],
    "interpolate": [
        ["nothing", "one", "-o", "new"],
        ["one", "nothing", "-o", "new"],
        ["one", "two", "-o", FILE],
        ["one", "two", "-o", "two"],
    ],
    "refine": [
        ["nothing"],
        ["one", "nothing"],
        ["one", "-o", "one"],
        ["one", "-o", FILE],
        ["one", "--epochs", "-1"],
    ],
    "linear-probe": [["resnet18"], KEYS, [*KEYS, "threat.zzqx=1"], [*KEYS, "threat.eps=-1"]],
    "check-labels": [
        ["resnet18"],
        [*KEYS, "-o", "new"],
        [*KEYS, "-o", FILE],
        [*KEYS, "threat.zzqx=1"],
        [*KEYS, "threat.eps=-1"],
    ],
    "data": [["zzqx"], ["digitpairs"], ["cars", "data.zzqx=1"], ["cars", "training.epochs=1"]],
    "verify": [["nothing"]],
    "report": [["nothing"]],
    "gate": [["nothing", "--clean", ">=0.5"], ["one", "--clean", "0.5"]],
    "compare": [["nothing"]],
    "preview": [["zzqx"], ["two-hinge", "zzqx=1"]],
    "models": [["--zzqx"]],
    "doctor": [["zzqx"]],
    "quickstart": [["zzqx"], ["-o", FILE]],
    "study plan": [["nothing.yaml"], ["unknown.yaml"], ["no-key.yaml"], ["wrong.yaml"]],
    "study run": [
        [file, "-o", "new"]
        for file in ("nothing.yaml", "unknown.yaml", "no-key.yaml", "wrong.yaml")
    ],
    "study status": [["nothing"], ["one"], ["wrong.yaml", "-o", "new"]],
    "study table": [["nothing"], ["study", "--format", "md"]],
    "study figures": [["nothing"]],
}


def test_every_verb_has_something_that_it_refuses():
    assert set(REFUSED) == {*_VERBS, *(f"study {verb}" for verb in _STUDY_VERBS)}


def test_no_verb_imports_what_is_slow_before_it_refuses(places):
    commands = [[*verb.split(), *words] for verb, group in REFUSED.items() for words in group]
    for command, found in zip(commands, watched(commands, TORCH, places), strict=True):
        assert found == [2, []], command
    assert not (places / "new").exists()


def test_the_watch_sees_an_import(tmp_path):
    code = WATCH.replace("import json, sys", "import json, sys; sys.modules['pandas'] = sys")
    assert watched([["--version"]], ["pandas"], tmp_path, code) == [[0, ["pandas"]]]
