"""The pictures of a study, from histories and records."""

from dataclasses import replace

import pytest
from made_up_study import figures, published_as_ours, results, with_files

from rampart.errors import InvalidArgument
from rampart.experiments.published.conditions import Condition
from rampart.experiments.published.delays import correlations, delayed_runs
from rampart.experiments.published.write_pictures import write_published_figures
from rampart.runs.run_folder import RunFolder

FIX = Condition("swin", "cars", 4 / 255, "fix", "fix", 0.0, 0.0)
HINGE = Condition("swin", "cars", 4 / 255, "two-hinge", "two-hinge", 12.0, 37.0)
#: The later a run adapts, the lower its accuracy; the last never adapts.
DELAYS = [(2, 0.8), (4, 0.6), (6, 0.4), (None, 0.02)]
RUNS = [figures(clean, clean / 2, clean / 1.5, seed, delay)
        for seed, (delay, clean) in enumerate(DELAYS)]  # fmt: skip
NAMES = {
    *("curves-4_255", "cost-4_255", "epochs-4_255-cars"),
    *("delay-by-strength", "accuracy-by-delay"),
}


def study(folder):
    ours = [results(FIX, RUNS), results(HINGE, RUNS[:2], planned=4)]
    return [with_files(folder / "runs", one) for one in ours]


def text(folder, name):
    return (folder / f"{name}.svg").read_text("utf-8")


def test_writes_the_pictures_of_the_publication(tmp_path):
    written = write_published_figures(study(tmp_path), tmp_path / "pictures", ".svg")
    assert {path.stem for path in written.files} == NAMES
    assert all(path.exists() for path in written.files)
    assert written.unreadable == []
    curves = text(tmp_path / "pictures", "curves-4_255")
    for word in ("two-hinge", "swin", "cars", "trained at 4/255", "95 % interval, or range of two"):
        assert word in curves
    assert "passes (thousands)" in text(tmp_path / "pictures", "cost-4_255")
    assert "never adapted" in text(tmp_path / "pictures", "delay-by-strength")
    assert "r = -1.00" in text(tmp_path / "pictures", "accuracy-by-delay")


def test_axes_of_percent_end_at_a_hundred(tmp_path, monkeypatch):
    limits = {}

    def look(figure, path):
        limits[path.stem] = [axes.get_ylim() for axes in figure.axes]

    monkeypatch.setattr("rampart.reports.panels.save_picture", look)
    write_published_figures(study(tmp_path), tmp_path / "pictures")
    for name in ("curves-4_255", "cost-4_255", "accuracy-by-delay"):
        assert set(limits[name]) == {(0, 102)}
    # Two rows of accuracy above the loss, which starts at 0.
    *accuracies, loss = limits["epochs-4_255-cars"]
    assert set(accuracies) == {(0, 102)}
    assert loss[0] == 0
    assert loss[1] != 102


def test_a_damaged_file_is_named_and_left_out(tmp_path):
    ours = study(tmp_path)
    history = RunFolder(ours[0].runs[0].folder).history
    history.write_text("{broken\n" + history.read_text("utf-8"), "utf-8")
    (ours[0].runs[1].record / "samples.parquet").write_bytes(b"nothing")
    written = write_published_figures(ours, tmp_path / "pictures")
    assert {path.stem for path in written.files} == NAMES
    assert len(written.unreadable) == 2
    assert str(history) in "".join(written.unreadable)


def test_runs_without_files_still_have_delays_and_cost(tmp_path):
    written = write_published_figures([results(FIX, RUNS)], tmp_path)
    assert {path.stem for path in written.files} == {
        "cost-4_255",
        "delay-by-strength",
        "accuracy-by-delay",
    }


def test_a_study_without_a_finished_run_has_no_picture(tmp_path):
    assert write_published_figures([results(FIX, [], planned=3)], tmp_path).files == []


def test_few_classes_have_no_delay(tmp_path):
    few = results(FIX, [figures(classes=10)])
    written = write_published_figures([few], tmp_path)
    assert {path.stem for path in written.files} == {"cost-4_255"}


def test_long_names_have_room(tmp_path):
    name = "fix (optimizer.backbone_lr=0.0001, " + "a_setting_with_a_long_name=0.1, " * 8 + ")"
    backbone = "vit_small_patch14_reg4_dinov2.lvd142m_with_a_name_without_spaces"
    ours = results(replace(FIX, method=name, backbone=backbone), RUNS)
    written = write_published_figures([ours], tmp_path, ".svg")
    assert len(written.files) == 3


def test_the_map_of_t1_and_t2(tmp_path):
    written = write_published_figures(published_as_ours([7]), tmp_path, ".svg")
    names = {path.stem for path in written.files}
    assert {"hinges-4_255-cars-swin", "hinges-8_255-cars-swin"} <= names
    found = text(tmp_path, "hinges-4_255-cars-swin")
    assert "84.7" in found
    assert "(84.7)" in found


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(InvalidArgument, match="path"):
        write_published_figures([results(FIX, RUNS)], tmp_path, ".bmp")


def test_correlations_leave_out_runs_that_never_adapted():
    (found,) = correlations(delayed_runs([results(FIX, RUNS)]))
    assert (found.runs, found.never, found.r) == (3, 1, pytest.approx(-1))
    (one,) = correlations(delayed_runs([results(FIX, RUNS[:2])]))
    assert one.r is None
