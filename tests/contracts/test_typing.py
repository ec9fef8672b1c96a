"""The package root as a type checker sees it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import rampart

ROOT = Path(__file__).parents[2]


def mypy(file: Path, program: str) -> list[str]:
    """What mypy, strict, says of a user's file, a line each."""
    file.write_text(program)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert not done.stderr, done.stderr
    return done.stdout.splitlines()


def test_every_public_name_has_a_type(tmp_path):
    names = [name for name in rampart.__all__ if name != "__version__"]
    assert len(names) > 30
    program = "".join(f"reveal_type(rampart.{name})\n" for name in names)
    lines = mypy(tmp_path / "user.py", f"import rampart\n{program}")
    types = [re.findall(r'Revealed type is "(.*)"', line) for line in lines]
    assert len(types) == len(names)
    for name, revealed in zip(names, types, strict=True):
        assert revealed not in ([], ["Any"]), name


USER = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import rampart

images, labels = torch.rand(8, 3, 8, 8), torch.arange(8) % 2
loader = DataLoader(TensorDataset(images, labels))
model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))

schedule = rampart.TwoHinge.at_fractions(0.25, 0.75)
run = rampart.finetune(model, (loader, loader), "4/255", schedule=schedule, epochs=2, head_lr=1e-3)
reveal_type(run.model)
attack = rampart.AutoAttack(version="standard")
result = rampart.evaluate(run.model, loader, "8/255", attack, limit=500)
reveal_type(result.expected("uniform").value)
reveal_type(result.curve())
result.plot("curve.png").savefig("curve.pdf")
result.save("evaluations/first")
"""


def test_the_front_doors_pass_strict_checks(tmp_path):
    lines = mypy(tmp_path / "user.py", USER)
    assert len(lines) == 3
    assert all("Revealed type" in line and '"Any"' not in line for line in lines), lines


@pytest.mark.parametrize(
    "call",
    [
        "rampart.evaluate(model, loader, limt=3)",
        'rampart.finetune(model, loader, schedul="fix")',
        "rampart.finetune(model, loader, backbone_lr='fast')",
        "rampart.AutoAttack(version='long')",
    ],
)
def test_a_wrong_argument_of_the_front_doors_is_an_error(tmp_path, call):
    lines = mypy(tmp_path / "user.py", f"{USER.partition('schedule')[0]}{call}\n")
    assert sum("error" in line for line in lines) == 1


def test_a_misspelled_name_is_an_error(tmp_path):
    lines = mypy(tmp_path / "user.py", "import rampart\nfrom rampart import Apdg\nrampart.Pdg\n")
    assert len(lines) == 2
    assert all("attr-defined" in line for line in lines)


def test_a_misspelled_name_is_an_error_at_run_time_too():
    with pytest.raises(AttributeError, match="Apdg"):
        rampart.Apdg  # noqa: B018
    assert "Apgd" in dir(rampart)


def test_importing_the_package_imports_no_torch():
    script = "import rampart, sys; dir(rampart); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
