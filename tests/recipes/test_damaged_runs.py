"""Flipped bits and cuts in every file of a run are refused, or they change no value."""

import json
import random
import shutil

import pytest
from tests.checked_files import sign

from rampart.checksums import KEY, LISTING
from rampart.errors import RampartError, RunError
from rampart.experiments.set_aside import set_aside_damage
from rampart.recipes.config.loading import load_config
from rampart.recipes.evaluation.evaluate_named import ensure_evaluated
from rampart.recipes.saved_model import load_saved_model
from rampart.recipes.train import train_run
from rampart.records.storage import load_record
from rampart.records.whole_folders import check_files
from rampart.runs.history import History
from rampart.runs.run_folder import RunFolder
from rampart.training.checkpoint import CheckpointStore

#: Files that no command reads; those for people are checked by verify.
PICTURES, DERIVED = (".png",), ("curve.csv", "summary.json", "report.html", "README.md")
#: Files whose values count, and not their bytes.
TEXTS = ("run.json", "config.yaml", "history.jsonl", "record.json", LISTING)


@pytest.fixture(scope="module")
def whole(tiny_settings, tmp_path_factory):
    few = ["training.epochs=2", "training.checkpoint=best"]
    quick = ["evaluation.limit=6", "evaluation.checks=false", "evaluation.rerun=0"]
    place = tmp_path_factory.mktemp("whole") / "run"
    folder = train_run(load_config(None, [*tiny_settings, *few, *quick]), place)
    ensure_evaluated(folder.path)
    return folder


