"""Commands and keys that messages and documents name exist: advice can be followed as written."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import typer

from rampart.cli.main import app
from rampart.recipes.config.suggesting import all_keys, full_keys
from rampart.schedules.catalogue import SCHEDULES
from rampart.schema.fields import RunFields

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "rampart").rglob("*.py"))
DOCUMENTS = [
    *(ROOT / "README.md", ROOT / "CONTRIBUTING.md"),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "configs").rglob("*.yaml")),
]
COMMANDS = {**typer.main.get_command(app).commands}  # type: ignore[attr-defined]
COMMANDS |= {f"study {name}": one for name, one in COMMANDS.pop("study").commands.items()}
WITH_SETTINGS = ("train", "tune", "evaluate", "verify", "linear-probe")
#: Stands for a value that a message fills in.
FILLED = "FILLED"
#: Endings of files, whose names look like keys.
FILES = (
    ".md",
    ".json",
    ".safetensors",
    ".onnx",
    ".pt2",
    ".torchscript",
    ".pt",
    ".yaml",
    ".parquet",
    ".py",
    ".pth",
    ".png",
)
#: Keys that texts name as wrong ones, as those of an example part, or as attributes.
OTHERS = ("attack.eps", "attack.norm", "schedule.power", "model.backbone")
#: Options of the parts that CONTRIBUTING.md and docs/add-a-part.md add.
OWN = ("power",)


class Advice(NamedTuple):
    """A command or key as a message or document names it."""

    text: str
    file: Path

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}: {self.text}"


def strings(file: Path) -> Iterator[str]:
    """Every text in a file of Python, docstrings included; `FILLED` for what is filled in."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    inside = {
        part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [one.value if isinstance(one, ast.Constant) else FILLED for one in node.values]
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside:
            yield node.value


def commands_of(text: str) -> list[str]:
    """The commands in backticks, and the lines of a text that are commands."""
    text = re.sub(r"\\\n\s*", " ", text)
    quoted = re.findall(r"`((?:accelerate launch -m )?rampart [^`]+)`", text)
    lines = re.findall(r"^(?:#\s+)?((?:accelerate launch -m )?rampart [a-z-]+ .*)$", text, re.M)
    return [" ".join(one.split()) for one in (*quoted, *lines)]


def keys_in(text: str) -> list[str]:
    """Full keys that a text names: a section, a dot and what follows."""
    sections = "|".join(RunFields.model_fields)
    found = re.findall(rf"(?<![\w./-])((?:{sections})(?:\.[a-z_]+)+)\b(?![(/\w-])", text)
    return [key for key in found if not key.endswith(FILES) and key not in OTHERS]


def is_key(key: str) -> bool:
    """Whether a key exists: a section, a single value, an option of a component, or free."""
    if key.startswith(("model.options.", "data.options.", "data.splits.")):
        return True
    sections = {one.rpartition(".")[0] for one in all_keys(RunFields)}
    return key in {*all_keys(RunFields), *sections, *full_keys(key.rpartition(".")[2])}


def parsed(command: str) -> tuple[str, list[str], list[str]]:
    """The verb, the options and the settings of a command."""
    words = shlex.split(command.partition(" #")[0].removeprefix("accelerate launch -m "))[1:]
    while words and words[0].startswith("-"):
        words = words[2 if words[0] == "--import" else 1 :]
    options = [word.partition("=")[0] for word in words if word.startswith("-") and word != "-"]
    settings = [word for word in words[1:] if "=" in word and not word.startswith("-")]
    verb = " ".join(words[:2]) if words[:1] == ["study"] else (words or [""])[0]
    return verb, options, settings


def mistakes(command: str) -> list[str]:
    """What is wrong with a command: its verb, an option, or a key."""
    verb, options, settings = parsed(command)
    if verb in ("", "...", "VERB", "study", FILLED):
        return []
    if verb not in COMMANDS:
        return [f"verb {verb}"]
    known = {one for part in COMMANDS[verb].params for one in (*part.opts, *part.secondary_opts)}
    wrong = [option for option in options if option not in {*known, "--help", f"--{FILLED}"}]
    keys = [setting.partition("=")[0] for setting in settings]
    if verb in WITH_SETTINGS:
        wrong += [key for key in keys if FILLED not in key and key != "KEY" and not is_key(key)]
    if verb == "preview":
        every = {option for name in SCHEDULES.names() for option in SCHEDULES.options(name)}
        every |= set(OWN)
        wrong += [key for key in keys if FILLED not in key and key not in every]
    return wrong


def collected() -> tuple[list[Advice], list[Advice]]:
    """All commands and all keys in messages, docstrings and documents."""
    texts = [(text, file) for file in SOURCES for text in strings(file)]
    texts += [(file.read_text(encoding="utf-8"), file) for file in DOCUMENTS]
    commands = [Advice(one, file) for text, file in texts for one in commands_of(text)]
    keys = [Advice(one, file) for text, file in texts for one in keys_in(text)]
    return commands, keys


def test_every_command_can_be_typed() -> None:
    commands, _ = collected()
    assert len(commands) > 60
    assert sum(one.file.suffix == ".py" for one in commands) > 15
    wrong = [f"{one}: {', '.join(found)}" for one in commands if (found := mistakes(one.text))]
    assert not wrong


def test_every_key_exists() -> None:
    _, keys = collected()
    assert len(keys) > 150
    assert [str(one) for one in keys if not is_key(one.text)] == []


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ("rampart trian model=a", ["verb trian"]),
        ("rampart study rnu a.yaml", ["verb study rnu"]),
        ("rampart study run a.yaml --wrkers 2", ["--wrkers"]),
        ("rampart interpolate a b -o c --resume", ["--resume"]),
        ("rampart train model=a limit=3 -o r", ["limit"]),
        ("rampart preview two-hinge begin=0.1", ["begin"]),
        ("rampart --import FILE.py train schedule.begin=2 training.epochs=2", ["schedule.begin"]),
        ("accelerate launch -m rampart train evaluation.attack.steps=3 -o r", []),
    ],
)
def test_a_planted_fault_is_found(command: str, wrong: list[str]) -> None:
    assert mistakes(command) == wrong
    assert not is_key("training.epoch")
