import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import timm
import torch
import yaml

from rampart.cli.console import console
from rampart.errors import RampartWarning
from rampart.runs.run_folder import RunFolder
from settings import changed

VERBS = ("quickstart", "train", "evaluate", "verify", "report", "compare", "preview")
VERBS += ("study plan", "study run", "study status", "study table", "study figures")
VERBS += ("linear-probe", "doctor", "profile", "gate", "publish", "refine", "check-labels")


def test_help_names_every_verb(rampart):
    out = rampart("--help").out
    for verb in VERBS:
        assert verb.split()[0] in out


@pytest.mark.parametrize("group", [(), ("study",)])
def test_no_summary_of_a_verb_is_cut_off(rampart, group, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    summaries = rampart(*group, "--help").out.split("Commands:")[1]
    assert "..." not in summaries


def test_the_surface_is_what_is_documented(rampart):
    """New options are a decision: they appear here too."""
    surface = {verb: options_in(rampart(*verb.split(), "--help").out) for verb in VERBS}
    assert surface == {
        "quickstart": {"--output", "--full", "--resume", "--overwrite"},
        "train": {
            *("--output", "--resume", "--overwrite", "--evaluate", "--no-evaluate", "--json"),
        },
        "evaluate": {"--rerun", "--output", "--overwrite", "--json"},
        "profile": {"--threats", "--output", "--overwrite", "--json"},
        "verify": {"--json"},
        "report": {"--distribution", "--per-class", "--json", "--html", "--output"},
        "compare": {"--output", "--evaluation", "--overwrite", "--json"},
        "preview": {
            *("--eps", "--norm", "--epochs", "--steps-per-epoch", "--interval"),
            *("--accuracy", "--table", "--output"),
        },
        "study plan": {"--calibration", "--no-calibration", "--json"},
        "study run": {
            *("--output", "--workers", "--engine", "--cpus", "--gpus", "--processes", "--detach"),
        },
        "study status": {"--output", "--json"},
        "study table": {"--output", "--published", "--format", "--json"},
        "study figures": {"--output", "--published"},
        "gate": {"--expected", "--at", "--clean", "--distribution", "--json", "--sarif"},
        "refine": {
            *("--output", "--images", "--steps", "--radius", "--epochs", "--lr", "--momentum"),
            *("--weight-decay", "--choose", "--resume", "--overwrite"),
            *("--evaluate", "--no-evaluate", "--json"),
        },
        "publish": {"--to", "--private", "--license", "--dry-run"},
        "linear-probe": {"--json"},
        "check-labels": {"--output", "--overwrite", "--json"},
        "doctor": set(),
    }


def test_own_parts_can_be_imported(rampart, refused, tmp_path, tiny_settings):
    file = tmp_path / "mine.py"
    file.write_text((Path(__file__).parents[2] / "examples/by_feature/own_schedule.py").read_text())
    train = ("train", *tiny_settings, "schedule=power", "training.epochs=1", "-o", tmp_path / "run")
    refused("`rampart --import FILE.py ...`", *train)
    assert rampart("--import", file, *train).status == 0
    assert yaml.safe_load((tmp_path / "run/config.yaml").read_text())["schedule"]["power"] == 2.0
    refused("--import gone.py: file '", "--import", "gone.py", *train)


def options_in(text):
    words = text.replace("/", " ").replace(",", " ").split()
    return {word for word in words if word.startswith("--")} - {"--help"}


def test_version(rampart):
    from rampart.version import __version__

    assert rampart("--version").out.strip() == f"rampart {__version__}"


def test_doctor_passes_its_self_test(rampart):
    result = rampart("doctor")
    assert "in every batch" in result.out
    assert result.status == 0
    assert "self-test    passed" in result.out


def test_a_broken_attack_fails_the_self_test(rampart, monkeypatch):
    from rampart.attacks.apgd import Apgd

    monkeypatch.setattr(Apgd, "_run", lambda self, problem: problem.images)
    result = rampart("doctor")
    assert result.status == 1
    assert "FAILED" in result.out


def test_defects_are_not_hidden(rampart, monkeypatch):
    monkeypatch.setattr("rampart.cli.overrides.config_and_overrides", None)
    with pytest.raises(TypeError):
        rampart("train", "model=a", "-o", "run")


def test_a_signal_ends_with_the_shells_status(tiny_settings, tmp_path):
    # Without a pilot, between which and the run a signal has no step to name.
    settings = changed([*tiny_settings, "training.epochs=2000", "schedule=fix"])
    command = [sys.executable, "-m", "rampart", "train", *settings, "-o", tmp_path / "run"]
    run = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    history = tmp_path / "run" / "history.jsonl"
    while not (history.exists() and history.stat().st_size):
        assert run.poll() is None, run.communicate()
        time.sleep(0.1)
    run.terminate()
    _, err = run.communicate(timeout=60)
    assert run.returncode == 128 + 15
    assert "stopped by SIGTERM" in err
    assert f"run `rampart train --output {tmp_path / 'run'} --resume` to resume" in err


def test_a_warning_is_one_line(rampart, tiny_settings, tmp_path):
    network = timm.create_model("test_resnet", num_classes=3)
    weights = network.state_dict()
    torch.save({"model": weights, "model_ema": weights}, tmp_path / "weights.pth")
    model = ["model=test_resnet", f"model.weights={tmp_path / 'weights.pth'}"]
    others = [setting for setting in tiny_settings if not setting.startswith("model")]
    with warnings.catch_warnings():
        warnings.simplefilter("default", RampartWarning)
        short = [*model, *others, "training.epochs=1", "training.monitors=false"]
        result = rampart("train", *short, "--no-evaluate", "-o", tmp_path / "run")
    assert result.status == 0, result.err
    lines = result.err.splitlines()
    assert [line for line in lines if line.startswith("rampart: warning: ")] == lines
    assert len(lines) == 1
    assert "model_ema was taken" in lines[0]


@pytest.mark.parametrize(
    "command",
    [
        ("train", "model=resnet18", "data=digit-pairs"),
        ("compare", "runs"),
        ("study", "run", "study.yaml"),
        ("interpolate", "one", "two"),
        ("refine", "one"),
        ("quickstart",),
    ],
)
def test_an_output_that_is_a_file_is_refused(refused, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    for name in ("one", "two"):
        RunFolder(Path(name)).set_status("complete")
        Path(name, "config.yaml").touch()
        Path(name, "model").mkdir()
        Path(name, "model", "config.json").write_text("{}")
    refused("output folder file is a file", *command, "--output", "file")


def test_names_in_brackets_are_printed_as_they_are(capsys):
    console.print("RFT-fix [new] leads, in runs/[red]x[/red]")
    assert capsys.readouterr().out == "RFT-fix [new] leads, in runs/[red]x[/red]\n"