@pytest.fixture
def run(whole, tmp_path):
    shutil.copytree(whole.path, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def files_of(run):
    """All files with results; attacked images, from which an evaluation may grow, are none."""
    found = (file for file in sorted(run.path.rglob("*")) if file.is_file())
    found = (file for file in found if "attacked" not in file.parts)
    return [file for file in found if file.suffix not in PICTURES]


def read(run, file):
    """Read a file as the commands do; return its values if it is text, else nothing."""
    part = file.relative_to(run.path).parts[0]
    if file.name in DERIVED:
        return None
    if part in ("checkpoints", "best"):
        CheckpointStore(run.path / part).latest()
    elif part == "model":
        load_saved_model(run, load_config(run))
    elif part == "evaluations":
        return load_record(file.parent).metadata
    else:
        readers = {"run.json": run.facts, "config.yaml": run.settings}
        return readers.get(part, History(file).rows)()
    return None


def damages(content, draw, count):
    """Copies with one flipped bit each, and cuts; some flips are in the words of a comment."""
    flips = [(draw.randrange(len(content)), draw.randrange(8)) for _ in range(count)]
    if content.startswith(b"# "):
        end = content.index(b"\n")
        flips += [(place, 0) for place in range(end - 4, end)]
    for place, bit in flips:
        flipped = bytearray(content)
        flipped[place] ^= 1 << bit
        yield bytes(flipped)
    for share in (0, 0.3, 0.6, 0.95):
        yield content[: int(share * len(content))]
    yield content[:-2]


def test_every_file_of_a_run_has_a_checksum(whole):
    found = check_files(whole.path)
    assert (found.faults, found.unknown) == ([], [])
    assert sorted(found.matching) == files_of(whole)
    assert len(found.matching) == 21


def outcome(run, file):
    """Return the values of a text, or the sentence that refuses the file."""
    try:
        values = read(run, file)
    except RampartError as error:
        return str(error)
    # Rows that were cut off leave no mark, but they are counted.
    counted = file.name == "history.jsonl" and len(values) != 2
    return " ".join(check_files(run.path).faults) if counted or file.name in DERIVED else values


def test_a_flipped_bit_or_a_cut_is_refused_or_changes_no_value(run):
    draw, refused, harmless = random.Random(0), 0, 0
    for file in files_of(run):
        content, before = file.read_bytes(), outcome(run, file)
        # Few bytes of a text are harmless, so more of them are tried.
        for damaged in damages(content, draw, 48 if file.name in TEXTS else 12):
            file.write_bytes(damaged)
            after = outcome(run, file)
            if isinstance(after, str) and after:
                assert file.name in after
                refused += 1
            else:
                # Spaces and the words of a comment are the harmless bytes of a text.
                assert file.name in TEXTS
                assert after == before
                harmless += 1
        file.write_bytes(content)
    assert refused > 10 * harmless > 0


def test_verify_finds_what_the_readers_find(run):
    draw = random.Random(1)
    for file in files_of(run):
        content = file.read_bytes()
        for damaged in list(damages(content, draw, 2))[:4]:
            file.write_bytes(damaged)
            if not check_files(run.path).faults:
                assert file.name in TEXTS
        file.write_bytes(content)


@pytest.mark.parametrize("path", ["model", "checkpoints", "best", "evaluations"])
def test_files_of_older_versions_are_read(whole, run, path):
    """They have no checksums; verify counts them."""
    for name in (LISTING, "report.html", "README.md"):
        for written_since in run.path.rglob(name):
            written_since.unlink()
    for file in (run.status_file, *run.evaluations.glob("*/record.json")):
        content = {k: v for k, v in json.loads(file.read_text()).items() if k != KEY}
        content = {k: v for k, v in content.items() if k not in ("curve_sha256", "summary_sha256")}
        file.write_text(json.dumps(content))
    rows = [json.loads(line) for line in run.history.read_text().splitlines()]
    for row in rows:
        row.pop(KEY)
    run.history.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run.config.write_text(run.config.read_text().partition("\n")[2])
    assert run.facts() == whole.facts()
    assert run.settings() == whole.settings()
    assert History(run.history).rows() == History(whole.history).rows()
    for file in files_of(run):
        if (run.path / path) in file.parents:
            read(run, file)
    found = check_files(run.path)
    assert found.faults == []
    assert len(found.unknown) == 12


def test_a_setting_that_was_edited_is_refused_until_its_checksum_is_deleted(run):
    text = run.config.read_text()
    edited = text.replace("epochs: 2", "epochs: 3")
    run.config.write_text(edited)
    with pytest.raises(RunError, match="KEY=VALUE"):
        load_config(run)
    # As the configuration of another run the file is read like any other.
    assert load_config(run.config).training.epochs == 3
    run.config.write_text(edited.partition("\n")[2])
    assert load_config(run).training.epochs == 3
    run.config.write_text(f"{text}\n# a comment\n")
    assert load_config(run).training.epochs == 2


@pytest.mark.parametrize(
    "pattern",
    [
        *("run.json", "config.yaml", "history.jsonl", "checkpoints/*/optimizer.pt"),
        *("best/*/model.safetensors", "model/model.safetensors", "model/config.json"),
    ],
)
def test_a_study_sets_a_run_with_damage_aside(run, pattern):
    run.set_status("interrupted")
    assert set_aside_damage(run.path) == []
    (file,) = run.path.glob(pattern)
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(content)
    (line,) = set_aside_damage(run.path)
    assert file.name in line
    assert not run.path.exists()
    moved = run.path.parent / "set-aside" / "1"
    assert file.name in (moved / "reason.txt").read_text()
    assert (moved / "run" / file.relative_to(run.path)).read_bytes() == content


def test_half_a_row_at_the_end_is_no_damage_while_a_run_can_be_resumed(run):
    run.history.write_bytes(run.history.read_bytes()[:-9])
    assert len(check_files(run.path).faults) == 1
    run.set_status("interrupted")
    assert set_aside_damage(run.path) == []
    run.set_status("complete")
    assert len(set_aside_damage(run.path)) == 1


def test_resume_refuses_a_damaged_checkpoint(run):
    run.set_status("interrupted")
    state = next(run.checkpoints.glob("*/state.json"))
    state.write_text(state.read_text().replace('"epoch": 2', '"epoch": 1'))
    with pytest.raises(RunError, match=r"state\.json does not match .*--overwrite"):
        train_run(load_config(run), run.path, resume=True)


def test_timm_reads_a_model_with_checksums(run):
    import timm

    import rampart.models.glyphnet  # noqa: F401

    timm.create_model(f"local-dir:{run.model}", pretrained=True)


def test_a_signed_change_is_accepted(run):
    """The checksum protects from accidents, not from forgery."""
    run.status_file.write_text(run.status_file.read_text().replace("complete", "failed"))
    with pytest.raises(RunError, match=r"run\.json"):
        run.status()
    sign(run.status_file)
    assert run.status() == "failed"
