"""Every dependency has a lower bound, which `.ci/minimal` tests."""

import re
import tomllib
from pathlib import Path

import pytest

from minimal import MINIMAL

ROOT = Path(__file__).parents[2]


def requirements():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    optional = project["optional-dependencies"].values()
    return sorted({*project["dependencies"], *(one for extra in optional for one in extra)})


@pytest.mark.parametrize("requirement", requirements())
def test_every_dependency_has_a_lower_bound(requirement):
    assert re.fullmatch(r"[A-Za-z0-9_.-]+(\[\w+\])?(>=|==)[0-9.]+", requirement)


@pytest.mark.parametrize("file", sorted(MINIMAL))
def test_the_files_of_the_quick_part_exist(file):
    assert (ROOT / "tests" / file).is_file()
