"""The folders of refined runs, and those that are refused."""

from pathlib import Path

import pytest

from rampart.errors import RunError
from rampart.recipes.refining.places import place_beside, places_of, require_apart


@pytest.mark.parametrize(
    ("runs", "output", "places"),
    [
        (["runs/a"], None, ["runs/a-refined"]),
        (["runs/a/"], "b", ["b"]),
        (["s/x/seed-0", "s/x/seed-1"], "out", ["out/seed-0", "out/seed-1"]),
        (["s/x/seed-0", "s/y/seed-0"], "out", ["out/x-seed-0", "out/y-seed-0"]),
        (["s/x/seed-0", "s/x/seed-1"], None, ["s/x/seed-0-refined", "s/x/seed-1-refined"]),
    ],
)
def test_each_run_has_a_folder(runs, output, places):
    found = places_of([Path(one) for one in runs], output and Path(output))
    assert found == [(Path(run), Path(place)) for run, place in zip(runs, places, strict=True)]


def test_a_run_without_a_name_of_its_own_has_a_folder_beside_it(tmp_path, monkeypatch):
    (tmp_path / "run" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "run")
    assert place_beside(Path()) == tmp_path / "run-refined"
    monkeypatch.chdir("model")
    assert place_beside(Path("..")) == tmp_path / "run-refined"


REFUSED = {
    "one folder twice": (["a", "./a"], "out", "one folder"),
    "one folder by a link": (["a", "link"], "out", "one folder"),
    "one name of two": (["a-b/c", "a/b-c"], "out", "both be refined in out/a-b-c"),
    "one name beside two links": (["to-x", "to-y"], None, "both be refined in"),
    "the run itself": (["a"], "a", "is the run itself"),
    "inside the run": (["a"], "a/evaluations/b", "inside the run"),
    "around the run": (["a-b/c"], "a-b", "holds the run"),
    "another one of the runs": (["out/a", "out/b"], "out", "out/a is the run itself"),
    "another one's place": (["a", "a-refined"], None, "a-refined is the run itself"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_folders_that_collide_are_refused(case, tmp_path, monkeypatch):
    runs, output, why = REFUSED[case]
    monkeypatch.chdir(tmp_path)
    for name in ("a", "x/run", "y/run"):
        Path(name).mkdir(parents=True)
    for name, target in (("link", "a"), ("to-x", "x/run"), ("to-y", "y/run")):
        Path(name).symlink_to(target)
    with pytest.raises(RunError, match=why):
        places_of([Path(one) for one in runs], output and Path(output))


def test_folders_apart_are_free():
    require_apart([(Path("a"), Path("a-refined")), (Path("b"), Path("a-refined-too"))])
