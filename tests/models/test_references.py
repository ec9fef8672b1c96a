import pytest

from rampart.models.references import is_function


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
