"""Every block in the documents is run by a test, or says why not.

A comment above a block of commands says how: `<!-- run -->` here, `<!-- slow -->` with the slow
tests, or `<!-- not run: WHY -->`. A page says once, at its top, why no block without a comment is
run. Commands that are not run can still be typed (`test_named_commands.py`). The comment above a
block of Python is its name in a test.
"""

import re
import shlex
import shutil
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from PIL import Image

from rampart.cli import main as cli
from rampart.errors import RampartWarning
from rampart.recipes.config.loading import load_config
from rampart.recipes.evaluation.evaluate_named import evaluate_run
from rampart.recipes.train import train_run

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
TESTS = [ROOT / "tests/contracts/test_documents.py", Path(__file__)]
#: Pages of which another test runs every block of Python, and that test.
WHOLE = {
    "docs/own-loop.md": "tests/contracts/test_documents.py",
    "docs/add-a-part.md": "tests/contracts/test_documents.py",
    "docs/reproduce/published.md": "tests/experiments/published/test_reading.py",
}
BLOCK = re.compile(
    r"(?:<!-- (?P<mark>[^>]*) -->\n)?```(?P<language>sh|python)\n(?P<text>.*?)```", re.S
)
NOT_RUN = "not run: "
PAGE = re.compile(r"<!-- commands are not run: [^>]+ -->")


class Block(NamedTuple):
    """A block of commands or of Python, with the comment above it."""

    file: Path
    language: str
    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}: {' '.join(self.text.split()[:5])}"


def blocks_of(text: str, file: Path = ROOT / "README.md") -> list[Block]:
    """Return the blocks of a document."""
    return [
        Block(file, found["language"], found["mark"] or "", found["text"])
        for found in BLOCK.finditer(text)
    ]


def is_accounted_for(block: Block, page: str, tests: str) -> bool:
    """Whether a block is run, or says why not."""
    if block.mark.startswith(NOT_RUN):
        return len(block.mark) > len(NOT_RUN)
    if block.language == "sh":
        return block.mark in ("run", "slow", "test command") or bool(PAGE.search(page))
    name = block.file.relative_to(ROOT).as_posix()
    return name in WHOLE or (block.mark != "" and f'"{block.mark}"' in tests)


def all_blocks(mark: str = "") -> list[Block]:
    """Return the blocks of all documents, or those with a mark."""
    found = [one for file in DOCUMENTS for one in blocks_of(file.read_text("utf-8"), file)]
    return [one for one in found if not mark or one.mark == mark]


def test_every_block_is_run_or_says_why_not():
    tests = "".join(file.read_text("utf-8") for file in TESTS)
    pages = {file: file.read_text("utf-8") for file in DOCUMENTS}
    blocks = all_blocks()
    assert len(blocks) > 60
    assert [str(one) for one in blocks if not is_accounted_for(one, pages[one.file], tests)] == []
    for page, test in WHOLE.items():
        assert Path(page).name in (ROOT / test).read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("```sh\nls\n```", False),
        ("<!-- run -->\n```sh\nls\n```", True),
        ("<!-- not run: -->\n```sh\nls\n```", False),
        ("<!-- not run: it needs a GPU -->\n```sh\nls\n```", True),
        ("<!-- commands are not run: hours -->\n\n```sh\nls\n```", True),
        ("```python\npass\n```", False),
        ("<!-- of a test -->\n```python\npass\n```", True),
    ],
)
def test_a_block_that_is_not_run_is_found(text, fine):
    (block,) = blocks_of(text)
    assert is_accounted_for(block, text, 'blocks(page, "of a test")') is fine


