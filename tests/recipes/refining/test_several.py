"""Several refinements of one command are checked before the first one begins."""

from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest

from rampart.errors import RunError
from rampart.recipes.refining import several
from rampart.recipes.refining.places import places_of
from rampart.recipes.refining.settings import Refinement
from rampart.recipes.refining.several import Task, plan_refinements
from rampart.runs.run_folder import RunFolder

OWN = Refinement(lr=0.1, epochs=2)


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Three finished runs; what a run needs to be refined is tested with `refine_run`."""
    checked = []

    def prepare(source):
        checked.append(source.path.name)
        return SimpleNamespace(source=source, start="weights")

    monkeypatch.setattr(several, "prepare", prepare)
    for name in "abc":
        make(tmp_path / name, "complete")
    found = places_of([tmp_path / name for name in "abc"], tmp_path / "out")
    return SimpleNamespace(all=found, checked=checked)


def make(path, status, **facts):
    path.mkdir(parents=True)
    (path / "config.yaml").write_text("seed: 0\n")
    RunFolder(path).set_status(status, **facts)


def begin(place, settings, start="weights"):
    run, output = place
    facts = {"of": str(run), "settings": asdict(settings)}
    make(output, "interrupted", start=start, refinement=facts)


def plan(places, given=None, *, resume=False, overwrite=False):
    return plan_refinements(places, given or {}, resume=resume, overwrite=overwrite)


def test_all_runs_begin_with_the_settings_that_are_given(places):
    tasks = plan(places.all, {"lr": 0.5})
    wanted = asdict(Refinement(lr=0.5))
    assert tasks == [Task(run, output, wanted, False) for run, output in places.all]
    assert places.checked == ["a", "b", "c"]


def test_one_run_is_checked_where_it_is_refined(places):
    ((run, output), *_) = places.all
    assert plan([(run, output)], {"lr": 0.5}, resume=True) == [Task(run, output, {"lr": 0.5}, True)]
    assert not places.checked


def test_runs_that_are_left_take_the_settings_of_those_that_have_begun(places):
    begin(places.all[1], OWN)
    for given in ({}, {"lr": 0.1}):
        tasks = plan(places.all, given, resume=True)
        assert [task.resume for task in tasks] == [False, True, False]
        assert [task.settings for task in tasks] == [asdict(OWN)] * 3


def test_each_refinement_goes_on_with_its_own_settings(places):
    owns = [replace(OWN, epochs=epochs) for epochs in (1, 2, 3)]
    for place, own in zip(places.all, owns, strict=True):
        begin(place, own)
    tasks = plan(places.all, {"lr": 0.1}, resume=True)
    assert [task.settings for task in tasks] == [asdict(own) for own in owns]


def test_settings_that_cannot_be_told_are_refused(places):
    begin(places.all[0], OWN)
    begin(places.all[1], replace(OWN, epochs=3))
    with pytest.raises(RunError, match=r"epochs 2 -> 3.*resume and start each run alone"):
        plan(places.all, resume=True)
    assert plan(places.all[:2], resume=True), "none is left to begin"


def test_an_option_that_differs_is_refused_by_its_name(places):
    begin(places.all[2], OWN)
    with pytest.raises(RunError, match=r"other settings \(lr 0.1 -> 0.5\)"):
        plan(places.all, {"lr": 0.5, "epochs": 2}, resume=True)


@pytest.mark.parametrize("fault", ["unfinished", "missing", "occupied", "start", "nothing"])
def test_a_fault_of_the_last_one_is_found_first(places, fault):
    run, output = places.all[2]
    resume = fault in ("start", "nothing")
    if fault == "unfinished":
        RunFolder(run).set_status("running")
    elif fault == "missing":
        (run / "config.yaml").unlink()
    elif fault == "occupied":
        make(output, "complete")
    elif fault == "start":
        begin(places.all[2], OWN, start="others")
    with pytest.raises(RunError):
        plan(places.all, resume=resume)
    assert not places.all[0][1].exists(), "nothing is written"
