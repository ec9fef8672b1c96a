import pytest

from rampart.errors import InvalidArgument
from rampart.reports.methods import save_methods

TASKS = {
    "digits": {"fix": [0.2, 0.3], "adaptive": [0.7, 0.8]},
    "photos": {"adaptive": [0.5], "linear": [0.4, 0.5, 0.6]},
}


def test_every_method_and_task_is_named_and_equal_studies_are_equal_files(tmp_path):
    first, second = tmp_path / "a.svg", tmp_path / "b.svg"
    for path in (first, second):
        save_methods(TASKS, path, "expected robustness", ["adaptive"])
    text = first.read_text()
    for word in ("digits", "photos", "fix", "adaptive", "linear", "expected robustness, percent"):
        assert f">{word}" in text
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("seeds", "says"),
    [
        ((1, 2), "range"),
        ((1, 3), "95 % interval"),
        ((2, 3), "95 % interval, or range of two seeds"),
    ],
)
def test_the_label_says_what_the_lines_are(tmp_path, seeds, says):
    tasks = {"digits": {str(count): [0.2, 0.3, 0.4][:count] for count in seeds}}
    save_methods(tasks, tmp_path / "a.svg", "clean")
    assert f"runs, mean, {says}<" in (tmp_path / "a.svg").read_text()


def test_the_picture_changes_with_the_runs(tmp_path):
    save_methods(TASKS, tmp_path / "a.svg", "clean")
    save_methods({**TASKS, "photos": {"adaptive": [0.9]}}, tmp_path / "b.svg", "clean")
    assert (tmp_path / "a.svg").read_bytes() != (tmp_path / "b.svg").read_bytes()


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(InvalidArgument, match="png"):
        save_methods(TASKS, tmp_path / "a.txt", "clean")
