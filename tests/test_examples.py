import runpy
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples" / "by_feature").glob("*.py"))


def test_there_are_examples():
    assert len(EXAMPLES) >= 4


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_it_runs_and_prints(example, tmp_path):
    command = [sys.executable, "-W", "error", example, tmp_path / "run"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


LOOPS = {"in_lightning": "lightning", "in_hugging_face": "transformers"}


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_of_another_library(name, tmp_path):
    pytest.importorskip(LOOPS[name])
    file = EXAMPLES[0].parents[1] / "loops" / f"{name}.py"
    # Those libraries raise warnings that do not concern Rampart.
    done = subprocess.run(
        [sys.executable, file], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "validation" in done.stdout
    assert "255" in done.stdout


def test_every_loop_is_run():
    found = {path.stem for path in (EXAMPLES[0].parents[1] / "loops").glob("*.py")}
    assert found == set(LOOPS)


TOOLS = {"in_maite": "maite", "in_attackbench": "torch", "in_torchmetrics": "torchmetrics"}


@pytest.mark.parametrize("name", TOOLS)
def test_another_tool(name, capsys, monkeypatch):
    pytest.importorskip(TOOLS[name])
    folder = EXAMPLES[0].parents[1] / "other_tools"
    monkeypatch.syspath_prepend(folder)
    with warnings.catch_warnings():
        # Those libraries raise warnings that do not concern Rampart.
        warnings.simplefilter("ignore")
        runpy.run_path(str(folder / f"{name}.py"))
    assert "%" in capsys.readouterr().out


def test_every_tool_is_run():
    found = {path.stem for path in (EXAMPLES[0].parents[1] / "other_tools").glob("in_*.py")}
    assert found == set(TOOLS)
