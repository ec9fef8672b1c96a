"""The documents name what there is."""

import re
from pathlib import Path
from typing import Any

from rampart.recipes.config import dump_config, load_config
from rampart.registry import flatten
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
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    with scoped_seed(0):
        exec(code, names)
    assert len(names["found"]) == 20
    assert 0 <= names["expected_robustness"](names["found"].critical, names["grid"]) <= 1


def test_every_public_name_is_there():
    import rampart

    for name in rampart.__all__:
        assert getattr(rampart, name) is not None
