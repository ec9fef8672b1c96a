"""The own evaluation of a run: the one with the settings of its configuration."""

import copy
import dataclasses

import pytest
import yaml
from made_up import record

from rampart.errors import RunError
from rampart.records.storage import save_record
from rampart.reports.comparison import read_run
from rampart.reports.evaluations import own_evaluation
from rampart.reports.measures import report
from rampart.reports.named_records import find_records
from rampart.reports.page.build import run_page
from rampart.reports.statements import record_lines
from rampart.runs.run_folder import RunFolder

CONFIG = {
    "seed": 3,
    "model": {"name": "resnet18"},
    "data": {"name": "photos", "image_size": 32, "workers": 0},
    "threat": {"norm": "linf", "eps": "4/255"},
    "evaluation": {"attack": {"name": "apgd", "steps": 10}, "split": "test", "limit": None},
}
OWN = "test-linf-4_255-apgd-10"


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.set_status("complete")
    folder.config.write_text(yaml.safe_dump(CONFIG))
    return folder


def evaluated(run, name, section="", key="", value=None):
    """Leave an evaluation with one setting changed."""
    settings = copy.deepcopy(CONFIG)
    if section:
        settings[section][key] = value
    made = record((0.9, 0.5))
    metadata = {**made.metadata, "settings": settings}
    save_record(dataclasses.replace(made, metadata=metadata), run.evaluations / name)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("threat", "eps", "2/255"),
        ("threat", "norm", "l2"),
        ("evaluation", "limit", 100),
        ("evaluation", "split", "validation"),
        ("evaluation", "attack", {"name": "apgd", "steps": 20}),
        ("evaluation", "top", 2),
        ("data", "image_size", 64),
    ],
)
@pytest.mark.parametrize("name", ["a", "z"])
def test_an_evaluation_with_other_settings_is_not_returned(run, section, key, value, name):
    evaluated(run, name, section, key, value)
    assert own_evaluation(run.path) is None
    for read in (read_run, lambda path: find_records([path])):
        with pytest.raises(RunError, match=f"rampart evaluate .*--evaluation {name}"):
            read(run.path)
    evaluated(run, OWN)
    assert own_evaluation(run.path).name == OWN
    assert read_run(run.path).record.metadata["settings"] == CONFIG
    other = read_run(run.path, name).record.metadata["settings"]
    assert other[section][key] == value


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("evaluation", "batch_size", 7),
        ("evaluation", "checks", False),
        ("data", "name", "/elsewhere/photos"),
        ("data", "workers", 2),
    ],
)
def test_settings_that_change_no_figure_are_ignored(run, section, key, value):
    evaluated(run, OWN, section, key, value)
    assert own_evaluation(run.path).name == OWN


def test_the_other_evaluations_of_a_run_are_named(run):
    for name in ("a", "z"):
        evaluated(run, name, "threat", "eps", "2/255")
    evaluated(run, OWN)
    assert read_run(run.path).others == ("a", "z")
    (facts,) = report(find_records([run.path]))["records"]
    assert facts["others"] == [str(run.evaluations / name) for name in ("a", "z")]
    assert any(str(run.evaluations / "z") in line for line in record_lines(facts))


def test_changes_replace_keys_of_the_configuration(run):
    evaluated(run, "validation", "evaluation", "split", "validation")
    assert own_evaluation(run.path, split="validation").name == "validation"
    assert own_evaluation(run.path, split="validation", limit=5) is None


def test_an_unfinished_evaluation_is_not_returned(run):
    evaluated(run, OWN)
    (run.evaluations / OWN / "partial").mkdir()
    assert not run.finished_evaluations()
    assert own_evaluation(run.path) is None


def test_a_run_without_its_status_names_the_missing_file(run):
    evaluated(run, OWN)
    run.status_file.unlink()
    with pytest.raises(RunError, match=r"lacks run\.json"):
        read_run(run.path)


def test_of_many_evaluations_the_first_are_named(run):
    evaluated(run, OWN)
    for number in range(9):
        evaluated(run, f"z{number}", "evaluation", "limit", number + 1)
    facts = report(find_records([run.path]))
    (note,) = [line for line in record_lines(facts["records"][0]) if "others" in line]
    assert note.endswith("and 6 more")


@pytest.mark.parametrize(
    ("there", "is_own"), [(0.02, True), (0.01, True), (0.05, False), (None, False)]
)
def test_an_evaluation_that_has_grown_is_still_the_own_one(run, there, is_own):
    wanted = {**CONFIG, "evaluation": {**CONFIG["evaluation"], "until": 0.02}}
    run.config.write_text(yaml.safe_dump(wanted))
    evaluated(run, OWN, "evaluation", "until", there)
    assert (own_evaluation(run.path) is not None) == is_own


def test_damaged_samples_are_refused_by_those_who_read_them(run):
    evaluated(run, OWN)
    (run.evaluations / OWN / "samples.parquet").write_bytes(b"nothing")
    assert own_evaluation(run.path).name == OWN
    with pytest.raises(RunError, match=r"page of .* cannot be written: .*samples\.parquet"):
        run_page(run.path)
    for read in (read_run, lambda path: find_records([path])):
        with pytest.raises(RunError, match=r"samples\.parquet"):
            read(run.path)
