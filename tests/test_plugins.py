import sys

import pytest

from rampart.plugins import IMPORTED, CodeError, import_parts, user_code
from rampart.schedules.base import SCHEDULES

PART = """
from dataclasses import dataclass

from beside import LEVEL
from rampart.recipes.config.loading import parse_config
from rampart.schedules.base import Schedule, SCHEDULES


@SCHEDULES.register("NAME")
@dataclass(frozen=True)
class Mine(Schedule):
    def _alpha(self, t, T, state, /):
        return LEVEL
"""


@pytest.fixture
def write(tmp_path):
    """Write a file whose schedule has a name that no other test takes."""
    (tmp_path / "beside.py").write_text("LEVEL = 0.5")

    def make(name):
        file = tmp_path / "mine.py"
        file.write_text(PART.replace("NAME", name))
        return file

    imported = list(IMPORTED)
    yield make
    IMPORTED[:] = imported
    sys.modules.pop("beside", None)


def test_parts_of_a_file_are_registered(write):
    file, before = write("imported-once"), list(sys.path)
    import_parts(str(file))
    assert SCHEDULES.build("imported-once").alpha(0, 1) == 0.5
    assert sys.path == before
    import_parts(str(file.parent / "." / file.name))
    assert IMPORTED.count(str(file)) == 1


def test_a_name_that_is_taken(write):
    file = write("fix")
    with pytest.raises(
        CodeError, match=r"schedule=fix: expected a name that is not taken .* at .*"
    ):
        import_parts(str(file))
    assert str(file) not in IMPORTED


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("nowhere/mine.py", "file 'nowhere/mine.py'"),
        ("no_such_module", "module 'no_such_module'"),
    ],
)
def test_missing_code(place, says):
    with pytest.raises(CodeError, match=says), user_code(place):
        pass


def test_code_that_raises_is_named_with_its_line_and_not_with_one_of_torch(tmp_path):
    calling, broken = tmp_path / "calling.py", tmp_path / "broken.py"
    calling.write_text("import torch\n\ntorch.nn.Linear(2, 2)(torch.ones(3))\n")
    broken.write_text("1 +\n")
    with pytest.raises(CodeError, match=r" at .*calling\.py:3\.$"), user_code(str(calling)):
        pass
    # The message of Python has the line.
    with pytest.raises(CodeError, match=r"broken\.py, line 1\)\.$"), user_code(str(broken)):
        pass
