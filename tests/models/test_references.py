import pytest

from rampart.models.references import ALL_PREFIXES, is_function, misspelled_prefix


@pytest.mark.parametrize(
    "name", ["mine.py:make", "/some/where/mine.py:Zoo.make", "package.zoo:make"]
)
def test_functions(name):
    assert is_function(name)


@pytest.mark.parametrize(
    "name",
    [
        *("resnet50", "resnet50.a1_in1k", "timm:resnet50", "torchvision:resnet18", "hf:name"),
        *("hf-hub:name", "local-dir:folder", "python:Net", "mine.py", "a.pth", "C:\\models\\a.pth"),
    ],
)
def test_other_names(name):
    assert not is_function(name)


@pytest.mark.parametrize("prefix", ALL_PREFIXES)
def test_a_prefix_that_lacks_a_letter_is_recognized(prefix):
    if len(prefix) < 3:
        assert misspelled_prefix(f"{prefix}x:name") == f"{prefix}:name"
        return
    slip = prefix[0] + prefix[2:]
    assert misspelled_prefix(f"{slip}:name") == f"{prefix}:name"
    assert misspelled_prefix(f"{prefix}:name") == ""


@pytest.mark.parametrize("name", ["resnet18", "aresmodels.py:make", "timm.models:resnet18"])
def test_other_names_misspell_no_prefix(name):
    assert misspelled_prefix(name) == ""


def test_a_module_whose_name_is_like_a_prefix_is_a_module(tmp_path, monkeypatch):
    (tmp_path / "robustbnch.py").write_text("")
    monkeypatch.chdir(tmp_path)
    assert misspelled_prefix("robustbnch:make") == ""
    assert misspelled_prefix("robustbnchh:make") == "robustbench:make"
