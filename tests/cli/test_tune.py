"""`rampart tune`: real searches with Ray, and what it refuses before one."""

import csv
import json
import signal
import subprocess
import sys

import pytest

from rampart.recipes.config.loading import load_config
from settings import changed

SHORT = ("training.epochs=2", "attack.steps=1", "evaluation.checks=false")


def command(settings, output, *options):
    words = [sys.executable, "-m", "rampart", "tune", *changed(settings), "-o", output, *options]
    return list(map(str, words))


def rows_of(output):
    return list(csv.DictReader((output / "trials.csv").read_text().splitlines()))


@pytest.fixture(scope="module")
def short(tiny_settings):
    """The run of `tiny_settings` with 2 epochs."""
    return list(changed([*tiny_settings, *SHORT]))


@pytest.fixture(scope="module")
def uninterrupted(short, tmp_path_factory):
    """A search over longer runs, one after another: its settings, its options and its folder."""
    settings, options = [*short, "training.epochs=20"], ("--runs", 3, "--workers", 1)
    out = tmp_path_factory.mktemp("searches") / "whole"
    done = subprocess.run(command(settings, out, *options), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return settings, options, out


def test_a_search_ends_with_a_configuration_that_train_reads(short, tmp_path, rampart):
    """One trial diverges, which does not end the search."""
    out = tmp_path / "search"
    wild = [*short, "optimizer.backbone_lr=1e30"]
    done = subprocess.run(command(wild, out, "--runs", 2), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert ": diverged: " in done.stdout
    rows = rows_of(out)
    assert len(rows) == 2
    assert rows[0]["status"] == "complete"
    assert rows[0]["epochs"] == "2"
    assert rows[-1]["status"] == "diverged"
    tuned = load_config(out / "tuned.yaml")
    assert tuned.optimizer.head_lr == float(rows[0]["optimizer.head_lr"])
    spent = json.loads((out / "spent.json").read_text())
    assert (spent["runs"], spent["epochs"]) == (2, 2)
    assert spent["passes"] == sum(int(row["passes"]) for row in rows)
    result = rampart("train", out / "tuned.yaml", "-o", tmp_path / "run", "--no-evaluate")
    assert result.status == 0, result.err
    # The same command again has nothing left to do.
    before = (out / "reports.jsonl").read_bytes()
    assert rampart("tune", *wild, "-o", out, "--runs", 2).status == 0
    assert (out / "reports.jsonl").read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_search_that_is_stopped_goes_on(uninterrupted, tmp_path, number):
    settings, options, whole = uninterrupted
    out = tmp_path / "search"
    with subprocess.Popen(
        command(settings, out, *options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            if "epoch 3/" in line:
                process.send_signal(number)
                break
        _, error = process.communicate()
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    assert "Traceback" not in error
    assert number == signal.SIGKILL or "same command again to resume" in error
    before = (out / "reports.jsonl").read_text()
    done = subprocess.run(command(settings, out, *options), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    after = (out / "reports.jsonl").read_text()
    assert after.startswith(before)
    seen = [(row["trial"], row["epoch"]) for row in map(json.loads, after.splitlines())]
    assert len(set(seen)) == len(seen)
    columns = ("name", "val_clean", "epochs", "passes", "status")
    resumed, alone = (
        [[row[one] for one in columns] for row in rows_of(path)] for path in (out, whole)
    )
    assert resumed == alone


@pytest.mark.slow
def test_optuna_searches_the_phases_apart(short, tmp_path):
    out = tmp_path / "search"
    options = ("--sampler", "optuna", "--metric", "expected", "--per-phase", "--minutes", 0.7)
    for budget in (options, (*options, "--runs", 2)):
        done = subprocess.run(command(short, out, *budget), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert float(rows_of(out)[0]["optimizer.ramp_lr_factor"]) > 0
    assert len(rows_of(out)) >= 2


@pytest.mark.slow
def test_a_search_whose_trials_all_fail_says_why(short, tmp_path):
    """The objective of the user raises in every trial."""
    own = tmp_path / "own.py"
    own.write_text(
        "from dataclasses import dataclass\n"
        "from rampart.objectives.catalogue import OBJECTIVES\n"
        "from rampart.objectives.adversarial import Adversarial\n"
        "@OBJECTIVES.register('broken')\n"
        "@dataclass(frozen=True)\n"
        "class Broken(Adversarial):\n"
        "    def __call__(self, *arguments, **options):\n"
        "        raise ValueError('not ready')\n"
    )
    words = command([*short, "objective=broken"], tmp_path / "search", "--runs", 2)
    words[3:3] = ["--import", str(own)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "every trial failed (ValueError: not ready)" in done.stderr
    assert len(list((tmp_path / "search" / "trials").glob("*-error.txt"))) == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "--runs"),
        (("--runs", 0), "--runs"),
        (("--minutes", "-1"), "--minutes"),
        (("--runs", 2, "--metric", "acuracy"), "--metric"),
        (("--runs", 2, "--sampler", "grid"), "--sampler"),
        (("--runs", 2, "--cpus", 0), "--cpus"),
        (("--runs", 2, "--per-phase", "schedule=fix"), "--per-phase"),
        (("--runs", 2, "training.batch_size=4096"), "training.batch_size"),
        (("--runs", 2, "data.name=nowhere"), "nowhere"),
        (
            ("--runs", 2, "--sampler", "optuna", "optimizer.head_weight_decay=0"),
            "optimizer.head_weight_decay",
        ),
    ],
)
def test_wrong_options_are_refused_before_ray_starts(refused, short, tmp_path, options, says):
    refused(says, "tune", *short, "-o", tmp_path / "search", *options)
    assert not (tmp_path / "search").exists()


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--cpus", "--gpus"])
def test_a_trial_that_fits_on_no_machine_is_refused(short, tmp_path, option):
    words = command(short, tmp_path / "search", "--runs", 2, option, 1000)
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert done.stderr.startswith(f"rampart: {option}=1000")
