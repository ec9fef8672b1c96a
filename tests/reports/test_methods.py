import pytest

from rampart.errors import InvalidArgument
from rampart.reports.methods import draw_methods, save_methods

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


LONG = [f"adaptive_with_{word}_and_a_restart_from_the_clean_baseline_{word}" for word in "abcdef"]
WORDS = [f"adaptive with {word} and a restart from the clean baseline, {word}" for word in "abcdef"]


@pytest.mark.parametrize("names", [LONG, WORDS], ids=["one word", "several words"])
def test_names_of_60_characters_do_not_overlap(names):
    tasks = {f"oxford_flowers_{task}" * 3: {n: [0.1, 0.2, 0.3] for n in names} for task in "abc"}
    assert min(len(name) for name in [*names, *tasks]) >= 48
    figure = draw_methods(tasks, "expected robustness", names[:1])
    figure.draw_without_rendering()
    labels = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    titles = [axes._left_title.get_window_extent() for axes in figure.axes]
    panels = [axes.get_window_extent() for axes in figure.axes]
    for boxes in (labels, titles, [*labels, *panels]):
        for number, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[number + 1 :])
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in [*labels, *titles])
    assert min(panel.width for panel in panels) > 1.5 * figure.dpi, "the panels keep their width"


@pytest.mark.parametrize(
    "values", [[0.0, 0.0], [1.0, 1.0], [0.001, 0.002, 0.2], [0.999, 0.99, 0.8], [0.0, 1.0], [0.5]]
)
def test_percent_stay_within_0_and_100(values):
    """Also those of an interval over seeds, which may reach further."""
    figure = draw_methods({"digits": {"fix": values, "linear": values[:1]}}, "clean", ["fix"])
    figure.draw_without_rendering()
    (axes,) = figure.axes
    low, high = axes.get_xlim()
    assert 0 <= low < high <= 100
    shown = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert all(0 <= tick <= 100 for tick in shown)
    drawn = [value for line in axes.get_lines()[:-1] for value in line.get_xdata()]
    assert all(0 <= value <= 100 for value in drawn)
