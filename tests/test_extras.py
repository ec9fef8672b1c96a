import pytest

from rampart.errors import MissingExtra
from rampart.extras import require_extra


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a package on the path, by the text of its modules."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(name, **modules):
        (tmp_path / name).mkdir()
        for module, text in modules.items():
            (tmp_path / name / f"{module}.py").write_text(text)
        return name

    return make


def test_a_package_is_imported_at_the_moment_of_use(write):
    write("whole_extra", __init__="", part="VALUE = 3")
    assert require_extra("whole_extra.part", "ray", "this test").VALUE == 3


def test_a_package_that_is_not_installed_names_its_extra():
    with pytest.raises(MissingExtra, match=r"^this test needs .*'absent_extra': pip .*\[ray\]"):
        require_extra("absent_extra.part", "ray", "this test")


@pytest.mark.parametrize("fault", ["import no_such_module", "raise OSError('undefined symbol')"])
@pytest.mark.parametrize("broken", ["__init__", "part"])
def test_a_package_that_cannot_be_imported_says_why(write, fault, broken):
    number = f"{broken.strip('_')}_{fault.split()[0]}"
    name = write(f"broken_{number}", **{"__init__": "", "part": "", broken: fault})
    why = "undefined symbol" if "OSError" in fault else "no_such_module"
    with pytest.raises(MissingExtra, match=rf"cannot be imported \(.*{why}.*--force-reinstall"):
        require_extra(f"{name}.part", "ray", "this test")