@pytest.fixture(scope="module")
def workspace(photo_folder, tiny_settings, tmp_path_factory):
    """A folder in which the commands of the documents can be typed."""
    root = tmp_path_factory.mktemp("workspace")
    (root / "photos").symlink_to(photo_folder)
    (root / "holiday").symlink_to(photo_folder / "test")
    for name in ("photo.jpg", "bottle.jpg"):
        shutil.copy(photo_folder / "test/red/0.png", root / name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RampartWarning)
        train_run(load_config(None, tiny_settings), root / "runs/first")
        evaluate_run(root / "runs/first")
    (evaluation,) = (root / "runs/first/evaluations").iterdir()
    shutil.copytree(evaluation, root / "evaluations/a")
    for name in ("fix", "second"):
        shutil.copytree(root / "runs/first", root / "runs" / name)
    return root


def lines(block: Block) -> list[str]:
    """Return the commands of a block."""
    text = block.text.replace("\\\n", " ")
    return [one for one in text.splitlines() if one.startswith("rampart ")]


def enter(command: str, changes: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Enter a command as a user would; return its status."""
    words = shlex.split(command, comments=True)
    words = [new for word in words for new in changes.get(word, word).split(" ")]
    monkeypatch.setattr(sys, "argv", words)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RampartWarning)
        try:
            cli.main()
        except SystemExit as stop:
            return int(stop.code or 0)
    return 0


@pytest.mark.parametrize("block", all_blocks("run"), ids=str)
def test_the_commands_run(block, workspace, monkeypatch):
    monkeypatch.chdir(workspace)
    commands = lines(block)
    assert commands
    for command in commands:
        # `rampart gate` says with 1 that the small network is not good enough.
        wanted = (0, 1) if command.startswith("rampart gate") else (0,)
        assert enter(command, {}, monkeypatch) in wanted, command


def python(document: str, name: str) -> str:
    """Return the block of Python with a name."""
    page = ROOT / document
    (block,) = [one for one in blocks_of(page.read_text("utf-8"), page) if one.mark == name]
    return block.text


def test_the_models_of_runs_load_as_the_readme_says(workspace, monkeypatch):
    monkeypatch.chdir(workspace)
    names = {"photo": Image.open("photo.jpg")}
    exec(python("README.md", "load"), names)
    assert names["logits"].shape == (1, 3)
    first = names["run"].predict("photo.jpg").probabilities
    torch.testing.assert_close(names["logits"].softmax(1), first)


def test_the_loop_of_the_readme_runs():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 10))
    names = {
        "model": model,
        "loader": [(torch.rand(4, 3, 2, 2), torch.arange(4)) for _ in range(5)],
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
        "epochs": 1,
        "steps_per_epoch": 5,
    }
    exec(python("README.md", "loop"), names)
    assert names["robust"].scheduler.eps == 4 / 255, "as long as the run is"


def test_the_table_of_backbones_is_that_of_the_published_figures():
    names = {}
    exec(python("docs/choosing/index.md", "published backbones"), names)
    page = (ROOT / "docs/choosing/index.md").read_text("utf-8")
    table = page.partition("## Backbone")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([\d.]+) \|$", table, re.MULTILINE)
    assert {name: float(value) for name, value in rows} == {
        name: round(value, 1) for name, value in names["expected"].items()
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", sorted({one.file for one in all_blocks("slow")}), ids=lambda file: file.parent.name
)
def test_the_slow_commands_of_a_page_run_in_their_order(page, workspace, tmp_path, monkeypatch):
    monkeypatch.chdir(workspace)
    if page.name == "tutorial.md":
        # It begins with nothing but photos.
        monkeypatch.chdir(tmp_path)
        for name in ("photos", "bottle.jpg"):
            Path(name).symlink_to((workspace / name).resolve())
    changes = {
        "model=mobilenetv2_100.ra_in1k": "model=rampart_glyphnet model.pretrained=false "
        "model.options.norm=batch model.options.in_chans=3",
        "data.image_size=96": "data.image_size=16",
        "training.epochs=8": "training.epochs=2 training.batch_size=8",
    }
    for command in [
        one for block in all_blocks("slow") if block.file == page for one in lines(block)
    ]:
        wanted = (0, 1) if command.startswith("rampart gate") else (0,)
        assert enter(command, changes, monkeypatch) in wanted, command
    if page.name == "tutorial.md":
        assert Path("comparison/report.html").is_file()
