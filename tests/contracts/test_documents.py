"""The documents agree with the code: keys, links and Python blocks."""

import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from rampart.errors import RampartWarning
from rampart.recipes.config.loading import dump_config, load_config
from rampart.recipes.train import train_run
from rampart.records.storage import load_record
from rampart.registry import flatten
from rampart.runs.run_folder import RunFolder
from rampart.runtime import scoped_seed
from rampart.schema.effects import fields_of_source
from rampart.schema.model_and_data import DataConfig, ModelConfig

ROOT = Path(__file__).parents[2]


def test_every_key_is_documented():
    text = (ROOT / "docs" / "reference" / "configuration.md").read_text()
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


def test_the_keys_that_another_name_drops_are_documented():
    text = (
        (ROOT / "docs" / "reference" / "configuration.md")
        .read_text()
        .partition("## Another name")[2]
    )
    rows = dict(
        re.findall(r"^\| `(\w+)` \| (.*\|.*) \|$", text.partition("\n## ")[0], re.MULTILINE)
    )
    for section, fields in (("model", ModelConfig), ("data", DataConfig)):
        dropped, stays = (re.findall(r"`(\w+)`", cell) for cell in rows[section].split("|"))
        assert dropped == fields_of_source(fields)
        assert stays == [key for key in fields.model_fields if key not in ("name", *dropped)]


def test_links_between_documents_have_targets():
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


def test_every_page_is_in_the_navigation_of_the_site():
    site = (ROOT / "mkdocs.yml").read_text()
    nav = set(
        re.findall(r"^ +- (?:.*: )?([\w/.-]+\.md)$", site.partition("\nnav:")[2], re.MULTILINE)
    )
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    tables = {page for page in pages if re.fullmatch(r"studies/[\w-]+/[\w-]+\.md", page)}
    assert len(nav) > 25
    assert pages - tables - nav == set()
    outside = {page for page in nav if not page.startswith("repository/")}
    assert outside - pages == set()


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def test_links_to_headings_have_targets():
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    links = [
        (document, file, anchor)
        for document in documents
        for file, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", document.read_text())
        if "://" not in file
    ]
    assert len(links) > 5
    for document, file, anchor in links:
        target = document.parent / file if file else document
        assert anchor in anchors(target), f"{document}: {file}#{anchor}"


def blocks(document: Path, name: str) -> list[str]:
    """The Python blocks of a document that follow the comment `<!-- name -->`."""
    return re.findall(rf"<!-- {name} -->\n```python\n(.*?)```", document.read_text(), re.DOTALL)


def given() -> dict[str, Any]:
    """A model and a loader of 24 images whose color tells the class."""
    labels = torch.arange(24) % 3
    images = torch.randint(0, 120, (24, 3, 8, 8), dtype=torch.uint8)
    images[torch.arange(24), labels] += 100

    def model(pixels: torch.Tensor) -> torch.Tensor:
        return 20 * pixels.mean((2, 3))

    return {"model": model, "loader": DataLoader(TensorDataset(images, labels), batch_size=8)}


def test_the_python_of_the_readme_runs(photo_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").symlink_to(photo_folder)
    (finetune,) = blocks(ROOT / "README.md", "finetune")
    (evaluate,) = blocks(ROOT / "README.md", "evaluate")
    assert all(len(code.splitlines()) < 10 for code in (finetune, evaluate))
    # A network that needs no download, and fewer epochs; the batch is as large as the data.
    for old, new in {
        '"resnet50.a1_in1k"': '"rampart_glyphnet"',
        "epochs=20": "epochs=1, batch_size=8, evaluation={'limit': 9}",
    }.items():
        assert finetune.count(old) == 1
        finetune = finetune.replace(old, new)
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        # One epoch on 24 images causes warnings.
        warnings.simplefilter("ignore", RampartWarning)
        exec(finetune, names)
    assert names["run"].path == Path("runs/rampart_glyphnet-photos")
    assert Path("curve.png").exists()
    with scoped_seed(0):
        names = given()
        exec(evaluate, names)
    assert len(names["accuracy"]) == 9
    assert load_record(Path("evaluations/first")).metadata["attack"]["name"] == "standard"


def test_the_python_of_the_guide_to_evaluation_runs():
    guide = ROOT / "docs" / "evaluation" / "index.md"
    (evaluate,), (on_a_grid,) = blocks(guide, "evaluate"), blocks(guide, "parts")
    (without_grid,) = blocks(guide, "continuum")
    with scoped_seed(0):
        names = given()
        exec(evaluate.replace("limit=500", "limit=20"), names)
        assert names["result"].checks == "pass"
        exec(on_a_grid, names)
    assert len(names["results"]) == 20
    assert 0 <= names["expected_robustness"](names["results"].critical, names["grid"]) <= 1
    exec(without_grid, names)
    average = names["continuum_robustness"](names["distances"], 8 / 255)
    assert average == pytest.approx((0 + 1 / 4 + 1) / 3)


def test_the_losses_in_the_guide_to_own_loops_run():
    text = (ROOT / "docs" / "own-loop.md").read_text()
    first, second = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 10))
    batches = [(torch.rand(4, 3, 2, 2), torch.arange(4)) for _ in range(5)]
    names: dict[str, Any] = {
        "model": model,
        "loader": batches,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
        "epochs": 1,
        "steps_per_epoch": 5,
    }
    exec(first, names)
    assert names["robust"].scheduler.steps_done == 5
    assert names["robust"].scheduler.eps == 4 / 255, "as long as the run is"
    exec(second, names)
    assert names["robust"](*batches[0]).item() > 0


def test_a_run_trains_with_the_parts_of_the_guide(tiny_settings, tmp_path):
    text = (ROOT / "docs" / "add-a-part.md").read_text()
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    # In its own process, because the registrations would stay.
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


def test_every_name_in_the_glossary_is_in_the_code():
    text = (ROOT / "docs" / "glossary.md").read_text()
    rows = [line.strip("| ").split("|") for line in text.splitlines() if line.startswith("| ")]
    names = {
        name
        for row in rows[1:]
        for code in re.findall(r"`([^`]+)`", row[3])
        for name in re.findall(r"[A-Za-z_][\w-]*", code)
    }
    assert len(names) > 100
    files = (ROOT / "src" / "rampart").rglob("*.py")
    source = "\n".join(f"{file.relative_to(ROOT)}\n{file.read_text()}" for file in files)
    words = set(re.findall(r"[A-Za-z_]\w*(?:-\w+)*", source)) | set(re.findall(r"\w+", source))
    assert names - words == set()


def test_every_public_name_exists():
    import rampart

    for name in rampart.__all__:
        assert getattr(rampart, name) is not None


def test_the_python_of_the_guide_after_training_runs(
    tiny_settings, photo_folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    train_run(load_config(None, tiny_settings), Path("runs/first"))
    Path("holiday").symlink_to(photo_folder / "test")
    (predict,) = blocks(ROOT / "docs" / "after-training" / "index.md", "predict")
    names: dict[str, Any] = {}
    exec(predict, names)
    assert len(names["predictions"]) == 15
    assert len(Path("predictions.csv").read_text().splitlines()) == 16
