"""Verbs that only read or refuse start at once: they do not import what trains."""

import copy
import dataclasses
import json
import os
import subprocess
import sys

import pytest
import yaml
from PIL import Image
from tests.records.made_up_records import make

from rampart.cli.main import _STUDY_VERBS, _VERBS
from rampart.experiments.loading import load_study
from rampart.experiments.study_cells import method_cells
from rampart.recipes.config.loading import dump_config
from rampart.records.storage import save_record
from rampart.runs.run_folder import RunFolder

#: No verb below needs any of them.
SLOW = (
    *("torch", "torchvision", "timm", "accelerate", "transformers"),
    *("scipy.stats", "pandas", "datasets"),
)
CONFIG = {
    "seed": 0,
    "schedule": {"name": "fix"},
    "data": {"name": "photos"},
    "model": {"name": "resnet18"},
    "threat": {"norm": "linf", "eps": "4/255"},
    "objective": {"name": "adversarial"},
    "training": {"epochs": 2},
    "evaluation": {"attack": {"name": "apgd", "steps": 10}, "split": "test"},
}
#: Runs commands, and prints for each its status and which forbidden modules are imported by then.
WATCH = """
import contextlib, io, json, sys
from rampart.cli.main import main
forbidden, commands = map(json.loads, sys.argv[1:])
seen = []
for command in commands:
    sys.argv[1:], status, said = command, 0, io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            main()
        except SystemExit as stop:
            status = stop.code or 0
    seen.append([status, sorted(set(forbidden) & set(sys.modules)), said.getvalue()])
print(json.dumps(seen))
"""


