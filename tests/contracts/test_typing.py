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
