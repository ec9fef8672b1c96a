"""Every file is read after the check that it is a file, and no file is unpickled."""

import ast
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "rampart"
#: The module that checks, and those that read what a process of ours has just written for them.
READERS = {
    "files.py",
    "experiments/engines/launched.py",
    "experiments/engines/launcher.py",
}
#: Pickles that one process of Rampart writes for another one that it has started.
OWN_PICKLES = {
    "experiments/engines/launched.py",
    "experiments/engines/launcher.py",
    "experiments/engines/remote.py",
}
#: Programs, which run code by their nature; the documentation says so.
PROGRAMS = {
    "models/external/exported.py": "torch.export.load",
    "models/external/torchscript.py": "torch.jit.load",
}
_UNPICKLERS = {
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.loads", "joblib.load"),
    *("dill.load", "dill.loads", "cloudpickle.load", "cloudpickle.loads", "np.load", "numpy.load"),
    *("pandas.read_pickle", "shelve.open", "torch.jit.load", "torch.export.load", "yaml.load"),
    *("yaml.unsafe_load", "yaml.full_load", "eval", "exec"),
}


def calls(source=SOURCE):
    """Every call in the source: its file, what is called, as text, and the call."""
    for path in sorted(source.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                yield str(path.relative_to(source)), ast.unparse(node.func), node


def opened(source=SOURCE):
    """Calls that read a file without the check: `read_text`, `read_bytes` and `open` of a path."""
    for file, name, call in calls(source):
        last = name.rpartition(".")[2]
        if file in READERS or "joinpath" in name or last not in ("read_text", "read_bytes"):
            continue
        if isinstance(call.func, ast.Attribute):
            yield f"{file}: {name}"


def unpickled(source=SOURCE):
    """Calls that may run code from a file."""
    for file, name, call in calls(source):
        keywords = {one.arg: ast.unparse(one.value) for one in call.keywords}
        if name == "torch.load" and keywords.get("weights_only") != "True":
            yield f"{file}: torch.load without weights_only=True"
        if name in _UNPICKLERS and PROGRAMS.get(file) != name:
            own = name.startswith("pickle.") and file in OWN_PICKLES
            # Our readers of YAML know plain values only.
            ours = file == "plain.py" and ast.unparse(call) == "yaml.load(text, reader)"
            if not own and not ours:
                yield f"{file}: {name}"


def test_every_file_is_read_after_the_check_that_it_is_one():
    assert list(opened()) == []


def test_no_file_is_unpickled():
    assert list(unpickled()) == []


def test_planted_faults_are_found(tmp_path):
    (tmp_path / "a.py").write_text(
        "path.read_text()\npickle.loads(x)\ntorch.load(path)\nyaml.load(x, yaml.Loader)\n"
        "torch.load(path, weights_only=False)\ntorch.load(path, weights_only=True)\n"
    )
    assert list(opened(tmp_path)) == ["a.py: path.read_text"]
    assert len(list(unpickled(tmp_path))) == 4


def test_the_exceptions_exist():
    found = {file for file, name, _ in calls() if name.startswith("pickle.load")}
    assert found == OWN_PICKLES
    assert {file: name for file, name, _ in calls() if name in PROGRAMS.values()} == PROGRAMS