def write_run(path, config):
    """Write the folder of a finished and evaluated run."""
    folder = RunFolder(path)
    folder.path.mkdir(parents=True)
    folder.config.write_text(yaml.safe_dump(config))
    folder.set_status("complete")
    rows = [
        {"epoch": epoch, "eps": 4 / 255, "alpha": 1.0, "val_clean": 0.5, "val_robust": 0.4}
        | {"forwards": 10, "backwards": 10, "seconds": 1.0}
        for epoch in (1, 2)
    ]
    folder.history.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = make()
    metadata = {**made.metadata, "settings": config, "run": config, "run_folder": str(path)}
    save_record(dataclasses.replace(made, metadata=metadata), folder.evaluations / "own")


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Two evaluated runs, a study with one of two runs, and files of wrong studies."""
    root = tmp_path_factory.mktemp("places")
    for seed, name in enumerate(("one", "two")):
        write_run(root / name, {**copy.deepcopy(CONFIG), "seed": seed})
    for number in range(20):
        picture = root / "photos" / "ab"[number % 2] / f"{number}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(picture)
    study = root / "study"
    study.mkdir()
    base = {"model": "resnet18", "data": "digit-pairs", "training": {"epochs": 2}}
    tree = {"base": base, "seeds": [0, 1], "axes": {"eps": ["4/255"]}, "methods": ["fix"]}
    (study / "study.yaml").write_text(yaml.safe_dump(tree))
    done, _ = method_cells(load_study(study / "study.yaml"), study)
    write_run(done.folder, dump_config(done.config))
    (root / "unknown.yaml").write_text(yaml.safe_dump({**tree, "axis": {}}))
    (root / "no-key.yaml").write_text(yaml.safe_dump({**tree, "axes": {"zzqx": [1]}}))
    wrong = {**tree, "base": {**base, "training": {"epochs": -1}}}
    (root / "wrong.yaml").write_text(yaml.safe_dump(wrong))
    option = {**tree, "base": {**base, "attack": {"name": "apgd", "steps": 0}}}
    (root / "option.yaml").write_text(yaml.safe_dump(option))
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


#: Status, and what the answer must say.
ANSWERS = {
    "--help": (0, "train"),
    "train --help": (0, "--resume"),
    "preview two-hinge": (0, "two-hinge"),
    "models": (0, "resnet50"),
    "data": (0, "aircraft"),
    "data photos": (0, "20"),
    "report one two": (0, "one"),
    "compare one two -o comparison": (0, "comparison"),
    "study status study": (0, "1 done"),
    "study table study": (0, "1 of 2"),
    "gate one --clean >=0.999": (1, "clean"),
}


def test_a_verb_does_not_import_what_it_does_not_need(places):
    seen = watched([words.split() for words in ANSWERS], SLOW, places)
    for (words, (status, said)), found in zip(ANSWERS.items(), seen, strict=True):
        assert found[:2] == [status, []], words
        assert said in found[2], words


KEYS, GONE = "data=digit-pairs model=resnet18", "data=x model=resnet18"
FILES = ("nothing", "unknown", "no-key", "wrong", "option")
SAID = ("nothing.yaml", "'axis'", "axes", "training.epochs", "attack.steps")
#: What each verb refuses first, and words of its answer: a run or data that are not there, an
#: output that is, an unknown key, a wrong value. The fixture has the places.
REFUSED = {
    "train": {
        f"{KEYS} -o new training.epochs=-1": "training.epochs=-1",
        f"{KEYS} -o new data.resize=stretch": "data.resize=stretch",
        f"{KEYS} -o new training.epoch=3": "training.epochs",
        f"{KEYS} -o new epochs=3": "training.epochs",
        f"{KEYS} -o new steps=3": "attack.steps",
        f"{KEYS} -o new training.zzqx=3": "training.zzqx",
        f"{KEYS} -o new --epochs 3": "training.epochs",
        f"{KEYS} -o new training.batch_size=8,16": "training.batch_size",
        f"{KEYS} -o new attack.steps=0": "attack.steps=0",
        f"{KEYS} -o new attack.zzqx=0": "'zzqx'",
        f"{KEYS} -o new objective=twins objective.weight=-1": "objective.weight=-1",
        f"{KEYS} -o new strategies=zzqx": "'zzqx'",
        f"{KEYS} -o new schedule=two-hinge schedule.start=2": "schedule.start",
        f"{KEYS} -o new objective=autolora": "strategies=[autolora]",
        f"{KEYS} -o new evaluation.attack.mode=train": "evaluation.attack.mode=train",
        f"{KEYS} -o new evaluation.ids=no.txt": "'no.txt'",
        f"{GONE} -o new": "'x'",
        "data=x -o new": "model",
        f"{KEYS} -o one": "one exists",
        f"{KEYS} -o wrong.yaml": "wrong.yaml is a file",
        "-o one --resume --overwrite": "--resume and --overwrite",
    },
    "tune": {
        f"{KEYS} -o new": "--runs",
        f"{GONE} -o new --runs 2": "'x'",
        f"{KEYS} -o wrong.yaml --runs 2": "wrong.yaml is a file",
        f"{KEYS} -o new --runs 2 training.epochs=0": "training.epochs=0",
        f"{KEYS} -o new --runs 2 training.zzqx=0": "training.zzqx",
        f"{KEYS} -o new --runs 2 attack.steps=0": "attack.steps=0",
    },
    "evaluate": {
        "nothing/run": "nothing/run holds no run",
        "one zzqx=1": "'zzqx'",
        "one data=x": "'x'",
        "one evaluation.limit=-3": "evaluation.limit=-3",
        "one evaluation.attack.steps=0": "evaluation.attack.steps=0",
        "one evaluation.strengths=[2/255]": "evaluation.strengths=2/255",
        "one -o wrong.yaml": "wrong.yaml is a file",
        "timm:resnet18": "data is not set",
        "timm:resnet18 data=x": "'x'",
        "timm:resnet18 data=digit-pairs evaluation.limit=-3": "evaluation.limit=-3",
        "timm:resnet18 data=digit-pairs evaluation.attack.steps=0": "evaluation.attack.steps=0",
        "timm:resnet18 data=digit-pairs model=resnet50": "model=resnet50",
    },
    "profile": {
        "nothing/run": "nothing/run holds no run",
        "one zzqx=1": "'zzqx'",
        "one data=x": "'x'",
        "one evaluation.limit=-3": "evaluation.limit=-3",
        "one threat.eps=4/255": "threat.eps=4/255",
        "one --threats zzqx": "'zzqx'",
        "one -o wrong.yaml": "wrong.yaml is a file",
        "timm:resnet18": "data is not set",
        "timm:resnet18 data=x": "'x'",
    },
    "predict": {
        "nothing/run x.png": "nothing/run holds no run",
        "one x.png": "'x.png'",
        "timm:resnet18 wrong.yaml x.png": "'x.png'",
        "one wrong.yaml data.zzqx=1": "'data.zzqx'",
        "one wrong.yaml evaluation.batch_size=0": "evaluation.batch_size=0",
        "one wrong.yaml -o x.txt": "output=x.txt",
        "timm:resnet18 wrong.yaml evaluation.batch_size=0": "evaluation.batch_size=0",
    },
    "export": {"nothing --to onnx": "nothing holds no run"},
    "publish": {
        "nothing --to new": "nothing holds no run",
        "one --to two": "two is not empty",
        "one --to hf:zzqx": "to=hf:zzqx",
    },
    "interpolate": {
        "nothing one -o new": "nothing holds no run",
        "one nothing -o new": "nothing holds no run",
        "one two -o wrong.yaml": "wrong.yaml is a file",
        "one two -o two": "two exists",
    },
    "refine": {
        "nothing": "nothing holds no run",
        "one nothing": "nothing holds no run",
        "one -o one": "one is the run itself",
        "one -o wrong.yaml": "wrong.yaml is a file",
        "one --epochs -1": "epochs=-1",
    },
    "linear-probe": {
        "resnet18": "data is not set",
        GONE: "'x'",
        f"{KEYS} threat.zzqx=1": "'threat.zzqx'",
        f"{KEYS} threat.eps=-1": "threat.eps=-1",
        f"{KEYS} attack.steps=0": "attack.steps=0",
    },
    "check-labels": {
        "resnet18": "data is not set",
        f"{GONE} -o new": "'x'",
        f"{KEYS} -o wrong.yaml": "wrong.yaml is a file",
        f"{KEYS} threat.zzqx=1": "'threat.zzqx'",
        f"{KEYS} threat.eps=-1": "threat.eps=-1",
    },
    "data": {
        "zzqx": "'zzqx'",
        "digitpairs": "digit-pairs",
        "cars data.zzqx=1": "'data.zzqx'",
        "cars training.epochs=1": "training.epochs=1",
    },
    "verify": {"nothing": "nothing holds no run"},
    "report": {"nothing": "nothing holds no finished evaluation"},
    "gate": {
        "nothing --clean >=0.5": "nothing holds no finished evaluation",
        "one --clean 0.5": "clean=0.5",
    },
    "compare": {"nothing -o new": "nothing holds no run"},
    "preview": {"zzqx": "'zzqx'", "two-hinge zzqx=1": "'zzqx'"},
    "models": {"--zzqx": "'--zzqx'"},
    "doctor": {"zzqx": "(zzqx)"},
    "quickstart": {"zzqx": "(zzqx)", "-o wrong.yaml": "wrong.yaml is a file"},
    "study plan": {f"{file}.yaml": said for file, said in zip(FILES, SAID, strict=True)},
    "study run": {f"{file}.yaml -o new": said for file, said in zip(FILES, SAID, strict=True)},
    "study status": {
        "nothing": "nothing does not exist",
        "one": "study.yaml",
        "wrong.yaml -o new": "training.epochs=-1",
    },
    "study table": {"nothing": "nothing does not exist", "study --format md": "--format=md"},
    "study figures": {"nothing": "nothing does not exist"},
}


def test_every_verb_has_something_that_it_refuses():
    assert set(REFUSED) == {*_VERBS, *(f"study {verb}" for verb in _STUDY_VERBS)}


def test_no_verb_imports_what_is_slow_before_it_refuses(places):
    cases = [
        (f"{verb} {words}", said)
        for verb, group in REFUSED.items()
        for words, said in group.items()
    ]
    seen = watched([words.split() for words, _ in cases], SLOW, places)
    for (words, said), (status, imported, answer) in zip(cases, seen, strict=True):
        assert (status, imported) == (2, []), words
        assert said in answer, words
    assert not (places / "new").exists()


def test_the_watch_sees_an_import(tmp_path):
    code = WATCH.replace("io, json, sys", "io, json, sys; sys.modules['pandas'] = sys")
    assert watched([["--version"]], ["pandas"], tmp_path, code)[0][:2] == [0, ["pandas"]]
