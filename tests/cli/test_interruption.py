"""After Ctrl-C every verb says what is true for it."""

import signal
from contextlib import suppress
from types import SimpleNamespace

import pytest

from rampart.cli.interruption import explain_interruption
from rampart.experiments.engines.options import RayOptions, RunResources
from rampart.training.interrupts import Interrupted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_prints_the_advice(number, capsys):
    # A shell that starts a job in the background has it ignore SIGINT.
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stopped, explain_interruption():
        signal.raise_signal(number)
    assert stopped.value.code == 128 + number
    assert capsys.readouterr().err.startswith("rampart: stopped; run the same command")
    assert signal.getsignal(signal.SIGTERM) == before
    signal.signal(signal.SIGINT, interrupt)


def test_a_library_may_lose_the_number_of_the_signal(capsys):
    def library():
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stopped, explain_interruption():
        library()
    assert stopped.value.code == 128 + signal.SIGTERM


def interrupt(*arguments, **more):
    raise KeyboardInterrupt


#: What each verb calls first, and the advice after an interruption there.
STOPPED_AT = {
    "evaluate m data=glyphs": (
        "recipes.evaluation.evaluate_named.evaluate_model",
        "run the same command again to resume.",
    ),
    "evaluate m data=glyphs --overwrite": (
        "recipes.evaluation.evaluate_named.evaluate_model",
        "run the same command again without --overwrite to resume.",
    ),
    "interpolate a b -o out": (
        "recipes.interpolate.interpolate_runs",
        "nothing is saved, run the same command again to start anew.",
    ),
    "refine a -o out": (
        "recipes.refining.refine.refine_run",
        "nothing is changed, run the same command again.",
    ),
    "train model=m data=glyphs -o out": (
        "recipes.train.train_run",
        "nothing is changed, run the same command again.",
    ),
    "quickstart -o out --overwrite": (
        "experiments.quickstart.run_quickstart",
        "`rampart quickstart --output out --resume` resumes.",
    ),
    "linear-probe m data=glyphs": (
        "recipes.probe_backbone.linear_probe_config",
        "run the same command again.",
    ),
}


@pytest.mark.parametrize("command", STOPPED_AT)
def test_the_advice_fits_the_verb(typed, monkeypatch, command):
    place, advice = STOPPED_AT[command]
    monkeypatch.setattr(f"rampart.{place}", interrupt)
    if command.split()[0] in ("interpolate", "refine"):
        # The folders of the runs are not there.
        monkeypatch.setattr("rampart.runs.run_folder.RunFolder.require_finished", lambda self: None)
    result = typed(*command.split())
    assert result.status == 130
    assert result.err == f"rampart: stopped; {advice}\n"


def test_an_interrupted_training_resumes_with_the_command_it_prints(
    rampart, typed, tiny_settings, tmp_path, monkeypatch
):
    from rampart.training import loop

    step, calls = loop.train_epoch, []

    def stop_in_the_second_epoch(run, interrupts):
        calls.append(run.step)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGTERM)
        step(run, interrupts)

    monkeypatch.setattr(loop, "train_epoch", stop_in_the_second_epoch)
    run = tmp_path / "run"
    result = rampart("train", *tiny_settings, "-o", run, "--no-evaluate")
    assert result.status == 128 + signal.SIGTERM
    assert "stopped by SIGTERM after step 4, and a checkpoint is saved" in result.err
    command = result.err.split("`")[1].split()
    assert command[0] == "rampart"
    assert typed(*command[1:], "--no-evaluate").status == 0
    assert len(calls) == 4


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_a_warning_of_slurm_saves_a_checkpoint_and_the_run_resumes_exactly(
    rampart, tiny_settings, tmp_path, monkeypatch, number
):
    from safetensors.torch import load_file

    from rampart.training import loop

    epoch, calls = loop.train_epoch, []

    def warned_in_the_second_epoch(run, interrupts):
        calls.append(run.step)
        if len(calls) == 2:
            signal.raise_signal(number)
        epoch(run, interrupts)

    train = ["train", *tiny_settings, "training.monitors=false", "--no-evaluate", "-o"]
    assert rampart(*train, tmp_path / "whole").status == 0
    monkeypatch.setattr(loop, "train_epoch", warned_in_the_second_epoch)
    calls.clear()
    result = rampart(*train, tmp_path / "run")
    assert result.status == 128 + number
    assert f"stopped by {number.name} after step" in result.err
    assert rampart(*train, tmp_path / "run", "--resume").status == 0
    ours, whole = (
        load_file(tmp_path / one / "model/model.safetensors") for one in ("run", "whole")
    )
    assert all((ours[name] == whole[name]).all() for name in whole)


def test_an_interrupted_study_names_no_option_that_it_lacks(typed, monkeypatch, tmp_path):
    """A training run inside a study reports the signal itself."""

    def stop(*arguments, **more):
        raise Interrupted(signal.SIGTERM, 3)

    read = SimpleNamespace(resources=RunResources(), ray=RayOptions(), slurm={})
    monkeypatch.setattr("rampart.experiments.loading.load_study", lambda *_: read)
    monkeypatch.setattr("rampart.experiments.study_folder.keep_file", lambda *_: None)
    monkeypatch.setattr("rampart.experiments.running.run_study", stop)
    result = typed("study", "run", "study.yaml", "-o", tmp_path / "out")
    assert result.status == 128 + signal.SIGTERM
    assert "run the same command again to resume" in result.err
    assert "--resume" not in result.err
