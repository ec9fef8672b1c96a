import pytest

from rampart.errors import RunError
from rampart.runs.evaluation_folder import EvaluationFolder
from rampart.runs.run_folder import RunFolder


def finished(path):
    folder = EvaluationFolder(path)
    path.mkdir(parents=True)
    for file in (folder.samples, folder.curve, folder.summary, folder.record, folder.picture):
        file.touch()
    return folder


def test_an_evaluation_is_finished_with_a_record_and_without_partial_results(tmp_path):
    folder = EvaluationFolder(tmp_path / "evaluation")
    assert not folder.is_finished()
    assert not folder.has_begun()
    finished(folder.path)
    assert folder.is_finished()
    folder.partial.mkdir()
    assert folder.has_begun()
    assert not folder.is_finished(), "stopped just before its end"


@pytest.mark.parametrize("missing", ["samples", "curve", "summary", "picture"])
def test_an_evaluation_is_finished_if_and_only_if_it_has_its_record(tmp_path, missing):
    folder = finished(tmp_path / "evaluation")
    getattr(folder, missing).unlink()
    assert folder.is_finished()
    folder.record.unlink()
    assert not folder.is_finished()


def test_a_run_names_its_finished_evaluations(tmp_path):
    run = RunFolder(tmp_path)
    assert run.finished_evaluations() == []
    two, one = (finished(run.evaluations / name) for name in ("b", "a"))
    finished(run.evaluations / "c").record.unlink()
    finished(run.evaluations / "d").partial.mkdir()
    assert run.finished_evaluations() == [one, two]


def test_a_folder_of_other_things_is_refused(tmp_path):
    EvaluationFolder(tmp_path / "missing").require_own()
    folder = finished(tmp_path / "evaluation")
    folder.require_own()
    (folder.path / "thesis.tex").touch()
    with pytest.raises(RunError, match=r"thesis\.tex"):
        folder.require_own()


def test_temporary_files_of_a_killed_evaluation_are_accepted(tmp_path):
    folder = EvaluationFolder(tmp_path)
    (tmp_path / ".samples.parquet.17.tmp").touch()
    folder.require_own()
    folder.clear()
    assert list(tmp_path.iterdir()) == []


def test_clearing_deletes_an_evaluation_and_nothing_else(tmp_path):
    folder = finished(tmp_path / "evaluation")
    (folder.partial / "parts").mkdir(parents=True)
    (folder.path / "notes.txt").touch()
    folder.clear()
    assert [path.name for path in folder.path.iterdir()] == ["notes.txt"]


def test_an_interrupted_clearing_leaves_nothing_that_looks_finished(tmp_path, monkeypatch):
    folder = finished(tmp_path / "evaluation")
    left = []

    def die(path):
        left.append(path)
        if len(left) == 2:
            raise KeyboardInterrupt
        path.unlink()

    monkeypatch.setattr("rampart.runs.evaluation_folder.remove", die)
    with pytest.raises(KeyboardInterrupt):
        folder.clear()
    assert folder.samples.exists() or folder.curve.exists()
    assert not folder.is_finished()


def test_a_file_is_no_folder_of_an_evaluation(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="is a file"):
        EvaluationFolder(tmp_path / "file").require_own()
