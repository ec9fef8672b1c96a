"""The documents name what there is."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from rampart.recipes.config.loading import dump_config, load_config
from rampart.registry import flatten
from rampart.runs.run_folder import RunFolder
from rampart.runtime import scoped_seed

ROOT = Path(__file__).parents[2]


def test_every_key_is_documented():
    text = (ROOT / "docs" / "configuration.md").read_text()
    documented = set(re.findall(r"`([a-z_.0-9]+)`", text))
    config = load_config(None, ["model=a", "data=b"])
    of_components = ("schedule.", "objective.", "attack.", "evaluation.attack.")
    wanted = {
        key
        for key in flatten(dump_config(config))
        if not key.startswith(of_components) or key.endswith(".name")
    }
    assert len(wanted) > 30
    assert wanted - documented == set()


def test_links_between_documents_lead_somewhere():
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    links = [
        (document, link)
        for document in documents
        for link in re.findall(r"\]\(([^)#]+)\)", document.read_text())
        if "://" not in link
    ]
    assert len(links) > 5
    for document, link in links:
        assert (document.parent / " ".join(link.split())).exists(), f"{document}: {link}"


def test_the_python_of_the_guide_to_evaluation_runs():
    text = (ROOT / "docs" / "evaluation.md").read_text()
    on_a_grid, without_one = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    with scoped_seed(0):
        exec(on_a_grid, names)
    assert len(names["found"]) == 20
    assert 0 <= names["expected_robustness"](names["found"].critical, names["grid"]) <= 1
    exec(without_one, names)
    average = names["continuum_robustness"](names["distances"], 8 / 255)
    assert average == pytest.approx((0 + 1 / 4 + 1) / 3)


def test_the_losses_of_the_guide_to_own_loops_are_made_and_used():
    text = (ROOT / "docs" / "parts.md").read_text()
    text = text.partition("## In your own loop")[2].partition("## Add your own")[0]
    first, second = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 10))
    batches = [(torch.rand(4, 3, 2, 2), torch.arange(4)) for _ in range(5)]
    names: dict[str, Any] = {
        "model": model,
        "loader": batches,
        "optimiser": torch.optim.SGD(model.parameters(), lr=0.1),
        "epochs": 1,
        "steps_per_epoch": 5,
    }
    exec(first, names)
    assert names["robust"].scheduler.steps_done == 5
    assert names["robust"].scheduler.eps == 4 / 255, "as long as the run is"
    exec(second, names)
    assert names["robust"](*batches[0]).item() > 0


def test_the_walk_through_of_own_parts_trains(tiny_settings, tmp_path):
    text = (ROOT / "docs" / "parts.md").read_text().partition("## Add your own")[2]
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    # In a process of its own: what it registers would stay.
    more = ["objective=both", "attack=corner", "strategies=[vectors]"]
    more += ["callbacks=[{name: norms, every: 4}]", "schedule=fix"]
    settings = [one for one in [*tiny_settings, *more] if not one.startswith("attack.steps")]
    program = f"""{code}

from pathlib import Path
from rampart import load_config, train_run

if __name__ == "__main__":
    train_run(load_config(None, {settings!r}), Path({str(tmp_path / "run")!r}))
"""
    file = tmp_path / "program.py"
    file.write_text(program)
    done = subprocess.run([sys.executable, file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("alpha 1.00, head") == 2
    sizes = RunFolder(tmp_path / "run").facts()["parameters"]
    assert 0 < sizes["trained"] < sizes["all"] / 10


def test_every_public_name_is_there():
    import rampart

    for name in rampart.__all__:
        assert getattr(rampart, name) is not None
